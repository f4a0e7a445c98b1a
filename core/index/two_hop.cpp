#include "index/two_hop.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "index/graph_walk.h"
#include "index/hidden_node.h"
#include "util/errors.h"

namespace vicino {

namespace {

// Matching rows that a walk begins at. 64 serve as well where the filter is one region; more of them reach more regions.
constexpr std::size_t kSeeds = 256;
// With so many matching links of its own a node's other links are not looked through. Less of it costs less and finds less: at equal recall
// values from 8 to 32 differ by less than the noise of a measurement.
constexpr std::size_t kOneHop = 16;
// Where fewer match within two hops, the links that do not match are walked over like those that do: matching rows that lie apart are
// connected through them. Worth three points of recall at 1 %, nothing from 5 % up.
constexpr std::size_t kBridged = 8;
constexpr std::size_t kHopsPerCheck = 64;
// Matching nodes kept beyond k at least: a node that stands for several may hold none that is allowed.
constexpr std::size_t kSlackMin = 10;

/// Calls `visit(row)` for `count` of the set bits, evenly spaced among them; for all when there are no more.
/// `n_set`: how many are set.
template <class Visit>
void sample_bits(const std::uint64_t* words, std::size_t n_words, std::size_t n_set, std::size_t count, Visit&& visit) {
  count = std::min(count, n_set);
  std::size_t passed = 0, drawn = 0;
  for (std::size_t word = 0; word < n_words && drawn < count; ++word) {
    const auto here = static_cast<std::size_t>(std::popcount(words[word]));
    std::uint64_t bits = words[word];
    for (std::size_t skipped = passed; drawn < count && drawn * n_set / count < passed + here; ++drawn) {
      for (; skipped < drawn * n_set / count; ++skipped) bits &= bits - 1;
      visit(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
    passed += here;
  }
}

/// One walk over matching rows.
class TwoHopSearch {
 public:
  TwoHopSearch(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, TopK& nearest,
               SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const Rescoring& rescoring, const std::uint64_t* allowed_nodes)
      : graph_(graph), query_(query), block_(block), allowed_(allowed), k_(nearest.k()), stats_(stats), cancel_(cancel),
        memory_(WalkMemory::of_thread()), rescoring_(rescoring),
        hits_(graph, query, block, allowed, first_row, nearest, stats, cancel, rescoring, allowed_nodes) {}

  void run(std::size_t candidates, std::size_t ef) {
    const auto seeds = matching_seeds(candidates);
    if (graph_.has_codes()) {
      const CodeScorer scorer(graph_, query_, memory_);
      walk(seeds, scorer, ef);
      if (rescoring_.by == Rescoring::By::estimates || !is_undecided(scorer)) hits_.rescore(memory_.accepted.keys(), scorer);
      else walk_by_rows(ef);
    } else {
      walk(seeds, RowScorer(graph_, query_, block_, memory_), ef);
      hits_.offer(memory_.accepted.keys());
    }
    hits_.offer_near_copies(memory_.accepted.keys());
  }

 private:
  std::vector<std::uint32_t> matching_seeds(std::size_t candidates) const {
    std::vector<std::uint32_t> nodes;
    sample_bits(allowed_, (graph_.n_rows() + 63) / 64, candidates, kSeeds, [&](std::uint32_t row) {
      if (const std::uint32_t node = graph_.node_of(row); node != Graph::kNone) nodes.push_back(node);
    });
    return nodes;
  }

  /// Whether codes cannot tell what was found apart, as in the plain walk.
  bool is_undecided(const CodeScorer& scorer) const {
    const auto keys = memory_.accepted.keys();
    return keys.size() > k_ && walk_distance(keys.back()) - walk_distance(keys.front()) < scorer.error_of(walk_node(keys.front()));
  }

  /// From what the codes have found, by the rows themselves.
  void walk_by_rows(std::size_t ef) {
    std::vector<std::uint32_t> seeds;
    for (const WalkKey key : memory_.accepted.keys()) seeds.push_back(walk_node(key));
    walk(seeds, RowScorer(graph_, query_, block_, memory_), ef);
    hits_.offer(memory_.accepted.keys());
  }

  template <class Scorer>
  void walk(std::span<const std::uint32_t> seeds, const Scorer& scorer, std::size_t ef) {
    memory_.pool.reset(std::clamp<std::size_t>(ef, 1, graph_.n_nodes()));
    memory_.accepted.reset(std::max(ef, k_ + kSlackMin));
    memory_.met.reset(graph_.n_nodes());
    if (const std::uint32_t hidden = HiddenNode::of_thread(); hidden < graph_.n_nodes()) memory_.met.insert(hidden);
    fresh_.clear();
    before_.clear();
    for (const std::uint32_t node : seeds) meet(node, scorer);
    score(fresh_, scorer);
    for (std::size_t hops = 1;; ++hops) {
      if (hops % kHopsPerCheck == 0) cancel_.check();
      const WalkKey nearest = memory_.pool.take_next();
      if (!nearest) {
        if (before_.empty()) break;
        score(before_, scorer);
        before_.clear();
        continue;
      }
      ++stats_.hops;
      fresh_.clear();
      expand(walk_node(nearest), scorer);
      score(before_, scorer);
      std::swap(before_, fresh_);
    }
  }

  /// Collects the matching nodes that a node links to, and those that the others link to.
  template <class Scorer>
  void expand(std::uint32_t node, const Scorer& scorer) {
    through_.clear();
    std::size_t matching = 0;
    for (const std::uint32_t neighbor : graph_.links_of(node)) {
      if (hits_.may_be_allowed(neighbor)) {
        ++matching;
        meet(neighbor, scorer);
      } else {
        through_.push_back(neighbor);
      }
    }
    if (matching >= kOneHop) return;
    std::erase_if(through_, [&](std::uint32_t neighbor) { return !memory_.met.insert(neighbor); });
    for (const std::uint32_t neighbor : through_) graph_.prefetch_links(neighbor);
    for (const std::uint32_t neighbor : through_)
      for (const std::uint32_t far : graph_.links_of(neighbor))
        if (hits_.may_be_allowed(far)) {
          ++matching;
          meet(far, scorer);
        }
    if (matching < kBridged)
      for (const std::uint32_t neighbor : through_) {
        scorer.prefetch(neighbor);
        fresh_.push_back(neighbor);
      }
  }

  template <class Scorer>
  void meet(std::uint32_t node, const Scorer& scorer) {
    if (!memory_.met.insert(node)) return;
    scorer.prefetch(node);
    fresh_.push_back(node);
  }

  template <class Scorer>
  void score(std::span<const std::uint32_t> nodes, const Scorer& scorer) {
    auto& distances = memory_.distances;
    if (distances.size() < nodes.size()) distances.resize(nodes.size());
    scorer.score(nodes, distances.data());
    stats_.rows_scored += nodes.size();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const WalkKey key = walk_key(distances[i], nodes[i]);
      if (key < memory_.pool.bound()) {
        memory_.pool.insert(key);
        graph_.prefetch_links(nodes[i]);
      }
      if (key < memory_.accepted.bound() && hits_.may_be_allowed(nodes[i])) memory_.accepted.insert(key);
    }
  }

  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::size_t k_;
  SearchStats& stats_;
  const Cancel& cancel_;
  WalkMemory& memory_;
  const Rescoring& rescoring_;
  GraphHits hits_;
  std::vector<std::uint32_t> fresh_, before_, through_;
};

}  // namespace

void search_two_hop(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates,
                    std::size_t ef, TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const Rescoring& rescoring,
                    const std::uint64_t* allowed_nodes) {
  graph.check_block(block);
  if (!allowed) throw InvalidArgument("a two-hop walk needs a filter; walk the graph without one");
  if (!graph.n_nodes() || !candidates) return;
  cancel.check();
  TwoHopSearch(graph, query, block, allowed, nearest, stats, cancel, first_row, rescoring, allowed_nodes)
      .run(candidates, std::max(ef, rescoring.kept(nearest.k())));
}

}  // namespace vicino
