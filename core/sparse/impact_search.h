// The rows of the largest dot products with a sparse query, from impacts (impacts.h): upper bounds of all sums are made window by window, and what
// they leave is scored exactly.
#pragma once
#include "sparse/impacts.h"
#include "sparse/maxscore.h"

namespace vicino {

/// Of so many lists the bounds of one row fit into 16 bits with little lost.
constexpr std::size_t kImpactListsMax = 1024;

/// Does what offer_best does for sparse vectors, at most kImpactListsMax lists of an entry that has impacts.
void offer_best_by_impacts(const SparseEntry& entry, const Impacts& impacts, std::span<const FlatList> lists, double scale, BestRows& best, SparseStats& stats,
                           const Cancel& cancel);

}  // namespace vicino
