// From the nodes that a walk found to rows: exact distances, duplicates and near copies.
#include <algorithm>
#include <cmath>

#include "index/graph_walk.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

// How many of the nearest nodes' rows are looked up at once.
constexpr std::size_t kRowsAhead = 32;
constexpr std::size_t kRowsAtOnce = 1024;  // scored between two looks at the clock
// A few of many near copies tell first how far from the node's own distance they lie: copies that would have to lie several times farther off
// to be kept are left alone.
constexpr std::size_t kSampledCopies = 16;
constexpr float kSpreads = 4;

}  // namespace

void GraphHits::score_rows() {
  distances_.resize(rows_.size());
  if (reads_ahead_) ask_for_rows();
  query_.distances_at(block_, rows_, distances_.data());
  stats_.rows_scored += rows_.size();
}

void GraphHits::ask_for_rows() const {
  const std::size_t size = row_bytes(block_.dtype, block_.dim);
  for (const std::uint32_t row : rows_) {
    read_ahead(block_.row(row), size);
    if (block_.inverse_norms) read_ahead(block_.inverse_norms + row, sizeof(float));
  }
}

void GraphHits::offer(std::span<const WalkKey> keys) {
  for (const WalkKey key : keys) offer_node(walk_node(key), graph_.row_of(walk_node(key)), walk_distance(key));
}

void GraphHits::rescore(std::span<const WalkKey> keys, const CodeScorer& scorer) {
  CodeLevel level = CodeLevel::bits4;
  if (scorer.has_fine()) {
    keys = refine(keys, scorer);
    level = CodeLevel::bits8;
  }
  switch (rescoring_.by) {
    case Rescoring::By::bound: return rescore_by_bound(keys, level, scorer);
    case Rescoring::By::count:
      nodes_.clear();
      for (const WalkKey key : keys.first(std::min(keys.size(), rescoring_.count))) nodes_.push_back(walk_node(key));
      return rescore_nodes();
    case Rescoring::By::estimates:
      for (const WalkKey key : keys) offer_node(walk_node(key), graph_.row_of(walk_node(key)), as_distance(query_.metric(), walk_distance(key)));
  }
}

/// The nodes that may be among the nearest, by their 8-bit codes.
std::span<const WalkKey> GraphHits::refine(std::span<const WalkKey> keys, const CodeScorer& scorer) {
  const std::size_t kept = rescoring_.kept(nearest_.k());
  const auto error = [&](WalkKey key) { return kRescoredErrors * scorer.error_of(walk_node(key)); };
  const float expected = keys.size() > kept ? walk_distance(keys[kept - 1]) + error(keys[kept - 1]) : __builtin_inff();
  nodes_.clear();
  for (const WalkKey key : keys)
    if (walk_distance(key) - error(key) <= expected) nodes_.push_back(walk_node(key));
  distances_.resize(nodes_.size());
  scorer.score_fine(nodes_, distances_.data());
  stats_.rows_scored += nodes_.size();
  refined_.clear();
  for (std::size_t i = 0; i < nodes_.size(); ++i) refined_.push_back(walk_key(distances_[i], nodes_[i]));
  std::ranges::sort(refined_);
  return refined_;
}

void GraphHits::rescore_by_bound(std::span<const WalkKey> keys, CodeLevel level, const CodeScorer& scorer) {
  for (const WalkKey key : keys.first(std::min(keys.size(), kRowsAhead))) {
    graph_.prefetch_row_of(walk_node(key));
    scorer.prefetch_error(walk_node(key));
  }
  const float reach = kRescoredErrors * scorer.largest_error(level);
  // The error of one node has to be fetched from memory, which is not needed for the nearest.
  const auto least = [&](WalkKey key) { return walk_distance(key) - kRescoredErrors * scorer.error_of(walk_node(key), level); };
  // Nearly all that will be scored is known beforehand, so that rows come in one stream; the bound then decides about the others.
  const float expected = keys.size() > nearest_.k() ? walk_distance(keys[nearest_.k() - 1]) : __builtin_inff();
  nodes_.clear();
  nodes_.reserve(keys.size());
  for (const WalkKey key : keys) {
    if (walk_distance(key) - reach > expected) break;
    if (walk_distance(key) <= expected || least(key) <= expected) nodes_.push_back(walk_node(key));
  }
  rescore_nodes();
  nodes_.clear();
  for (const WalkKey key : keys) {
    if (walk_distance(key) <= expected) continue;
    const bool is_full = nearest_.full();
    if (is_full && walk_distance(key) - reach > nearest_.bound()) break;
    if (const float distance = least(key); distance > expected && !(is_full && distance > nearest_.bound())) nodes_.push_back(walk_node(key));
  }
  rescore_nodes();
}

void GraphHits::rescore_nodes() {
  for (std::size_t start = 0; start < nodes_.size(); start += kRowsAtOnce) {
    if (start) cancel_.check();
    const auto nodes = std::span(nodes_).subspan(start, std::min(kRowsAtOnce, nodes_.size() - start));
    rows_.resize(nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) rows_[i] = graph_.row_of(nodes[i]);
    score_rows();
    stats_.rescored += rows_.size();
    for (std::size_t i = 0; i < nodes.size(); ++i) offer_node(nodes[i], rows_[i], distances_[i]);
  }
}

void GraphHits::offer_node(std::uint32_t node, std::uint32_t row, float distance) {
  if (!offer_row(row, distance)) return;
  // Copies ascend at one distance: once one is too late to be kept, so are the others.
  for (const std::uint32_t copy : graph_.copies_of(node).same)
    if (!offer_row(copy, distance)) return;
}

bool GraphHits::offer_row(std::uint32_t row, float distance) {
  const Hit hit{distance, first_row_ + row};
  if (nearest_.rejects(hit)) return false;
  if (is_allowed(row)) nearest_.offer(hit);
  return true;
}

void GraphHits::offer_near_copies(std::span<const WalkKey> keys) {
  if (!graph_.has_near_copies()) return;
  for (const WalkKey key : keys)
    if (const auto near = graph_.copies_of(walk_node(key)).near; !near.empty()) visit_copies(walk_distance(key), near);
}

void GraphHits::visit_copies(float node_distance, std::span<const std::uint32_t> copies) {
  const bool is_worth_asking = copies.size() > 2 * kSampledCopies && nearest_.full();
  if (is_worth_asking && node_distance - kSpreads * spread_of(node_distance, copies) > nearest_.bound()) return;
  for (std::size_t start = 0; start < copies.size(); start += kRowsAtOnce) {
    cancel_.check();
    rows_.clear();
    for (const std::uint32_t row : copies.subspan(start, std::min(kRowsAtOnce, copies.size() - start)))
      if (is_allowed(row)) rows_.push_back(row);
    score_rows();
    for (std::size_t i = 0; i < rows_.size(); ++i) nearest_.offer({distances_[i], first_row_ + rows_[i]});
  }
}

/// Of a sample; the farthest of many lies a few times as far off.
float GraphHits::spread_of(float node_distance, std::span<const std::uint32_t> copies) {
  rows_.clear();
  for (std::size_t i = 0; i < kSampledCopies; ++i) rows_.push_back(copies[copies.size() * i / kSampledCopies]);
  score_rows();
  float most = 0;
  for (const float distance : distances_) most = std::max(most, std::fabs(distance - node_distance));
  return most;
}

}  // namespace vicino
