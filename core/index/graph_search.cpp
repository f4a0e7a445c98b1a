// Searching a graph: a walk (walk.h) that keeps the nearest nodes, then the rows they stand for, scored exactly.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "index/graph.h"
#include "index/walk.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kHopsPerCheck = 64;
// The first hops come near the query, each much nearer than the one before; only then is it worth choosing a node without having seen the
// neighbors of the last one.
constexpr std::size_t kDescent = 8;
// Allowed nodes kept beyond k at least: a node that stands for several may hold none that is allowed.
constexpr std::size_t kSlackMin = 10;
constexpr std::size_t kRescoredAtOnce = 8;
// A scan keeps so many times k rows, and so many more, for rescoring: codes of 4 bits place the nearest ten of a hundred thousand within
// the nearest fifty (measured recall 1.000).
constexpr std::size_t kScanKept = 3, kScanSlack = 20;
constexpr std::size_t kScanBatch = 32;
constexpr std::uint32_t kWordsPerCheck = 1024;

bool is_set(const std::uint64_t* bits, std::uint32_t row) { return bits[row >> 6] >> (row & 63) & 1; }

/// Scores nodes by the rows they stand for.
class RowScorer {
 public:
  RowScorer(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, std::vector<std::uint32_t>& rows)
      : graph_(graph), query_(query), block_(block), rows_(rows) {}

  void prefetch(std::uint32_t) const {}  // distances_at() does
  void score(std::span<const std::uint32_t> nodes, float* out) const {
    rows_.clear();
    for (const std::uint32_t node : nodes) rows_.push_back(graph_.row_of(node));
    query_.distances_at(block_, rows_, out);
  }

 private:
  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  std::vector<std::uint32_t>& rows_;
};

/// Scores nodes by their codes.
class CodeScorer {
 public:
  CodeScorer(const GraphCodes& codes, const QueryState& query)
      : codes_(codes), query_(query), stride_(codes.ladder().stride()), factor_(factor_bytes(codes.view().format)) {}

  void prefetch(std::uint32_t node) const {
    const std::uint8_t* code = codes_.view().high + node * stride_;
    for (std::size_t line = 0; line < stride_; line += 64) __builtin_prefetch(code + line);
    __builtin_prefetch(codes_.view().factors + node * factor_);
  }
  void score(std::span<const std::uint32_t> nodes, float* out) const { codes_.ladder().score4(query_, codes_.view(), nodes.data(), nodes.size(), out); }

 private:
  const GraphCodes& codes_;
  const QueryState& query_;
  std::size_t stride_, factor_;
};

/// Scores the near copies of one node and offers those that are allowed. A few of them tell how far from the node's own distance theirs
/// lie: copies that would have to lie several times farther off to be kept are left alone.
class NearCopies {
 public:
  NearCopies(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::uint64_t first_row, TopK& nearest,
             SearchStats& stats, const Cancel& cancel)
      : query_(query), block_(block), allowed_(allowed), first_row_(first_row), nearest_(nearest), stats_(stats), cancel_(cancel) {}

  void visit(float node_distance, std::span<const std::uint32_t> copies) {
    if (copies.size() > 2 * kSampled && nearest_.full() && node_distance - kSpreads * spread(node_distance, copies) > nearest_.bound()) return;
    for (std::size_t start = 0; start < copies.size(); start += kAtOnce) {
      cancel_.check();
      const auto part = copies.subspan(start, std::min(kAtOnce, copies.size() - start));
      rows_.clear();
      for (const std::uint32_t row : part)
        if (!allowed_ || is_set(allowed_, row)) rows_.push_back(row);
      score();
      for (std::size_t i = 0; i < rows_.size(); ++i) nearest_.offer({distances_[i], first_row_ + rows_[i]});
    }
  }

 private:
  static constexpr std::size_t kSampled = 16, kAtOnce = 1024;
  static constexpr float kSpreads = 4;

