// Queries of any shape, clause by clause over windows of rows: exact and exhaustive, for what maxscore.h does not cover.
#pragma once
#include "sparse/collection_terms.h"

namespace vicino {

std::vector<SparseHit> search_clauses(const TextQuery& query, CollectionTerms& terms, std::size_t k, std::vector<SparseStats>& stats, const Cancel& cancel);

struct WeightedTerm {
  const ResolvedTerm* resolved;
  double weight;
};

/// Sums of weight times weight, which may be below 0.
std::vector<SparseHit> sum_weights(std::span<const WeightedTerm> terms, std::span<const SparseEntry> entries, std::size_t k, std::vector<SparseStats>& stats,
                                   const Cancel& cancel);

}  // namespace vicino
