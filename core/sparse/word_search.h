// The best rows for some words of one field, by their unpacked lists (unpacked.h): what maxscore.h does, where that is possible.
#pragma once
#include <span>

#include "sparse/maxscore.h"

namespace vicino {

/// Offers every row of one entry that can be among the best, as `offer_best` does. False when a list cannot be had unpacked: then nothing was offered.
bool offer_best_words(const SparseEntry& entry, std::span<const FlatList> lists, const LengthNorm& norm, double scale, BestRows& best, SparseStats& stats,
                      const Cancel& cancel);

}  // namespace vicino
