// What searches of a graph are made of: how nodes are scored while walking, and how the nodes found become hits.
//
// A loop of its own (graph_search.cpp, or one that walks under filters) takes nodes from a WalkPool, scores their neighbors by a scorer and
// hands the nearest keys to GraphHits.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "index/graph.h"
#include "index/packed_codes.h"
#include "index/walk.h"
#include "util/prefetch.h"

namespace vicino {

/// Scores nodes by the rows they stand for.
class RowScorer {
 public:
  RowScorer(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, WalkMemory& memory)
      : graph_(graph), query_(query), block_(block), rows_(memory.rows) {}

  VICINO_PREFETCHES void prefetch(std::uint32_t) const {}  // distances_at() does
  LinkSlots links(std::span<const std::uint32_t> slots) const { return {.nodes = slots.data(), .count = slots.size()}; }
  VICINO_PREFETCHES void prefetch_factors(std::uint32_t) const {}
  void score_met(std::span<const std::uint32_t> nodes, const std::uint32_t*, const std::uint8_t*, float* out) const { score(nodes, out); }
  void score(std::span<const std::uint32_t> nodes, float* out) const {
    rows_.clear();
    for (const std::uint32_t node : nodes) rows_.push_back(graph_.row_of(node));
    query_.distances_at(block_, rows_, out);
  }
  static constexpr float error_of(std::uint32_t) { return 0; }
  static constexpr float largest_error() { return 0; }
  /// out[i] = distance of node i.
  void score_first(std::uint32_t count, float* out) const {
    rows_.clear();
    for (std::uint32_t node = 0; node < count; ++node) rows_.push_back(graph_.row_of(node));
    query_.distances_at(block_, rows_, out);
  }

 private:
  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  std::vector<std::uint32_t>& rows_;
};

/// Scores nodes by their codes. Only for graphs that have them.
class CodeScorer {
 public:
  /// Makes the query ready in `memory`, where it stays for GraphHits::rescore.
  CodeScorer(const Graph& graph, const PreparedQuery& query, WalkMemory& memory)
      : graph_(graph), codes_(*graph.codes()), query_(memory.query), high_(codes_.view().high),
        stride_(codes_.ladder().stride()), factor_(vicino::factor_bytes(codes_.view().format)) {
    codes_.ladder().prepare(static_cast<const float*>(query.values()), memory.query);
  }

  /// What MetNodes needs to take these links, so that their codes are on their way.
  LinkSlots links(std::span<const std::uint32_t> slots) const { return {.nodes = slots.data(), .count = slots.size(), .codes = high_, .stride = stride_}; }
  /// For score_met of the links of a node.
  VICINO_PREFETCHES void prefetch_factors(std::uint32_t node) const {
    if (codes_.packing().bytes) graph_.prefetch_link_factors(node);
  }
  /// For score.
  VICINO_PREFETCHES void prefetch(std::uint32_t node) const {
    prefetch_code(node);
    prefetch_error(node);
  }
  void score(std::span<const std::uint32_t> nodes, float* out) const { codes_.ladder().score4(query_, codes_.view(), nodes.data(), nodes.size(), out); }
  /// The same of so many nodes from `first` on.
  void score_run(std::uint32_t first, std::size_t count, float* out) const { codes_.ladder().score4_block(query_, codes_.view(), first, count, out); }
  /// The same of packed nodes, of which `first` is the first of a group; writes whole groups. Those up to node `end` will be read next.
  void score_packed(const PackedCodes& packed, std::size_t first, std::size_t count, std::size_t end, float* out) const {
    const Ladder& ladder = codes_.ladder();
    const std::size_t n_groups = (count + kCodeColumnRows - 1) / kCodeColumnRows, n_behind = (end - first - count) / kCodeColumnRows;
    ladder.score4_columns(query_, packed.groups() + first / kCodeColumnRows * ladder.column_group_bytes(), n_groups, n_behind, out);
  }
  /// The same of the links places[i] of one node, whose factors lie at `factors`.
  void score_met(std::span<const std::uint32_t> nodes, const std::uint32_t* places, const std::uint8_t* factors, float* out) const {
    const std::size_t bytes = codes_.packing().bytes;
    if (!bytes) return score(nodes, out);
    std::uint32_t packed[kGraphLinksMax];
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      packed[i] = 0;
      if (bytes == 4) std::memcpy(&packed[i], factors + 4 * std::size_t{places[i]}, 4);
      else std::memcpy(&packed[i], factors + 2 * std::size_t{places[i]}, 2);
    }
    codes_.ladder().score4_packed(query_, codes_.view(), codes_.packing(), nodes.data(), packed, nodes.size(), out);
  }
  /// out[i] = distance of node i < count, all entries; writes whole groups of packed codes.
  void score_first(std::uint32_t count, float* out) const {
    if (const PackedCodes* packed = graph_.packed_entries()) return score_packed(*packed, 0, count, count, out);
    score_run(0, count, out);
  }
  /// The largest bound of the error of any node's estimate, infinite where that is not known.
  float largest_error(CodeLevel level = CodeLevel::bits4) const {
    return level == CodeLevel::bits4 ? query_.error_of(CodeLevel::bits4, codes_.largest_scale()) : __builtin_inff();
  }
  VICINO_PREFETCHES void prefetch_error(std::uint32_t node) const { __builtin_prefetch(codes_.view().factors + node * factor_); }
  /// The bound of the error of a node's estimate.
  float error_of(std::uint32_t node, CodeLevel level = CodeLevel::bits4) const {
    return query_.error_of(level, codes_.ladder().scale_of(codes_.view(), level, node));
  }
  bool has_fine() const { return codes_.has_fine(); }
  /// By the 8-bit codes, where the graph has them.
  void score_fine(std::span<const std::uint32_t> nodes, float* out) const {
    codes_.ladder().score8(query_, codes_.view(), nodes.data(), nodes.size(), out);
  }

