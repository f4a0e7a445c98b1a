// Where a graph is built: nodes as compact codes whose distances are exact functions of integers, so that they do not depend on the
// order of work, the number of threads or the instruction set.
//
// Numeric rows become centered 8-bit codes with one scale per row, in the geometry that fits the metric:
//   cosine   unit vectors; a zero row stays the zero vector
//   dot      the row, and sqrt(M^2 - |x|^2) as a further coordinate kept as a float: M is the largest norm. By l2 distance in that space
//            the nearest rows to (q, 0) are those of the largest inner product (Bachrach et al. 2014)
//   l2, l1   the row. Links by l2 serve l1 as well: of two rows near each other by one, the other's order rarely differs, and the walk
//            itself measures by l1
// Distances are squared l2. A code resolves about a hundredth of its row's largest coordinate; rows that differ by less, as in clusters a
// thousand times farther apart than they are wide, are near copies to it (copy_groups.h).
// Binary rows need no code: hamming distance is squared l2 over bits, and jaccard distance is squared l2 in
// some space too (it is one minus a positive definite kernel), so pruning by squared distances is sound for both.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/vectors.h"
#include "util/cancel.h"
#include "util/prefetch.h"

namespace vicino {

/// Some nodes side by side, ready to be compared with others.
class Panel {
 public:
  std::size_t size() const { return size_; }

 private:
  friend class BuildSpace;
  std::size_t size_ = 0;
  std::vector<std::int8_t> codes_;
  std::vector<float> norms_, scales_, extras_;
  std::vector<std::int32_t> sums_;
};

class BuildSpace {
 public:
  /// Node i stands for row rows[i] of the block. The block must outlive the space only for binary rows.
  /// Throws CorruptionError for a row that is not finite: none such is ever written.
  BuildSpace(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, unsigned threads, const Cancel& cancel);

  std::uint32_t size() const { return static_cast<std::uint32_t>(rows_.size()); }
  std::uint32_t row(std::uint32_t node) const { return rows_[node]; }
  /// Nodes no farther from this one are near copies of it: at about one step of its code in every coordinate a distance is mostly an
  /// error of rounding, and at a fiftieth of how far rows lie apart in all it matters to few. 0 for binary rows.
  float near_distance(std::uint32_t node) const {
    if (is_binary_) return 0;
    const float scale = factors_[node].scale;
    return std::max(scale * scale * static_cast<float>(dim_), near_distance_min_);
  }
  /// Node i becomes what node order[i] was. `order` is a permutation.
  void reorder(std::span<const std::uint32_t> order);

  void gather(std::span<const std::uint32_t> nodes, Panel& panel) const;
  /// out[r * columns.size() + c] = distance of row first + r < first + count of one panel and column c of another. `dots` is scratch space.
  /// The distance of two nodes is the same bits whichever is the row.
  void distances(const Panel& rows, std::size_t first, std::size_t count, const Panel& columns, std::vector<std::int32_t>& dots, float* out) const {
    distances(rows, first, count, columns, 0, columns.size(), dots, columns.size(), out);
  }
  /// The same for columns c_first <= c < c_last alone; rows of `out` are `stride` apart.
  void distances(const Panel& rows, std::size_t first, std::size_t count, const Panel& columns, std::size_t c_first, std::size_t c_last,
                 std::vector<std::int32_t>& dots, std::size_t stride, float* out) const;
  /// out[i] = distance of a node and others[i]: the same bits, without a panel.
  void distances_at(std::uint32_t node, std::span<const std::uint32_t> others, float* out) const;
  /// Asks for the codes of nodes that will soon be compared.
  VICINO_PREFETCHES void prefetch(std::span<const std::uint32_t> nodes) const {
    for (const std::uint32_t node : nodes) {
      if (!is_binary_) __builtin_prefetch(&factors_[node]);
      for (std::size_t at = 0; at < std::min<std::size_t>(stride_, 1024); at += 64) __builtin_prefetch(code_of(node) + at);
    }
  }
  /// The node nearest to the mean of all.
  std::uint32_t central_node() const;
  /// For dot, the `count` nodes of the largest norms, which are the answers to most queries; none for other metrics.
  std::vector<std::uint32_t> dominant_nodes(std::uint32_t count) const;

  static std::size_t bytes_per_node(std::uint32_t dim, Dtype dtype);

 private:
  struct Factors {
    float norm = 0, scale = 0, extra = 0;
    std::int32_t sum = 0;
  };
  void encode(const VectorBlock& block, unsigned threads, const Cancel& cancel);
  template <class Read>
  std::vector<float> mean_of(Read&& read, const Cancel& cancel) const;
  const std::int8_t* code_of(std::uint32_t node) const { return codes_.data() + std::size_t{node} * stride_; }

  Metric metric_;
  std::uint32_t dim_;
  bool is_binary_;
  std::size_t stride_;  // bytes from one code to the next
  std::vector<std::uint32_t> rows_;
  std::vector<std::int8_t> codes_;
  std::vector<Factors> factors_;  // empty for binary rows
  float near_distance_min_ = 0;
};

}  // namespace vicino
