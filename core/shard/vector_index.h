// The index over one vector of a sealed segment, of whichever kind the user chose, in one container:
//
//   meta    u32 slot
//   graph   index/graph.h, and where it is walked from disk
//   pages   index/page_graph.h; or
//   hnsw    index/hnsw.h, or
//   lists   ivf/ivf.h, or
//   codes   index/flat_codes.h
//   made    how it was asked for, as text that only the caller understands: an index made otherwise is built anew. Absent: the default graph
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "index/flat_codes.h"
#include "index/held_graph.h"
#include "index/hnsw.h"
#include "index/page_graph.h"
#include "ivf/ivf.h"
#include "ivf/list_plan.h"
#include "shard/search_costs.h"
#include "storage/container.h"

namespace vicino {

class VectorIndex {
 public:
  /// Null when the container holds a graph of a format that is no longer searched. Throws CorruptionError unless what it holds is over
  /// n_rows rows.
  static std::shared_ptr<const VectorIndex> open(const Container& container, std::uint32_t n_rows);

  /// Exactly one of these is there. The graph is the one to search, see HeldGraph.
  const Graph* graph() const { return graph_ ? &graph_->walked() : nullptr; }
  /// That graph as it lies in its file: nothing is copied for who only looks at it.
  const Graph* mapped_graph() const { return graph_ ? &graph_->graph() : nullptr; }
  /// By which a walk of that graph comes near its query; null: it begins at the entries.
  const UpperLayers* layers() const { return hnsw_ ? &hnsw_->upper_layers() : nullptr; }
  /// The blocks of that graph, where it was made to be walked from disk; null: it is not.
  const PageGraph* pages() const { return pages_ ? &*pages_ : nullptr; }
  const Ivf* lists() const { return lists_ ? &*lists_ : nullptr; }
  const FlatCodes* codes() const { return codes_ ? &*codes_ : nullptr; }
  const std::string& made() const { return made_; }
  /// Of how it was made; 0 for the default.
  std::uint64_t identity() const { return identity_; }
  void keep_in_memory() const {
    if (graph_ && !pages_) graph_->keep_in_memory();
  }
  /// Of searches of the graph, which has codes: as they were measured, or assumed until then. Safe to call from many threads, as is set_costs.
  SearchCosts costs() const {
    const std::lock_guard lock(costs_mutex_);
    return costs_.is_measured ? costs_ : assumed_costs(*graph());
  }
  void set_costs(const SearchCosts& costs) const {
    const std::lock_guard lock(costs_mutex_);
    costs_ = costs;
  }
  /// Anonymous memory held.
  std::size_t memory_bytes() const { return (graph_ ? graph_->memory_bytes() : 0) + (pages_ ? pages_->memory_bytes() : 0); }
  /// Reads and checks every byte; what repeats rows is compared with those of the block. Throws CorruptionError.
  void verify(const VectorBlock& block) const;

 private:
  std::unique_ptr<HeldGraph> graph_;
  std::optional<Hnsw> hnsw_;  // graph_ is its base
  std::optional<PageGraph> pages_;  // of graph_
  std::optional<Ivf> lists_;
  std::optional<FlatCodes> codes_;
  std::string made_;
  std::uint64_t identity_ = 0;
  mutable std::mutex costs_mutex_;
  mutable SearchCosts costs_;
};

/// How an index is built, by the names that users know.
struct VectorIndexParams {
  std::string kind = "graph";    // graph, hnsw, ivf_flat, ivf, ivf_pq, ivf_opq, ivf_hnsw; flat, with codes
  std::uint32_t nlist = 0;       // lists; 0: chosen by the number of rows
  std::uint32_t subvectors = 0;  // of product codes; 0: chosen by the dimension
  std::uint32_t bits = 4;        // of a subvector
  bool copies = false;           // rows at a border are in a second list
  std::uint32_t m = 16;          // links of a hierarchical graph
  std::uint32_t ef_construct = 200;
  std::uint32_t sample = 64;     // rows that lists are trained on, a list
  std::string codes = "auto";    // 1bit, 4bit, 8bit, pq or none, where the kind can have them; auto: what the kind has by itself
  std::string layout = "memory";  // or disk, of graphs: there are blocks beside, which PageWriter makes from what is built

  bool has_lists() const { return kind.starts_with("ivf"); }
};

/// The section of the container that holds such an index.
const char* section_of(const VectorIndexParams& params);

/// Deterministic for any number of threads. Throws Cancelled; InvalidArgument for a kind that does not go with the rows or the metric.
/// Lists are written as they are made; other kinds lie in memory as a whole before.
void write_vector_index(const VectorIndexParams& params, const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric,
                        unsigned threads, const Cancel& cancel, PieceWriter& out);

/// Lists that some of the rows were in before, and which of them: the others are new.
struct ListsBefore {
  const Ivf* lists = nullptr;
  std::function<bool(std::uint32_t)> is_new;
};

/// The lists of rows that are about to be written in their order. Those that most of these rows were in keep their centroids as long as they
/// fit: while about as many lists are wanted, and new rows are not much farther from them than rows were when they were trained.
ListPlan plan_vector_lists(const VectorIndexParams& params, const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric,
                           unsigned threads, const Cancel& cancel, const ListsBefore& before);
/// The index of planned lists over the block that holds their rows.
void write_planned_lists(const VectorIndexParams& params, const VectorBlock& block, ListPlan plan, Metric metric, unsigned threads,
                         const Cancel& cancel, PieceWriter& out);

/// Upper bound of the memory that writing an index allocates, the rows not.
std::size_t vector_index_build_bytes(const VectorIndexParams& params, std::size_t rows, std::uint32_t dim, Dtype dtype, Metric metric,
                                     unsigned threads);

}  // namespace vicino
