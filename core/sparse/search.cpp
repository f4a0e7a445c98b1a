// The most usual queries, straight to the best rows; all others go to clause by clause (evaluate.h).
#include "sparse/search.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sparse/collection_terms.h"
#include "sparse/evaluate.h"
#include "sparse/impact_search.h"
#include "sparse/maxscore.h"
#include "sparse/shortlist.h"
#include "sparse/word_search.h"

namespace vicino {

namespace {

constexpr double kLargestSum = 1u << 30;
/// A share is rounded to a whole unit; sums of so many units a share are right to five millionths.
constexpr double kExactUnits = 1e5;

/// What a bound made for one norm must be multiplied with to hold for another: the largest ratio of the two over all lengths.
float bound_scale(const LengthNorm& built, const LengthNorm& asked) {
  if (built.average <= 0) return 1;  // such bounds hold for any norm
  const float fixed = built.k1 * (1 - built.b), fixed_asked = asked.k1 * (1 - asked.b);
  const float slope = built.k1 * built.b / built.average, slope_asked = asked.k1 * asked.b / asked.average;
  const auto ratio = [](float a, float b) { return b > 0 ? a / b : a > 0 ? __builtin_inff() : 1.0f; };
  return std::max({1.0f, ratio(fixed, fixed_asked), ratio(slope, slope_asked)});
}

/// A term of the query, in all entries.
struct FlatTerm {
  const ResolvedTerm* resolved;
  double weight;
};

/// The best rows, unless one of them is worth so little beside the largest possible sum that rounding would show, or there are too many terms: then
/// nothing.
std::optional<std::vector<SparseHit>> search_flat(std::span<const FlatTerm> terms, const LengthNorm* norm, std::span<const SparseEntry> entries, std::size_t k,
                                   std::vector<SparseStats>& stats, const Cancel& cancel) {
  std::vector<std::vector<FlatList>> lists(entries.size());
  double most = 0;
  for (const FlatTerm& term : terms) {
    double most_of_term = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!term.resolved->infos[i]) continue;
      const TermIndex* index = entries[i].fields[0];
      const TermInfo& info = *term.resolved->infos[i];
      const float scale = norm ? bound_scale(index->norm_at_build(), *norm) : 1;
      const float bound = norm ? std::min(1.0f, info.bound * scale) : info.bound;
      lists[i].push_back({index, info, static_cast<float>(term.weight), bound, scale});
      most_of_term = std::max(most_of_term, term.weight * (norm ? 1.0 : bound));
    }
    most += most_of_term;
  }
  if (!(most > 0)) return std::vector<SparseHit>{};
  if (terms.size() > kRoundedListsMax) return std::nullopt;
  const double scale = kLargestSum / most;
  BestRows best(k);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (lists[i].empty()) continue;
    const Impacts* impacts = norm ? nullptr : entries[i].fields[0]->impacts();
    if (impacts) offer_best_by_impacts(entries[i], *impacts, lists[i], scale, best, stats[i], cancel);
    else if (!norm || !offer_best_words(entries[i], lists[i], *norm, scale, best, stats[i], cancel)) offer_best(entries[i], lists[i], norm, scale, best, stats[i], cancel);
  }
  auto hits = std::move(best).take(1 / scale);
  if (!hits.empty() && hits.back().score * scale < kExactUnits * static_cast<double>(terms.size())) return std::nullopt;
  return hits;
}

/// Whether plain words of one field are asked for, any of which may be met.
bool is_flat(const TextQuery& query) {
  return query.root.kind == TextClause::Kind::words && query.fields.size() == 1 && query.root.minimum <= 1;
}

}  // namespace

std::vector<SparseHit> search_text(const TextQuery& query, std::span<const SparseEntry> entries, std::size_t k, std::vector<SparseStats>& stats,
                                   const Cancel& cancel) {
  stats.assign(entries.size(), {});
  std::vector<std::uint32_t> slots;
  for (const TextField& field : query.fields) slots.push_back(field.slot);
  CollectionTerms terms(entries, slots, query.filtered_statistics);
  if (!is_flat(query)) return search_clauses(query, terms, k, stats, cancel);

  const TextField& field = query.fields[0];
  const auto& totals = terms.field(0);
  const LengthNorm norm{field.k1 / field.boost, field.b, static_cast<float>(totals.average)};
  // Words that come twice count twice; forms that several words share are one list.
  std::map<std::string, double> weights;
  for (const auto& word : query.root.words)
    for (const TextTerm& form : word) weights[form.term] += form.weight;
  std::vector<FlatTerm> flat;
  for (const auto& [term, weight] : weights) {
    const ResolvedTerm& resolved = terms.term(0, term);
    if (resolved.df && weight > 0) flat.push_back({&resolved, weight * CollectionTerms::idf(totals.n, resolved.df)});
  }
  if (auto hits = search_flat(flat, &norm, entries, k, stats, cancel)) return std::move(*hits);
  return search_clauses(query, terms, k, stats, cancel);
}

std::vector<SparseHit> search_sparse(std::uint32_t slot, std::span<const std::uint32_t> indices, std::span<const float> weights, bool idf, std::span<const SparseEntry> entries,
                                     std::size_t k, std::vector<SparseStats>& stats, const Cancel& cancel) {
  stats.assign(entries.size(), {});
  CollectionTerms terms(entries, {&slot, 1}, false);
  std::vector<FlatTerm> flat;
  bool has_negative = std::ranges::any_of(weights, [](float weight) { return weight < 0; });
  for (const SparseEntry& entry : entries) has_negative |= entry.fields[0] && entry.fields[0]->has_negative();
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const ResolvedTerm& resolved = terms.term(0, sparse_term(indices[i]));
    if (resolved.df && weights[i] != 0) flat.push_back({&resolved, weights[i] * (idf ? CollectionTerms::idf(terms.field(0).n, resolved.df) : 1.0)});
  }
  if (!has_negative)
    if (auto hits = search_flat(flat, nullptr, entries, k, stats, cancel)) return std::move(*hits);
  std::vector<WeightedTerm> weighted;
  for (const FlatTerm& term : flat) weighted.push_back({term.resolved, term.weight});
  return sum_weights(weighted, entries, k, stats, cancel);
}

}  // namespace vicino
