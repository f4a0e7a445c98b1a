#include "sparse/collection_terms.h"

#include <algorithm>
#include <cmath>

namespace vicino {

namespace {

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

CollectionTerms::CollectionTerms(std::span<const SparseEntry> entries, std::span<const std::uint32_t> slots, bool filtered)
    : entries_(entries), slots_(slots.begin(), slots.end()), filtered_(filtered) {
  if (filtered)
    for (std::size_t i = 0; i < entries.size(); ++i) of_filter_.push_back(std::make_unique<LiveStatistics>());
  for (std::size_t field = 0; field < slots_.size(); ++field) {
    Field total;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const TermIndex* index = entries[i].fields[field];
      if (!index) continue;
      const auto found = statistics(i).field(slots_[field], *index, counted(entries[i]));
      total.n += found.n;
      length += found.length;
    }
    if (total.n && length) total.average = static_cast<double>(length) / static_cast<double>(total.n);
    fields_.push_back(total);
  }
}

const ResolvedTerm& CollectionTerms::term(std::uint32_t field, const std::string& term) {
  const auto [place, is_new] = terms_.try_emplace({field, term});
  ResolvedTerm& resolved = place->second;
  if (!is_new) return resolved;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const TermIndex* index = entries_[i].fields[field];
    resolved.infos.push_back(index ? index->find(bytes_of(term)) : std::nullopt);
    if (resolved.infos.back()) resolved.df += statistics(i).df(slots_[field], bytes_of(term), *index, *resolved.infos.back(), counted(entries_[i]));
  }
  return resolved;
}

double CollectionTerms::idf(std::uint64_t n, std::uint64_t df) {
  const double rest = static_cast<double>(n) - static_cast<double>(std::min(n, df)) + 0.5;
  return std::log(1 + rest / (static_cast<double>(df) + 0.5));
}

}  // namespace vicino
