// Walking the blocks of a graph: from the nearest entries to ever nearer nodes, as graph_search.cpp does, but by blocks.
//
// What sets the pace is how long one read takes, so several nodes are expanded at once and their blocks asked for together: one in ten of these
// reads is for nothing, and the walk waits a quarter as often (DiskANN calls it beam search). A node that is expanded is scored exactly, by
// the vector in its block. In the end nodes that were met but not expanded, and may still be among the nearest by the bound of their codes,
// have the first pages of their blocks read, all at once.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "index/graph_walk.h"
#include "index/hidden_node.h"
#include "index/page_graph.h"
#include "index/walk_guard.h"
#include "index/walk_reach.h"
#include "util/errors.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kBlocksAtOnce = 4, kRowsAtOnce = 16;
constexpr std::size_t kBeginnings = 16;  // nearest entries that a walk begins at

/// A node that was scored by its code.
struct Scored {
  float least;  // its distance, should the code be off as far as it may
  std::uint32_t node;
  friend bool operator<(const Scored& a, const Scored& b) { return a.least != b.least ? a.least < b.least : a.node < b.node; }
};

}  // namespace

/// One search of one graph's blocks.
class PageSearch {
 public:
  PageSearch(const PageGraph& pages, const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed,
             std::size_t k, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const WalkLimits& limits)
      : pages_(pages), graph_(graph), query_(query), block_(block), allowed_(allowed), allowed_nodes_(limits.nodes), first_row_(first_row), stats_(stats),
        cancel_(cancel), memory_(WalkMemory::of_thread()), ladder_(graph.codes()->ladder()), nearest_(k),
        hits_(graph, query, block, allowed, first_row, nearest_, stats, cancel, {}, limits.nodes), guard_(limits, stats), reach_(graph, 1, k, false) {}

  WalkEnd run(std::size_t ef) {
    ladder_.prepare(static_cast<const float*>(query_.values()), memory_.query);
    if (pages_.is_mapped()) hits_.read_rows_ahead();
    begin(ef);
    score_entries();
    if (const WalkEnd end = walk(); end != WalkEnd::finished) return end;
    score_rest();
    hits_.offer_near_copies(found());
    return WalkEnd::finished;
  }

  /// Whether codes could not tell what was found apart, as in a crowd of rows that are nearly the same.
  bool is_undecided() const {
    const auto keys = found();
    return keys.size() > nearest_.k() && walk_distance(keys.back()) - walk_distance(keys.front()) < error_;
  }

  TopK& nearest() { return nearest_; }

 private:
  void begin(std::size_t ef) {
    ef_ = std::clamp<std::size_t>(ef, 1, graph_.n_nodes());
    // A beam as wide as the graph sees every node, and what is allowed may lie anywhere: neither ends early.
    reach_ = WalkReach(graph_, ef_, nearest_.k(), !allowed_ && ef_ < graph_.n_nodes() && graph_.growth() > 0);
    memory_.pool.reset(reach_.width);
    memory_.met.reset(graph_.n_nodes());
    if (const std::uint32_t hidden = HiddenNode::of_thread(); hidden < graph_.n_nodes()) memory_.met.insert(hidden);
  }

  void score_entries() {
    const CodeView& codes = pages_.entry_codes(graph_);
    auto& [pool, accepted, met, rows, survivors, keys, distances, state] = memory_;
    const std::uint32_t count = graph_.n_entries();
    if (distances.size() < count) distances.resize(count);
    ladder_.score4_block(state, codes, 0, count, distances.data());
    stats_.rows_scored += count;
    pool.reset(std::min(ef_, kBeginnings));
    for (std::uint32_t node = 0; node < count; ++node)
      if (node != HiddenNode::of_thread()) pool.insert(walk_key(distances[node], node));
    for (const WalkKey key : pool.keys()) {
      met.insert(walk_node(key));
      keep(walk_node(key), walk_distance(key), codes, walk_node(key));
    }
    pool.widen(reach_.width);
  }

  WalkEnd walk() {
    auto& pool = memory_.pool;
    std::vector<std::uint32_t> nodes;
    for (;;) {
      cancel_.check();
      nodes.clear();
      for (WalkKey next; nodes.size() < kBlocksAtOnce && (next = pool.next());) {
        if (reach_.ends_before(next, pool.keys(), [this](WalkKey) { return error_; })) break;
        nodes.push_back(walk_node(pool.take_next()));
        ask_for(nodes.back(), pages_.layout_.size);
      }
      if (nodes.empty()) return WalkEnd::finished;
      for (const std::uint32_t node : nodes) expand(node);
      if (const WalkEnd end = guard_.verdict(); end != WalkEnd::finished) return end;
    }
  }

  void ask_for(std::uint32_t node, std::size_t size) const {
    if (pages_.is_mapped()) read_ahead(pages_.block_of(node), size);
  }

  void expand(std::uint32_t node) {
    ++stats_.hops;
    expanded_.push_back(node);
    score_vector(node);
    const std::uint8_t* block = pages_.block_of(node);
    const auto* links = reinterpret_cast<const std::uint32_t*>(block + pages_.layout_.links);
    auto& slots = memory_.survivors;
    slots.clear();
    for (std::uint32_t slot = 0; slot < graph_.n_links() && links[slot] != Graph::kNone; ++slot) {
      if (links[slot] >= graph_.n_nodes()) refuse(node, "links to node " + std::to_string(links[slot]) + " of " + std::to_string(graph_.n_nodes()));
      if (memory_.met.insert(links[slot])) slots.push_back(slot);
    }
    if (!slots.empty()) score_neighbors(block, links);
  }

