// Searching a graph: a walk (walk.h) that keeps the nearest nodes, then the rows they stand for, scored exactly.
#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "index/entry_groups.h"
#include "index/graph_walk.h"
#include "index/hidden_node.h"
#include "index/smallest_bound.h"
#include "index/upper_layers.h"
#include "index/walk_guard.h"
#include "index/walk_reach.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kHopsPerCheck = 64;
// The first hops come near the query, each much nearer than the one before; only then is it worth choosing a node without having seen the
// neighbors of the last one. The more lines a code has, the dearer are the nodes that such a choice scores in vain.
constexpr std::size_t kDescent = 4, kDescentOfLongCodes = 8, kShortCode = 128;  // bytes at most
// A walk begins at this share of its beam, but at so many entries at least.
constexpr std::size_t kBeginningsShare = 4, kBeginningsMin = 8;
// Of entries in groups this share is scored, but so many at least.
constexpr std::size_t kMembersShare = 6, kMembersMin = 32;
constexpr std::size_t kColumns = 16;
constexpr std::size_t kMembersPerBeginning = 4;  // at least, or all entries are scored
// Allowed nodes kept beyond k at least: a node that stands for several may hold none that is allowed.
constexpr std::size_t kSlackMin = 10;

/// The neighbors that a hop met for the first time: those met before `end` and after the hop before.
struct Hop {
  std::size_t end;
  const std::uint8_t* factors;  // of all links of the node that was expanded
};

/// One search of one graph.
class GraphSearch {
 public:
  GraphSearch(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const WalkLimits& limits = {}, const UpperLayers* layers = nullptr,
              const Rescoring& rescoring = {})
      : graph_(graph), layers_(layers), query_(query), block_(block), allowed_(allowed), k_(nearest.k()), stats_(stats), cancel_(cancel),
        memory_(WalkMemory::of_thread()), hits_(graph, query, block, allowed, first_row, nearest, stats, cancel, rescoring, limits.nodes),
        rescoring_(rescoring), guard_(limits, stats) {}

  WalkEnd run(std::size_t ef) {
    const WalkEnd end = graph_.has_codes() ? walk_by_codes(ef) : walk_by_rows(ef);
    if (end == WalkEnd::finished) hits_.offer_near_copies(found_in_beam());
    return end;
  }

 private:
  /// Whether codes cannot tell what was found apart: in a crowd of rows that are nearly the same, all lie within the error of one.
  bool is_undecided(const CodeScorer& scorer) const {
    const auto keys = found_in_beam();
    if (keys.size() <= k_) return false;
    // The error of one node has to be fetched from memory, which is seldom needed.
    const float spread = walk_distance(keys.back()) - walk_distance(keys.front());
    return spread < scorer.largest_error() && spread < scorer.error_of(walk_node(keys.front()));
  }

  WalkEnd walk_by_codes(std::size_t ef) {
    const CodeScorer scorer(graph_, query_, memory_);
    begin(ef);
    score_beginnings(scorer);
    if (const WalkEnd end = walk(scorer); end != WalkEnd::finished) return end;
    if (rescoring_.by != Rescoring::By::estimates && is_undecided(scorer)) return go_on_by_rows(ef);
    hits_.rescore(found(), scorer);
    return WalkEnd::finished;
  }

  WalkEnd walk_by_rows(std::size_t ef) {
    const RowScorer scorer(graph_, query_, block_, memory_);
    begin(ef);
    score_beginnings(scorer);
    const WalkEnd end = walk(scorer);
    if (end == WalkEnd::finished) hits_.offer(found());
    return end;
  }

  /// From what the codes have found, by the rows themselves.
  WalkEnd go_on_by_rows(std::size_t ef) {
    std::vector<std::uint32_t> seeds;
    for (const WalkKey key : found_in_beam()) seeds.push_back(walk_node(key));
    begin(ef);
    memory_.met.insert_links({.nodes = seeds.data(), .count = seeds.size()});
    const WalkEnd end = walk(RowScorer(graph_, query_, block_, memory_));
    if (end == WalkEnd::finished) hits_.offer(found());
    return end;
  }

  void begin(std::size_t ef) {
    ef_ = std::clamp<std::size_t>(ef, 1, graph_.n_nodes());
    // A beam as wide as the graph sees every node, and what is allowed may lie anywhere: neither ends early.
    const bool may_end_early = !allowed_ && ef_ < graph_.n_nodes() && graph_.growth() > 0;
    reach_ = WalkReach(graph_, ef_, k_, may_end_early);
    memory_.pool.reset(reach_.width);
    memory_.accepted.reset(allowed_ ? std::max(ef, k_ + kSlackMin) : 1);
    memory_.met.reset(graph_.n_nodes());
    if (const std::uint32_t hidden = HiddenNode::of_thread(); hidden < graph_.n_nodes()) memory_.met.insert(hidden);
    scored_ = memory_.met.size();
  }

