// Searching a graph: a walk (walk.h) that keeps the nearest nodes, then the rows they stand for, scored exactly.
#include <algorithm>
#include <bit>
#include <string>

#include "index/graph_walk.h"
#include "index/hidden_node.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kHopsPerCheck = 64;
// The first hops come near the query, each much nearer than the one before; only then is it worth choosing a node without having seen the
// neighbors of the last one.
constexpr std::size_t kDescent = 8;
// Allowed nodes kept beyond k at least: a node that stands for several may hold none that is allowed.
constexpr std::size_t kSlackMin = 10;
// A scan keeps so many times k rows, and so many more, for rescoring: codes of 4 bits place the nearest ten of a hundred thousand within
// the nearest fifty (measured recall 1.000).
constexpr std::size_t kScanKept = 3, kScanSlack = 20;
constexpr std::size_t kScanBatch = 32;
constexpr std::uint32_t kWordsPerCheck = 1024;

/// One search of one graph.
class GraphSearch {
 public:
  GraphSearch(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row)
      : graph_(graph), query_(query), block_(block), allowed_(allowed), k_(nearest.k()), stats_(stats), cancel_(cancel),
        memory_(WalkMemory::of_thread()), hits_(graph, query, block, allowed, first_row, nearest, stats, cancel) {}

  void run(std::size_t ef) {
    if (graph_.has_codes()) {
      const CodeScorer scorer(graph_, query_, memory_);
      walk(entries(), scorer, ef);
      if (!is_undecided(scorer)) hits_.rescore(found(), scorer);
      else walk_by_rows(ef);
    } else {
      walk(entries(), RowScorer(graph_, query_, block_, memory_), ef);
      hits_.offer(found());
    }
    hits_.offer_near_copies(memory_.pool.keys());
  }