  /// Those in the slots of survivors.
  void score_neighbors(const std::uint8_t* block, const std::uint32_t* links) {
    auto& [pool, accepted, met, rows, slots, keys, distances, state] = memory_;
    CodeView codes = graph_.codes()->view();
    codes.rows = graph_.n_links();
    codes.high = block + pages_.layout_.codes;
    codes.factors = block + pages_.layout_.factors;
    if (distances.size() < slots.size()) distances.resize(slots.size());
    ladder_.score4(state, codes, slots.data(), slots.size(), distances.data());
    stats_.rows_scored += slots.size();
    keys.clear();
    const float bound = pool.bound_distance();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (distances[i] <= bound) keys.push_back(walk_key(distances[i], links[slots[i]]));
      keep(links[slots[i]], distances[i], codes, slots[i]);
    }
    pool.insert_all(keys);
    if (!allowed_) return;
    const auto seen = memory_.met.part(memory_.met.size() - slots.size(), memory_.met.size());
    guard_.see(seen, hits_);
  }

  /// Remembers a node that may be among the nearest. `at`: where its factors are among those of `codes`.
  void keep(std::uint32_t node, float distance, const CodeView& codes, std::uint32_t at) {
    const float error = memory_.query.error_of(CodeLevel::bits4, ladder_.scale_of(codes, CodeLevel::bits4, at));
    if (distance < best_) {
      best_ = distance;
      error_ = error;
    }
    const float least = distance - kRescoredErrors * error;
    // Factors of a damaged file make anything, and nothing can be sorted by a NaN.
    const Scored scored{std::isnan(least) ? -std::numeric_limits<float>::infinity() : least, node};
    if (nearest_.full() && scored.least > nearest_.bound()) return;
    if (!allowed_nodes_ || (allowed_nodes_[node >> 6] >> (node & 63) & 1)) scored_.push_back(scored);
  }

  /// The nodes that were not expanded, as far as their codes leave a chance.
  void score_rest() {
    std::sort(scored_.begin(), scored_.end());
    std::ranges::sort(expanded_);
    std::vector<std::uint32_t> nodes;
    for (std::size_t at = 0; at < scored_.size();) {
      nodes.clear();
      for (; at < scored_.size() && nodes.size() < kRowsAtOnce; ++at) {
        if (nearest_.full() && scored_[at].least > nearest_.bound()) {
          at = scored_.size();
          break;
        }
        if (std::ranges::binary_search(expanded_, scored_[at].node)) continue;
        nodes.push_back(scored_[at].node);
        ask_for(nodes.back(), pages_.layout_.links);
      }
      cancel_.check();
      for (const std::uint32_t node : nodes) score_vector(node);
    }
  }

  /// Offers the rows a node stands for, by the vector in its block.
  void score_vector(std::uint32_t node) {
    const std::uint8_t* block = pages_.block_of(node);
    std::uint32_t row, flags;
    std::memcpy(&row, block, sizeof row);
    std::memcpy(&flags, block + 4, sizeof flags);
    if (row >= graph_.n_rows()) refuse(node, "is of row " + std::to_string(row) + " of " + std::to_string(graph_.n_rows()));
    const bool stands_for_several = flags & 1;
    if (!stands_for_several && !is_allowed(row)) return;
    const VectorBlock vector{block + BlockLayout::vector, 1, block_.dim, block_.dtype,
                             block_.inverse_norms ? reinterpret_cast<const float*>(block + 8) : nullptr};
    float distance;
    query_.distances(vector, 0, 1, &distance);
    ++stats_.rows_scored;
    ++stats_.rescored;
    offer(row, distance);
    if (!stands_for_several) return;
    for (const std::uint32_t copy : graph_.copies_of(node).same) offer(copy, distance);
  }

  void offer(std::uint32_t row, float distance) {
    if (is_allowed(row)) nearest_.offer({distance, first_row_ + row});
  }

  bool is_allowed(std::uint32_t row) const { return !allowed_ || (allowed_[row >> 6] >> (row & 63) & 1); }
  std::span<const WalkKey> found() const { return memory_.pool.keys().first(std::min(memory_.pool.size(), ef_)); }

  [[noreturn]] static void refuse(std::uint32_t node, const std::string& what) {
    throw CorruptionError("pages of a graph: the block of node " + std::to_string(node) + " " + what + "; rebuild the graph of this segment");
  }

  const PageGraph& pages_;
  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  const std::uint64_t* allowed_nodes_;  // null: all, or asked of the rows
  std::uint64_t first_row_;
  SearchStats& stats_;
  const Cancel& cancel_;
  WalkMemory& memory_;
  const Ladder& ladder_;
  TopK nearest_;
  GraphHits hits_;
  WalkGuard guard_;
  WalkReach reach_;
  std::size_t ef_ = 0;
  float best_ = __builtin_inff(), error_ = 0;  // the nearest estimate, and its error
  std::vector<Scored> scored_;
  std::vector<std::uint32_t> expanded_;
};

WalkEnd PageGraph::search(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef,
                          TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const WalkLimits& limits) const {
  check_block(graph, block);
  if (!graph.n_nodes()) return WalkEnd::finished;
  cancel.check();
  PageSearch search(*this, graph, query, block, allowed, nearest.k(), stats, cancel, first_row, limits);
  if (const WalkEnd end = search.run(ef); end != WalkEnd::finished) return end;
  if (search.is_undecided()) return graph.search(query, block, allowed, ef, nearest, stats, cancel, first_row, limits);
  for (const Hit& hit : std::move(search.nearest()).take_sorted()) nearest.offer(hit);
  return WalkEnd::finished;
}

}  // namespace vicino
