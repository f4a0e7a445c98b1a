// A navigable graph over the rows of one sealed segment, in one self-contained buffer.
//
// Every distinct row is a node with at most R links to nodes near it in different directions; rows that are byte for byte the same share
// one node, and so do crowds of rows that are nearly the same (copy_groups.h). Nodes are numbered so that neighbors lie near each other in
// memory, but for the entries, which come first. There are no layers: a search scores the entries, starts from the nearest of them and
// walks (walk.h); at the end it scores the rows of the nodes it kept, and the near copies. Every node is reachable from node 0, so a search
// whose beam is as wide as the graph sees every node.
//
// A walk over floats goes by 4-bit codes of the rows (codes/), which lie here in the order of nodes; over other types, and under l1, it goes by
// the rows themselves.
//
//   header 64     magic "VICGRAPH", u32 format, u32 rows, u32 nodes, u32 links per node R, u32 entries, u32 groups of copies, u32 copies,
//                 u32 bytes of factors beside a link, u64 size of the buffer, u64 size of the codes, f32 growth of distances
//                 (growth.h), u32 beam of walks when nobody says how wide (usual_beam.h)
//   row_of_node   u32 * nodes      the row a node stands for
//   node_of_row   u32 * rows       the node that stands for a row; kNone for a row without a vector. Read by scans, not by walks
//   links         nodes blocks     u32 * R nodes, nearest first, kNone fills the end; then for each of them the factors of its code, packed
//                                  (graph_codes.h), so that a walk has them with the link. Each block is padded to a multiple of 64
//   group_nodes   u32 * groups     nodes that stand for several rows, ascending
//   group_starts  u32 * (groups + 1), absent without groups
//   near_starts   u32 * groups     where among the copies of each group the near ones begin
//   duplicates    u32 * copies     the other rows of each group: those that are the same byte for byte, ascending, then near copies, ascending
//   has_group     u64 * ceil(nodes / 64), absent without groups: bit i says that node i is in group_nodes
//   codes         codes of the nodes, graph_codes.h; absent for types and metrics that have none
// Each part starts at a multiple of 64.
//
// Links and rows are checked as they are read, entries and duplicates when the buffer is opened: opening touches no page of the large
// parts, and a damaged buffer gives CorruptionError, never a stray read.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/graph_codes.h"
#include "index/rescoring.h"
#include "kernels/vectors.h"
#include "util/blob.h"
#include "util/cancel.h"
#include "util/prefetch.h"
#include "util/top_k.h"

namespace vicino {

struct GraphParams {
  std::uint32_t links = 32;        // R, at most 128
  float alpha = 1.2f;              // of the second pruning pass, over squared distances
  std::uint32_t leaf = 1024;       // rows compared all with all
  std::uint32_t replicates = 8;    // independent partitions
  std::uint32_t per_leaf = 12;     // candidates a row takes from each of its leaves
  std::uint64_t seed = 0;
  NodeCodes codes = NodeCodes::bits4;
};

struct SearchStats {
  std::uint64_t rows_scored = 0;  // distances computed, by codes or by rows
  std::uint64_t rescored = 0;     // of these, exact ones after a walk or scan over codes
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

/// When a walk under a filter gives up, so that its caller takes another way (walk_guard.h).
struct WalkLimits {
  double share = 0;  // of rows that match in the whole graph: where far fewer match near the query, the walk ends. 0: it is not watched
  std::uint64_t scored_max = ~std::uint64_t{0};  // rows
  const std::uint64_t* nodes = nullptr;  // bit i: node i stands for an allowed row; null: that is asked of the rows, which takes longer
};

/// How a walk ended. Only one that finished has offered anything.
enum class WalkEnd : std::uint8_t { finished, opposed, over_budget };

class EntryGroups;
class PackedCodes;
class UpperLayers;

class Graph {
 public:
  Graph() = default;
  /// Throws CorruptionError unless the buffer is a graph over a segment of n_rows rows, FormatError when it is of a newer format.
  static Graph open(Blob buffer, std::uint32_t n_rows);
  /// Whether the buffer holds a graph of a format that is no longer walked.
  static bool is_outdated(const Blob& buffer);

  /// The same graph, with all that a walk reads copied into memory of large pages. The buffer is kept for the rest.
  Graph in_memory() const;
  /// Memory of that copy, 0 for a graph that reads from its buffer alone.
  std::size_t memory_bytes() const { return memory_bytes_; }
  /// What packed codes take beside.
  std::size_t packed_bytes() const { return codes_ ? codes_->packed_bytes() : 0; }

  /// Offers `nearest` allowed rows near the query, as first_row + row; bit i of `allowed` is row i, null allows all. The walk goes
  /// through rows that are not allowed too. ef: beam width, at least k for k good hits; work grows about linearly with it.
  /// With `layers`, which are of nodes of this graph, the walk begins where these lead instead of at the nearest entries.
  /// Adds to `stats`. Safe to call from many threads. Throws Cancelled, and CorruptionError when it meets a damaged link.
  WalkEnd search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0, const WalkLimits& limits = {},
                 const UpperLayers* layers = nullptr, const Rescoring& rescoring = {}) const;