  void score() {
    distances_.resize(rows_.size());
    query_.distances_at(block_, rows_, distances_.data());
    stats_.rows_scored += rows_.size();
  }
  /// Of a sample; the farthest of many lies a few times as far off.
  float spread(float node_distance, std::span<const std::uint32_t> copies) {
    rows_.clear();
    for (std::size_t i = 0; i < kSampled; ++i) rows_.push_back(copies[copies.size() * i / kSampled]);
    score();
    float most = 0;
    for (const float distance : distances_) most = std::max(most, std::fabs(distance - node_distance));
    return most;
  }

  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::uint64_t first_row_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::vector<std::uint32_t> rows_;
  std::vector<float> distances_;
};

}  // namespace

/// One search of one graph.
class GraphSearch {
 public:
  GraphSearch(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row)
      : graph_(graph), query_(query), block_(block), allowed_(allowed), nearest_(nearest), stats_(stats), cancel_(cancel),
        first_row_(first_row), memory_(WalkMemory::of_thread()) {}

  void run(std::size_t ef) {
    if (graph_.codes_) {
      prepare_codes();
      walk(entries(), CodeScorer(*graph_.codes_, memory_.query), ef);
      if (!is_undecided()) rescore(found());
      else walk_by_rows(ef);
    } else {
      walk(entries(), RowScorer(graph_, query_, block_, memory_.rows), ef);
      offer_found();
    }
    if (!graph_.near_starts_.empty()) offer_near_copies(memory_.pool.keys());
  }

