// The rows of the largest sums of shares: what words of one field and sparse vectors come to. See search.h.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "sparse/search.h"

namespace vicino {

/// One term of the query in one entry.
struct FlatList {
  const TermIndex* index;
  TermInfo info;
  float weight;      // above 0; times idf
  float bound;       // of a posting's share before the weight, valid for this query's norm; times info.bound's own scale for its blocks
  float bound_scale; // a block's own bound times this is valid for this query's norm
};

/// The k best rows so far, by score, then by row.
class BestRows {
 public:
  explicit BestRows(std::size_t k) : k_(k) {}
  std::size_t k() const { return k_; }
  /// Scores below this cannot enter; equal ones may.
  std::uint32_t threshold() const { return heap_.size() == k_ ? heap_.front().score : 0; }
  void offer(std::uint32_t score, std::uint64_t row);
  std::vector<SparseHit> take(double unit) &&;

 private:
  struct Kept {
    std::uint32_t score;
    std::uint64_t row;
    /// Better ones come first.
    friend bool operator<(const Kept& a, const Kept& b) { return a.score != b.score ? a.score > b.score : a.row < b.row; }
  };
  std::size_t k_;
  std::vector<Kept> heap_;  // the worst at the front
};

/// Offers every row of one entry that can be among the best. scale: integer units per unit of score; the sum of all weights times bounds times
/// it stays below 2**31. norm: how lengths count; null for sparse vectors, whose shares are weights.
void offer_best(const SparseEntry& entry, std::span<const FlatList> lists, const LengthNorm* norm, double scale, BestRows& best, SparseStats& stats,
                const Cancel& cancel);

}  // namespace vicino