  /// Scores the codes of all allowed rows, and the nearest of these exactly.
  void scan(std::size_t candidates) {
    const CodeScorer scorer(graph_, query_, memory_);
    auto& nodes = memory_.fresh;
    memory_.accepted.reset(std::min(candidates, kScanKept * k_ + kScanSlack));
    memory_.visited.reset(graph_.n_nodes());
    nodes.clear();
    const auto take = [&](std::uint32_t node) {
      if (graph_.stands_for_several(node) && !memory_.visited.insert(node)) return;  // another of its rows was there already
      scorer.prefetch(node);
      nodes.push_back(node);
      if (nodes.size() == kScanBatch) score_scanned(scorer);
    };
    if (allowed_) {
      for (std::uint32_t word = 0; word < (graph_.n_rows() + 63) / 64; ++word) {
        if (word % kWordsPerCheck == 0) cancel_.check();
        for (std::uint64_t bits = allowed_[word]; bits; bits &= bits - 1)
          if (const std::uint32_t node = graph_.node_of(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits))); node != Graph::kNone) take(node);
      }
    } else {
      for (std::uint32_t node = 0; node < graph_.n_nodes(); ++node) take(node);
    }
    score_scanned(scorer);
    hits_.rescore(memory_.accepted.keys(), scorer);
    hits_.offer_near_copies(memory_.accepted.keys());
  }

 private:
  std::span<const std::uint32_t> entries() {
    auto& nodes = memory_.seeds;
    for (auto next = static_cast<std::uint32_t>(nodes.size()); next < graph_.n_entries(); ++next) nodes.push_back(next);
    return std::span(nodes).first(graph_.n_entries());
  }

  /// Whether codes cannot tell what was found apart: in a crowd of rows that are nearly the same, all lie within the error of one.
  bool is_undecided(const CodeScorer& scorer) const {
    const auto keys = memory_.pool.keys();
    return keys.size() > k_ && walk_distance(keys.back()) - walk_distance(keys.front()) < scorer.error_of(walk_node(keys.front()));
  }

  /// From what the codes have found, by the rows themselves.
  void walk_by_rows(std::size_t ef) {
    std::vector<std::uint32_t> seeds;
    for (const WalkKey key : memory_.pool.keys()) seeds.push_back(walk_node(key));
    walk(seeds, RowScorer(graph_, query_, block_, memory_), ef);
    hits_.offer(found());
  }

  template <class Scorer>
  void walk(std::span<const std::uint32_t> seeds, const Scorer& scorer, std::size_t ef) {
    auto& [pool, accepted, visited, fresh, before, distances, rows, seeds_of_thread, state] = memory_;
    pool.reset(std::clamp<std::size_t>(ef, 1, graph_.n_nodes()));
    accepted.reset(allowed_ ? std::max(ef, k_ + kSlackMin) : 1);
    visited.reset(graph_.n_nodes());
    if (const std::uint32_t hidden = HiddenNode::of_thread(); hidden < graph_.n_nodes()) visited.insert(hidden);
    before.clear();
    collect(seeds, scorer, fresh);
    score(fresh, scorer);
    for (std::size_t hops = 1;; ++hops) {
      if (hops % kHopsPerCheck == 0) cancel_.check();
      const WalkKey nearest = pool.take_next();
      if (!nearest) {
        if (before.empty()) break;
        score(before, scorer);
        before.clear();
        continue;
      }
      ++stats_.hops;
      collect(graph_.links_of(walk_node(nearest)), scorer, fresh);
      if (hops <= kDescent) {
        score(fresh, scorer);
      } else {
        score(before, scorer);
        std::swap(before, fresh);
      }
    }
  }

  template <class Scorer>
  void collect(std::span<const std::uint32_t> nodes, const Scorer& scorer, std::vector<std::uint32_t>& fresh) {
    fresh.clear();
    for (const std::uint32_t node : nodes)
      if (memory_.visited.insert(node)) {
        scorer.prefetch(node);
        fresh.push_back(node);
      }
  }

  void prefetch_links(WalkKey key) const {
    if (key) graph_.prefetch_links(walk_node(key));
  }

  template <class Scorer>
  void score(std::span<const std::uint32_t> nodes, const Scorer& scorer) {
    auto& distances = memory_.distances;
    if (distances.size() < nodes.size()) distances.resize(nodes.size());
    scorer.score(nodes, distances.data());
    stats_.rows_scored += nodes.size();
    // The links of the nodes that will be expanded next travel while the others find their places.
    const auto nearest = static_cast<std::size_t>(std::min_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(nodes.size())) - distances.begin());
    if (!nodes.empty()) prefetch_links(walk_key(distances[nearest], nodes[nearest]));
    prefetch_links(memory_.pool.peek_next());
    const WalkKey bound = memory_.pool.bound();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const WalkKey key = walk_key(distances[i], nodes[i]);
      if (key < bound) memory_.pool.insert(key);
      if (allowed_ && key < memory_.accepted.bound() && hits_.may_be_allowed(nodes[i])) memory_.accepted.insert(key);
    }
  }

  std::span<const WalkKey> found() const { return allowed_ ? memory_.accepted.keys() : memory_.pool.keys(); }

  template <class Scorer>
  void score_scanned(const Scorer& scorer) {
    auto& nodes = memory_.fresh;
    auto& distances = memory_.distances;
    if (distances.size() < nodes.size()) distances.resize(nodes.size());
    scorer.score(nodes, distances.data());
    stats_.rows_scored += nodes.size();
    for (std::size_t i = 0; i < nodes.size(); ++i) memory_.accepted.insert(walk_key(distances[i], nodes[i]));
    nodes.clear();
  }

  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::size_t k_;
  SearchStats& stats_;
  const Cancel& cancel_;
  WalkMemory& memory_;
  GraphHits hits_;
};

}  // namespace

void Graph::check_block(const VectorBlock& block) const {
  if (block.rows != n_rows_)
    throw InvalidArgument("this graph is over " + std::to_string(n_rows_) + " rows, got a block of " + std::to_string(block.rows));
  if (codes_ && block.dim != codes_->ladder().transform().dims())
    throw CorruptionError("graph: its codes are of " + std::to_string(codes_->ladder().transform().dims()) + " dimensions, the vectors have " +
                          std::to_string(block.dim) + "; rebuild the graph of this segment");
}

void Graph::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
                   SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  check_block(block);
  if (!n_nodes_) return;
  cancel.check();
  GraphSearch(*this, query, block, allowed, nearest, stats, cancel, first_row).run(std::max(ef, nearest.k()));
}

void Graph::scan(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  check_block(block);
  if (!n_nodes_ || !codes_) throw InvalidArgument("a graph without codes is not scanned");
  GraphSearch(*this, query, block, allowed, nearest, stats, cancel, first_row).scan(candidates);
}

}  // namespace vicino
