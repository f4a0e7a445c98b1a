// A hierarchical navigable small world (Malkov and Yashunin 2018) over the rows of one sealed segment, in one self-contained buffer.
//
// It is a graph (graph.h) made in another way and with another way in. Every node is drawn a highest layer, each layer holding about one
// m-th of the nodes below it; nodes are inserted in turn, and link on each of their layers to the nearest found that lie in different
// directions: up to m of them, 2m on the base when others have linked back. A search descends from the top to the base, then walks there as it
// does on any graph: over codes, with copies, under a condition.
//
//   header 64     magic "VICHNSW\0", u32 format, u32 rows, u32 m, u32 layers above the base, u64 size of the buffer, u64 size of the graph,
//                 24 bytes 0
//   counts        u32 * layers             nodes of each layer, the lowest first
//   upper links   u32 * m * sum of counts  of each layer, the lowest first: m slots a node; kNone fills the end
//   graph         the base, as graph.h draws it; its nodes are numbered so that those of higher layers come first
// Each part starts at a multiple of 64.
//
// Links are checked as they are read; a damaged buffer gives CorruptionError, never a stray read.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "index/graph.h"
#include "index/upper_layers.h"

namespace vicino {

struct HnswParams {
  std::uint32_t m = 16;  // links of a node on the upper layers, 2 to 64; twice as many on the base
  std::uint32_t ef_construct = 200;  // beam of an insertion, at least m and at most 10000
  std::uint64_t seed = 0;
  NodeCodes codes = NodeCodes::bits4;
};

/// Builds the index of `rows` (ascending rows of the block that have a vector). Geometry, copies and types as build_graph.
/// The same rows, order and parameters give the same bytes for any number of threads: nodes are inserted in batches, each of which sees
/// the graph as the one before left it (ParlayANN, arXiv 2305.04359). progress, if given, rises to rows.size(). Throws Cancelled.
std::vector<std::uint8_t> build_hnsw(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const HnswParams& params,
                                     unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress);

/// Upper bound of the memory a build allocates, its result included, the block not.
std::size_t hnsw_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, const HnswParams& params, unsigned threads);

class Hnsw {
 public:
  Hnsw() = default;
  /// Throws CorruptionError unless the buffer is an index over a segment of n_rows rows, FormatError when it is of a newer format.
  static Hnsw open(Blob buffer, std::uint32_t n_rows);
  /// Whether the buffer holds an index, or in it a graph, of a format that is no longer walked.
  static bool is_outdated(const Blob& buffer);

  /// The same index, with all that a walk of the base reads copied into memory of large pages; of the small upper layers the buffer is read.
  Hnsw in_memory() const {
    Hnsw copy = *this;
    copy.graph_ = graph_.in_memory();
    return copy;
  }
  /// Memory of that copy, 0 for an index that reads from its buffer alone.
  std::size_t memory_bytes() const { return graph_.memory_bytes(); }

  /// As Graph::search, begun where a descent through the layers ends.
  WalkEnd search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0, const WalkLimits& limits = {}) const {
    return graph_.search(query, block, allowed, ef, nearest, stats, cancel, first_row, limits, &layers_);
  }
  /// As Graph::scan, only where graph().has_codes().
  void scan(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates, TopK& nearest,
            SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0) const {
    graph_.scan(query, block, allowed, candidates, nearest, stats, cancel, first_row);
  }

  /// Reads and checks every byte. Throws CorruptionError.
  void verify() const;

  /// The base. By itself it is walked from its entries.
  const Graph& graph() const { return graph_; }
  const UpperLayers& upper_layers() const { return layers_; }
  std::uint32_t m() const { return m_; }
  /// The base included; 0 without nodes.
  std::uint32_t n_layers() const { return graph_.n_nodes() ? layers_.size() + 1 : 0; }
  std::size_t size_bytes() const { return buffer_.size(); }
  /// What a search reads of the buffer: the upper links, and of the base what a walk reads.
  std::size_t hot_bytes() const { return upper_bytes_ + graph_.hot_bytes(); }

 private:
  Blob buffer_;
  std::uint32_t m_ = 0;
  std::size_t upper_bytes_ = 0;
  UpperLayers layers_;
  Graph graph_;
};

}  // namespace vicino