 private:
  // To the second cache only: there more lines may be on their way at once.
  VICINO_PREFETCHES void prefetch_code(std::uint32_t node) const {
    const std::uint8_t* code = high_ + node * stride_;
    for (std::size_t line = 0; line < stride_; line += 64) __builtin_prefetch(code + line, 0, 2);
  }

  const Graph& graph_;
  const GraphCodes& codes_;
  const QueryState& query_;
  const std::uint8_t* high_;
  std::size_t stride_, factor_;
};

/// Offers the rows that found nodes stand for, by their own distances; rows that are not allowed are passed over.
class GraphHits {
 public:
  GraphHits(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::uint64_t first_row,
            TopK& nearest, SearchStats& stats, const Cancel& cancel, const Rescoring& rescoring = {}, const std::uint64_t* allowed_nodes = nullptr)
      : graph_(graph), query_(query), block_(block), allowed_(allowed), allowed_nodes_(allowed_nodes), first_row_(first_row), nearest_(nearest),
        stats_(stats), cancel_(cancel), rescoring_(rescoring) {}

  /// The block is of a mapped file that is read from disk: rows are asked for before they are scored.
  void read_rows_ahead() { reads_ahead_ = true; }
  /// Whether a node stands for rows of which one may be allowed.
  bool may_be_allowed(std::uint32_t node) const {
    if (allowed_nodes_) return allowed_nodes_[node >> 6] >> (node & 63) & 1;
    return !allowed_ || is_allowed(graph_.row_of(node)) || graph_.stands_for_several(node);
  }
  /// Keys whose distances are exact.
  void offer(std::span<const WalkKey> keys);
  /// Keys by ascending estimates: their rows are scored as the rescoring asks for, usually as long as the error of a code leaves a chance.
  void rescore(std::span<const WalkKey> keys, const CodeScorer& scorer);
  /// Scores the near copies of nodes, where the graph has any.
  void offer_near_copies(std::span<const WalkKey> keys);

 private:
  bool is_allowed(std::uint32_t row) const { return !allowed_ || (allowed_[row >> 6] >> (row & 63) & 1); }
  void offer_node(std::uint32_t node, std::uint32_t row, float distance);
  bool offer_row(std::uint32_t row, float distance);
  void visit_copies(float node_distance, std::span<const std::uint32_t> copies);
  float spread_of(float node_distance, std::span<const std::uint32_t> copies);
  void score_rows();
  void ask_for_rows() const;
  void rescore_nodes();
  void rescore_by_bound(std::span<const WalkKey> keys, CodeLevel level, const CodeScorer& scorer);
  std::span<const WalkKey> refine(std::span<const WalkKey> keys, const CodeScorer& scorer);

  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  const std::uint64_t* allowed_nodes_;  // null: asked of the rows
  std::uint64_t first_row_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  Rescoring rescoring_;
  bool reads_ahead_ = false;
  std::vector<std::uint32_t> nodes_, rows_;
  std::vector<float> distances_;
  std::vector<WalkKey> refined_;
};

}  // namespace vicino