  /// Scores the codes of all allowed rows, and the nearest of these exactly.
  void scan(std::size_t candidates) {
    prepare_codes();
    const CodeScorer scorer(*graph_.codes_, memory_.query);
    auto& nodes = memory_.fresh;
    memory_.accepted.reset(std::min(candidates, kScanKept * nearest_.k() + kScanSlack));
    memory_.visited.reset(graph_.n_nodes_);
    nodes.clear();
    const auto take = [&](std::uint32_t node) {
      if (stands_for_several(node) && !memory_.visited.insert(node)) return;  // another of its rows was there already
      scorer.prefetch(node);
      nodes.push_back(node);
      if (nodes.size() == kScanBatch) score_scanned(scorer);
    };
    if (allowed_) {
      for (std::uint32_t word = 0; word < (graph_.n_rows_ + 63) / 64; ++word) {
        if (word % kWordsPerCheck == 0) cancel_.check();
        for (std::uint64_t bits = allowed_[word]; bits; bits &= bits - 1)
          if (const std::uint32_t node = graph_.node_of(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits))); node != Graph::kNone) take(node);
      }
    } else {
      for (std::uint32_t node = 0; node < graph_.n_nodes_; ++node) take(node);
    }
    score_scanned(scorer);
    rescore(memory_.accepted.keys());
    if (!graph_.near_starts_.empty()) offer_near_copies(memory_.accepted.keys());
  }

 private:
  std::span<const std::uint32_t> entries() {
    auto& nodes = memory_.seeds;
    for (auto next = static_cast<std::uint32_t>(nodes.size()); next < graph_.n_entries_; ++next) nodes.push_back(next);
    return std::span(nodes).first(graph_.n_entries_);
  }

  /// Whether codes cannot tell what was found apart: in a crowd of rows that are nearly the same, all lie within the error of one.
  bool is_undecided() const {
    const auto keys = memory_.pool.keys();
    return keys.size() > nearest_.k() && walk_distance(keys.back()) - walk_distance(keys.front()) < error_of(walk_node(keys.front()));
  }

  /// From what the codes have found, by the rows themselves.
  void walk_by_rows(std::size_t ef) {
    std::vector<std::uint32_t> seeds;
    for (const WalkKey key : memory_.pool.keys()) seeds.push_back(walk_node(key));
    walk(seeds, RowScorer(graph_, query_, block_, memory_.rows), ef);
    offer_found();
  }

  float error_of(std::uint32_t node) const {
    const GraphCodes& codes = *graph_.codes_;
    return memory_.query.error_of(CodeLevel::bits4, codes.ladder().scale_of(codes.view(), CodeLevel::bits4, node));
  }

  template <class Scorer>
  void walk(std::span<const std::uint32_t> seeds, const Scorer& scorer, std::size_t ef) {
    auto& [pool, accepted, visited, fresh, before, distances, rows, seeds_of_thread, state] = memory_;
    pool.reset(std::clamp<std::size_t>(ef, 1, graph_.n_nodes_));
    accepted.reset(allowed_ ? std::max(ef, nearest_.k() + kSlackMin) : 1);
    visited.reset(graph_.n_nodes_);
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
    if (!key) return;
    const std::uint32_t* links = graph_.links_.data() + static_cast<std::size_t>(walk_node(key)) * graph_.n_links_;
    for (std::size_t i = 0; i < graph_.n_links_; i += 16) __builtin_prefetch(links + i);
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
      if (allowed_ && key < memory_.accepted.bound() && may_be_allowed(nodes[i])) memory_.accepted.insert(key);
    }
  }

  bool may_be_allowed(std::uint32_t node) const {
    return is_set(allowed_, graph_.row_of(node)) || stands_for_several(node);
  }
  bool stands_for_several(std::uint32_t node) const { return !graph_.has_group_.empty() && is_set(graph_.has_group_.data(), node); }

  std::span<const WalkKey> found() const { return allowed_ ? memory_.accepted.keys() : memory_.pool.keys(); }

  /// After a walk by rows: distances are exact.
  void offer_found() {
    for (const WalkKey key : found()) offer(walk_node(key), walk_distance(key));
  }

  void prepare_codes() { graph_.codes_->ladder().prepare(static_cast<const float*>(query_.values()), memory_.query); }

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

  /// Offers rows by their own distances, as long as the error of a code leaves a chance.
  void rescore(std::span<const WalkKey> keys) {
    auto &rows = memory_.rows, &nodes = memory_.before;
    auto& distances = memory_.distances;
    for (std::size_t start = 0; start < keys.size(); start += kRescoredAtOnce) {
      rows.clear();
      nodes.clear();
      for (const WalkKey key : keys.subspan(start, std::min(kRescoredAtOnce, keys.size() - start))) {
        const std::uint32_t node = walk_node(key);
        if (nearest_.full() && walk_distance(key) - error_of(node) > nearest_.bound()) continue;
        nodes.push_back(node);
        rows.push_back(graph_.row_of(node));
      }
      if (rows.empty()) continue;
      if (distances.size() < rows.size()) distances.resize(rows.size());
      query_.distances_at(block_, rows, distances.data());
      stats_.rows_scored += rows.size();
      stats_.rescored += rows.size();
      for (std::size_t i = 0; i < rows.size(); ++i) offer(nodes[i], distances[i]);
    }
  }

  void offer(std::uint32_t node, float distance) {
    if (!offer_row(graph_.row_of(node), distance)) return;
    // Copies ascend at one distance: once one is too late to be kept, so are the others.
    for (const std::uint32_t row : graph_.copies_of(node).same)
      if (!offer_row(row, distance)) return;
  }

  bool offer_row(std::uint32_t row, float distance) {
    const Hit hit{distance, first_row_ + row};
    if (nearest_.rejects(hit)) return false;
    if (!allowed_ || is_set(allowed_, row)) nearest_.offer(hit);
    return true;
  }

  void offer_near_copies(std::span<const WalkKey> keys) {
    NearCopies copies(query_, block_, allowed_, first_row_, nearest_, stats_, cancel_);
    for (const WalkKey key : keys)
      if (const auto near = graph_.copies_of(walk_node(key)).near; !near.empty()) copies.visit(walk_distance(key), near);
  }

  const Graph& graph_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::uint64_t first_row_;
  WalkMemory& memory_;
};

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