  /// The same by scoring every allowed row, and rescoring the nearest; only over codes. `candidates`: how many rows are allowed. `nodes`:
  /// those that stand for them, ascending, each once; empty: they are found from the rows, which takes longer. `packed`: the codes of `nodes`, or null.
  void scan(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates, TopK& nearest,
            SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0, const Rescoring& rescoring = {},
            std::span<const std::uint32_t> nodes = {}, const PackedCodes* packed = nullptr) const;
  bool has_codes() const { return codes_ != nullptr; }

  /// Reads and checks every byte: links and rows in range, every node reachable. Throws CorruptionError.
  void verify() const;

  std::uint32_t n_rows() const { return n_rows_; }
  std::uint32_t n_nodes() const { return n_nodes_; }
  /// Bytes of a code's factors beside each link.
  std::uint32_t link_factor_bytes() const { return codes_ ? codes_->packing().bytes : 0; }
  std::uint32_t n_links() const { return n_links_; }
  /// Nodes 0 to this are where walks begin.
  std::uint32_t n_entries() const { return n_entries_; }
  std::size_t size_bytes() const { return buffer_.size(); }
  /// What a walk reads: links, codes, the rows of nodes, entries.
  std::size_t hot_bytes() const;
  /// Links of a node, checked.
  std::span<const std::uint32_t> links_of(std::uint32_t node) const;
  /// Throws InvalidArgument unless the block has the rows of this graph, CorruptionError unless its codes may be of such rows.
  void check_block(const VectorBlock& block) const;
  /// The row a node stands for, checked.
  std::uint32_t row_of(std::uint32_t node) const {
    const std::uint32_t row = row_of_node_[node];
    if (row >= n_rows_) refuse_row_of(node);
    return row;
  }

  /// The node that stands for a row, checked; kNone for a row without a vector.
  std::uint32_t node_of(std::uint32_t row) const;

  static constexpr std::uint32_t kNone = 0xffffffff;
  /// How fast distances grow with the number of nodes within them (growth.h); 0 where that is not known.
  float growth() const { return growth_; }
  /// How wide the beam of a walk is when nobody says (usual_beam.h); 0 where that is not known. As wide as the graph: a scan finds more, sooner.
  std::uint32_t usual_beam() const { return usual_beam_; }

  /// Null for a graph without codes.
  const GraphCodes* codes() const { return codes_.get(); }
  const std::shared_ptr<const GraphCodes>& shared_codes() const { return codes_; }
  /// The entries in groups, of a graph in memory that has codes; null where all entries are asked.
  const EntryGroups* entry_groups() const { return entry_groups_.get(); }
  /// The codes of the entries packed; null where they are read where they lie.
  const PackedCodes* packed_entries() const { return packed_entries_.get(); }
  // To the second cache only, as codes: there more lines may be on their way at once. Factors are asked for when a node is expanded: of those
  // whose links are asked for, most never are.
  VICINO_PREFETCHES void prefetch_links(std::uint32_t node) const { prefetch_run(link_block(node), 4 * std::size_t{n_links_}); }
  VICINO_PREFETCHES void prefetch_link_factors(std::uint32_t node) const {
    const std::size_t first = 4 * std::size_t{n_links_} / 64 * 64;
    prefetch_run(link_block(node) + first, link_stride_ - first);
  }
  /// The links of a node as they lie there, unchecked: nodes, and from the first number that is none only kNone, unless damaged.
  std::span<const std::uint32_t> link_slots(std::uint32_t node) const {
    return {reinterpret_cast<const std::uint32_t*>(link_block(node)), n_links_};
  }
  /// The packed factors of the codes of these links, one behind the other; nothing where codes are not packed.
  const std::uint8_t* link_factors(std::uint32_t node) const { return link_block(node) + 4 * std::size_t{n_links_}; }
  VICINO_PREFETCHES void prefetch_row_of(std::uint32_t node) const { __builtin_prefetch(row_of_node_.data() + node); }
  bool stands_for_several(std::uint32_t node) const { return !has_group_.empty() && (has_group_[node >> 6] >> (node & 63) & 1); }
  /// The part of the buffer that says which rows are copies.
  Bytes copies_part() const;
  bool has_near_copies() const { return !near_starts_.empty(); }
  struct Copies {
    std::span<const std::uint32_t> same, near;
  };
  /// The other rows that a node stands for.
  Copies copies_of(std::uint32_t node) const;

 private:
  const std::uint8_t* link_block(std::uint32_t node) const { return link_blocks_.data() + node * link_stride_; }
  /// Makes the codes of the entries ready to be read faster, in a graph whose codes are in memory.
  void arrange_entries();
  void check_small_parts() const;
  void check_link_factors() const;
  [[noreturn]] void refuse_row_of(std::uint32_t node) const;

  Blob buffer_;
  std::uint32_t n_rows_ = 0, n_nodes_ = 0, n_links_ = 0, n_entries_ = 0;
  float growth_ = 0;
  std::uint32_t usual_beam_ = 0;
  std::span<const std::uint32_t> row_of_node_, node_of_row_, group_nodes_, group_starts_, near_starts_, duplicates_;
  Bytes link_blocks_;
  std::size_t link_stride_ = 0;
  std::span<const std::uint64_t> has_group_;
  Bytes codes_bytes_;
  std::shared_ptr<const GraphCodes> codes_;  // null: walks go by rows
  std::shared_ptr<const EntryGroups> entry_groups_;
  std::shared_ptr<const PackedCodes> packed_entries_;
  std::shared_ptr<const std::uint8_t[]> memory_;
  std::size_t memory_bytes_ = 0;
};

}  // namespace vicino