  template <class Scorer>
  void score_beginnings(const Scorer& scorer) {
    if (!layers_ || !descend(*layers_, scorer)) score_entries(scorer);
  }

  /// The walk begins where the layers lead, unless they lead to nothing but a hidden node. And at node 0, from which every node can be
  /// reached: a beam as wide as the graph then sees all of them.
  template <class Scorer>
  bool descend(const UpperLayers& layers, const Scorer& scorer) {
    auto& met = memory_.met;
    const std::uint32_t landing = layers.descend(HiddenNode::of_thread(), [&](std::span<const std::uint32_t> nodes, float* out) {
      scorer.score(nodes, out);
      stats_.rows_scored += nodes.size();
    });
    if (landing == UpperLayers::kNone) return false;
    met.insert(landing);
    met.insert(0);
    const auto nodes = met.part(scored_, met.size());
    float distances[2];
    scorer.score(nodes, distances);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const WalkKey key = walk_key(distances[i], nodes[i]);
      memory_.pool.insert(key);
      if (allowed_ && hits_.may_be_allowed(nodes[i])) memory_.accepted.insert(key);
    }
    scored_ = met.size();
    return true;
  }

  /// Walks begin at the nearest entries.
  template <class Scorer>
  void score_entries(const Scorer& scorer) {
    auto& [pool, accepted, met, rows, survivors, keys, distances, state] = memory_;
    const EntryGroups* groups = graph_.entry_groups();
    const std::size_t n_beginnings = std::min(ef_, std::max(kBeginningsMin, ef_ / kBeginningsShare));
    // Under a filter the nearest entries may be of no use. A wide beam begins at many of them, one as wide as the graph at all.
    const bool by_groups = groups && !allowed_ && kMembersPerBeginning * n_beginnings <= members_wanted();
    const std::uint32_t count = by_groups ? score_groups(*groups, scorer) : graph_.n_entries();
    if (distances.size() < count + kCodeColumnRows) distances.resize(count + kCodeColumnRows);
    if (by_groups) scorer.score(survivors, distances.data());
    else scorer.score_first(count, distances.data());
    stats_.rows_scored += count;
    pool.reset(n_beginnings);
    keep_nearest(by_groups ? survivors.data() : nullptr, count);
    for (const WalkKey key : pool.keys()) {
      met.insert(walk_node(key));
      if (allowed_ && hits_.may_be_allowed(walk_node(key))) accepted.insert(key);
    }
    pool.widen(reach_.width);
    scored_ = met.size();
  }

  /// Puts the nearest of so many scored nodes into the pool, which is empty: nodes[i], or i where that is null.
  void keep_nearest(const std::uint32_t* nodes, std::uint32_t count) {
    auto& keys = memory_.keys;
    if (keys.size() < count + kKeySlack) keys.resize(count + kKeySlack);
    const float bound = bound_of_nearest(std::span(memory_.distances).first(count), memory_.pool.capacity() + 1);  // one of them may be hidden
    auto near = std::span(keys).first(kernels().collect_keys(memory_.distances.data(), nodes, count, bound, keys.data()));
    if (const std::uint32_t hidden = HiddenNode::of_thread(); hidden < graph_.n_entries())
      near = near.first(near.size() - std::ranges::remove_if(near, [&](WalkKey key) { return walk_node(key) == hidden; }).size());
    memory_.pool.fill(near);
  }

  /// A distance within which so many of these lie, and hardly more; infinite where that cannot be told without sorting them.
  static float bound_of_nearest(std::span<const float> distances, std::size_t wanted) {
    if (wanted <= kColumns) return bound_of_smallest<kColumns>(distances, wanted);
    if (wanted <= 4 * kColumns) return bound_of_smallest<4 * kColumns>(distances, wanted);
    return __builtin_inff();
  }

  std::size_t members_wanted() const { return std::max<std::size_t>(kMembersMin, graph_.n_entries() / kMembersShare); }

  /// Writes the members of the nearest groups of entries to memory_.survivors, and returns how many these are.
  template <class Scorer>
  std::uint32_t score_groups(const EntryGroups& groups, const Scorer& scorer) {
    auto& [pool, accepted, met, rows, survivors, keys, distances, state] = memory_;
    const auto heads = groups.heads();
    if (distances.size() < heads.size()) distances.resize(heads.size());
    scorer.score(heads, distances.data());
    stats_.rows_scored += heads.size();
    pool.reset(heads.size());
    if (keys.size() < heads.size() + kKeySlack) keys.resize(heads.size() + kKeySlack);
    pool.fill(std::span(keys).first(kernels().collect_keys(distances.data(), nullptr, heads.size(), __builtin_inff(), keys.data())));
    survivors.clear();
    for (const WalkKey key : pool.keys()) {
      const auto members = groups.members(walk_node(key));
      survivors.insert(survivors.end(), members.begin(), members.end());
      if (survivors.size() >= members_wanted()) break;
    }
    return static_cast<std::uint32_t>(survivors.size());
  }

  /// From the nodes met so far, those scored being in the pool.
  template <class Scorer>
  WalkEnd walk(const Scorer& scorer) {
    auto& pool = memory_.pool;
    auto& met = memory_.met;
    Hop last{met.size(), nullptr};
    const std::size_t descent = graph_.has_codes() && graph_.codes()->ladder().stride() <= kShortCode ? kDescent : kDescentOfLongCodes;
    for (std::size_t hops = 1;; ++hops) {
      if (hops % kHopsPerCheck == 0) cancel_.check();
      const WalkKey nearest = pool.next();
      if (!nearest || is_beyond_reach(nearest, scorer)) {
        if (scored_ == met.size()) return WalkEnd::finished;
        score(last, scorer);
        continue;
      }
      pool.take_next();
      ++stats_.hops;
      const Hop before = std::exchange(last, meet_links(walk_node(nearest), scorer));
      score(hops <= descent ? last : before, scorer);
      if (const WalkEnd end = guard_.verdict(); end != WalkEnd::finished) return end;
    }
  }

  template <class Scorer>
  bool is_beyond_reach(WalkKey next, const Scorer& scorer) const {
    return reach_.ends_before(next, memory_.pool.keys(), [&](WalkKey key) { return scorer.error_of(walk_node(key)); });
  }

  template <class Scorer>
  Hop meet_links(std::uint32_t node, const Scorer& scorer) {
    auto& met = memory_.met;
    scorer.prefetch_factors(node);
    const auto slots = graph_.link_slots(node);
    const std::size_t used = met.insert_links(scorer.links(slots));
    if (used < slots.size() && slots[used] != Graph::kNone) graph_.links_of(node);  // throws
    return {met.size(), graph_.link_factors(node)};
  }

  /// Scores what a hop met, unless that was done.
  template <class Scorer>
  void score(const Hop& hop, const Scorer& scorer) {
    auto& [pool, accepted, met, rows, survivors, keys, distances, state] = memory_;
    const auto nodes = met.part(scored_, hop.end);
    const std::uint32_t* const places = met.places(scored_);
    scored_ = hop.end;
    if (nodes.empty()) return;
    if (distances.size() < nodes.size()) distances.resize(nodes.size());
    if (keys.size() < nodes.size() + kKeySlack) keys.resize(nodes.size() + kKeySlack);
    scorer.score_met(nodes, places, hop.factors, distances.data());
    stats_.rows_scored += nodes.size();
    const auto near = std::span(keys).first(kernels().collect_keys(distances.data(), nodes.data(), nodes.size(), pool.bound_distance(), keys.data()));
    // All their links are asked for, though only a third of them will be expanded: the next node is often the newest.
    for (const WalkKey key : near) graph_.prefetch_links(walk_node(key));
    pool.insert_all(near);
    if (!allowed_) return;
    accept(nodes);
    guard_.see(nodes, hits_);
  }

  void accept(std::span<const std::uint32_t> nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const WalkKey key = walk_key(memory_.distances[i], nodes[i]);
      if (key < memory_.accepted.bound() && hits_.may_be_allowed(nodes[i])) memory_.accepted.insert(key);
    }
  }

  std::span<const WalkKey> found_in_beam() const { return memory_.pool.keys().first(std::min(memory_.pool.size(), ef_)); }
  std::span<const WalkKey> found() const { return allowed_ ? memory_.accepted.keys() : found_in_beam(); }

  const Graph& graph_;
  const UpperLayers* layers_;  // null, or by what a walk begins
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::size_t k_, ef_ = 0;
  WalkReach reach_{graph_, 1, 1, false};
  std::size_t scored_ = 0;  // nodes met before this one were scored
  SearchStats& stats_;
  const Cancel& cancel_;
  WalkMemory& memory_;
  GraphHits hits_;
  const Rescoring& rescoring_;
  WalkGuard guard_;
};

}  // namespace

void Graph::check_block(const VectorBlock& block) const {
  if (block.rows != n_rows_)
    throw InvalidArgument("this graph is over " + std::to_string(n_rows_) + " rows, got a block of " + std::to_string(block.rows));
  if (codes_ && (block.dim != codes_->ladder().transform().dims() || !is_float(block.dtype)))
    throw CorruptionError("graph: its codes are of floats of " + std::to_string(codes_->ladder().transform().dims()) + " dimensions, the vectors are " +
                          name_of(block.dtype) + " of " + std::to_string(block.dim) + "; rebuild the graph of this segment");
}

WalkEnd Graph::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
                      SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const WalkLimits& limits,
                      const UpperLayers* layers, const Rescoring& rescoring) const {
  check_block(block);
  if (!n_nodes_) return WalkEnd::finished;
  cancel.check();
  return GraphSearch(*this, query, block, allowed, nearest, stats, cancel, first_row, limits, layers, rescoring).run(std::max(ef, rescoring.kept(nearest.k())));
}

}  // namespace vicino
