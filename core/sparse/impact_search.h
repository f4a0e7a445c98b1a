// The rows of the largest dot products with a sparse query, from impacts (impacts.h): upper bounds of all sums are made window by window, and what
// they leave is scored exactly.
#pragma once
#include "sparse/impacts.h"
#include "sparse/maxscore.h"

namespace vicino {

/// Does what offer_best does for sparse vectors, of an entry that has impacts.
void offer_best_by_impacts(const SparseEntry& entry, const Impacts& impacts, std::span<const FlatList> lists, double scale, BestRows& best, SparseStats& stats,
                           const Cancel& cancel);

}  // namespace vicino
