// A navigable graph over the rows of one sealed segment, in one self-contained buffer.
//
// Every distinct row is a node with at most R links to rows near it in different directions; rows that are byte for byte the same share
// one node, and so do crowds of rows that are nearly the same (copy_groups.h). There are no layers: a search scores a table of about
// sqrt(n) entry rows, starts from the nearest of them and walks; at the end it scores the near copies of the nodes it kept. Every node is
// reachable from the first entry row, so a search whose beam is as wide as the graph sees every node.
//
//   header 64     magic "VICGRAPH", u32 format, u32 rows, u32 nodes, u32 links per node R, u32 entries, u32 duplicate groups,
//                 u32 duplicates, u32 0, u64 size of the buffer, 16 bytes 0. The format is 2 if any group has near copies, else 1
//   node_of_row   u32 * rows       node of a row; kNone for a row without a vector and for one that another row's node stands for
//   links         u32 * nodes * R  rows, nearest first; kNone fills the end
//   entries       u32 * entries    rows
//   group_rows    u32 * groups     row of the node that stands for each group of duplicates, ascending
//   group_starts  u32 * (groups + 1)
//   duplicates    u32 * duplicates the other rows of each group: those that are the same byte for byte, ascending, then near copies, ascending
//   has_group     u64 * ceil(rows / 64), absent without groups: bit i says that row i is in group_rows
//   near_starts   u32 * groups, absent in format 1: where among the duplicates the near copies of each group begin
// Each part starts at a multiple of 64.
//
// Links and rows are checked as they are read, entries and duplicates when the buffer is opened: opening touches no page of the large
// parts, and a damaged buffer gives CorruptionError, never a stray read.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/vectors.h"
#include "util/blob.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

struct GraphParams {
  std::uint32_t links = 32;        // R, at most 64
  float alpha = 1.2f;              // of the second pruning pass, over squared distances
  std::uint32_t leaf = 1024;       // rows compared all with all
  std::uint32_t replicates = 8;    // independent partitions
  std::uint32_t per_leaf = 12;     // candidates a row takes from each of its leaves
  std::uint64_t seed = 0;
};

struct SearchStats {
  std::uint64_t rows_scored = 0;  // distances computed
  std::uint64_t hops = 0;         // nodes expanded
};

/// Builds the graph of `rows` (ascending rows of the block that have a vector; the rest are absent from it).
/// The same rows, order and parameters give the same bytes for any number of threads. Geometry: unit vectors for cosine; for dot, rows
/// augmented by sqrt(M^2 - |x|^2), so that the nearest by inner product are the nearest by l2; l2 for l2 and l1, whose walks then
/// measure by the real metric; the metric itself for binary rows.
/// progress, if given, rises to rows.size(). Throws Cancelled.
std::vector<std::uint8_t> build_graph(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const GraphParams& params,
                                      unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress);

/// Upper bound of the memory a build allocates, its result included, the block not.
std::size_t graph_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, const GraphParams& params, unsigned threads);

class Graph {
 public:
  Graph() = default;
  /// Throws CorruptionError unless the buffer is a graph over a segment of n_rows rows, FormatError when it is of a newer format.
  static Graph open(Blob buffer, std::uint32_t n_rows);

  /// Offers `nearest` allowed rows near the query, as first_row + row; bit i of `allowed` is row i, null allows all. The walk goes
  /// through rows that are not allowed too. ef: beam width, at least k for k good hits; work grows about linearly with it.
  /// Adds to `stats`. Safe to call from many threads. Throws Cancelled, and CorruptionError when it meets a damaged link.
  void search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0) const;

  /// Reads and checks every byte: links and rows in range, every node reachable. Throws CorruptionError.
  void verify() const;

  std::uint32_t n_rows() const { return n_rows_; }
  std::uint32_t n_nodes() const { return n_nodes_; }
  std::uint32_t n_entries() const { return static_cast<std::uint32_t>(entries_.size()); }
  std::size_t size_bytes() const { return buffer_.size(); }
  /// Links of a row, checked; empty for a row that has no node.
  std::span<const std::uint32_t> links_of(std::uint32_t row) const;

  static constexpr std::uint32_t kNone = 0xffffffff;

 private:
  std::size_t group_of(std::uint32_t row) const;
  template <class Offer>
  void offer_equal(std::uint32_t row, Offer&& offer) const;

  Blob buffer_;
  std::uint32_t n_rows_ = 0, n_nodes_ = 0, n_links_ = 0;
  std::span<const std::uint32_t> node_of_row_, links_, entries_, group_rows_, group_starts_, duplicates_, near_starts_;
  std::span<const std::uint64_t> has_group_;
};

}  // namespace vicino
