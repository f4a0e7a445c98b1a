#include "sparse/expand.h"

#include <algorithm>
#include <set>

#include "fields/unicode.h"

namespace vicino {

namespace {

std::u32string characters_of(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) out.push_back(next_character(text, at));
  return out;
}

/// Edit distance of two words, anything above `limit` counting as limit + 1. `row` is scratch space.
std::uint32_t distance_up_to(const std::u32string& a, const std::u32string& b, std::uint32_t limit, std::vector<std::uint32_t>& row) {
  if (a.size() > b.size() + limit || b.size() > a.size() + limit) return limit + 1;
  row.resize(b.size() + 1);
  for (std::uint32_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::uint32_t diagonal = row[0], least = row[0] = static_cast<std::uint32_t>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::uint32_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
      least = std::min(least, row[j]);
    }
    if (least > limit) return limit + 1;
  }
  return row[b.size()];
}

/// The best `limit` of all terms of a field under a prefix to which `weight_of` gives a weight above 0.
template <class WeightOf>
std::vector<Expansion> expand(CollectionTerms& terms, std::uint32_t field, const std::string& prefix, std::uint32_t limit, WeightOf&& weight_of) {
  std::set<std::string> found;
  for (const SparseEntry& entry : terms.entries()) {
    if (!entry.fields[field]) continue;
    entry.fields[field]->each_with_prefix({reinterpret_cast<const std::uint8_t*>(prefix.data()), prefix.size()}, [&](Bytes term, const TermInfo&) {
      const std::string text(reinterpret_cast<const char*>(term.data()), term.size());
      if (weight_of(text) > 0) found.insert(text);
      return true;
    });
  }
  std::vector<Expansion> expansions;
  for (const std::string& term : found)
    if (const std::uint64_t df = terms.term(field, term).df) expansions.push_back({term, weight_of(term), df});
  std::ranges::sort(expansions, [](const Expansion& a, const Expansion& b) {
    if (a.weight != b.weight) return a.weight > b.weight;
    return a.df != b.df ? a.df > b.df : a.term < b.term;
  });
  if (expansions.size() > limit) expansions.resize(limit);
  return expansions;
}

}  // namespace

std::vector<Expansion> expand_prefix(CollectionTerms& terms, std::uint32_t field, const std::string& prefix, std::uint32_t limit) {
  return expand(terms, field, prefix, limit, [](const std::string&) { return 1.0f; });
}

std::vector<Expansion> expand_fuzzy(CollectionTerms& terms, std::uint32_t field, const std::string& word, std::uint32_t edits, std::uint32_t prefix_length,
                                    std::uint32_t limit) {
  const std::u32string wanted = characters_of(word);
  std::size_t prefix_bytes = 0;
  for (std::uint32_t i = 0; i < prefix_length && prefix_bytes < word.size(); ++i) next_character(word, prefix_bytes);
  std::vector<std::uint32_t> row;
  return expand(terms, field, word.substr(0, prefix_bytes), limit, [&](const std::string& term) {
    const std::u32string characters = characters_of(term);
    const std::uint32_t distance = distance_up_to(wanted, characters, edits, row);
    if (distance > edits) return 0.0f;
    const auto length = static_cast<float>(std::max<std::size_t>(1, std::min(wanted.size(), characters.size())));
    return std::max(0.0f, 1 - static_cast<float>(distance) / length);
  });
}

}  // namespace vicino
