// From the nodes that a walk found to rows: exact distances, duplicates and near copies.
#include <algorithm>
#include <cmath>

#include "index/graph_walk.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 8;
// Near copies are scored in portions. A few of many tell first how far from the node's own distance they lie: copies that would have to
// lie several times farther off to be kept are left alone.
constexpr std::size_t kSampledCopies = 16, kCopiesAtOnce = 1024;
constexpr float kSpreads = 4;

}  // namespace

void GraphHits::score_rows() {
  distances_.resize(rows_.size());
  query_.distances_at(block_, rows_, distances_.data());
  stats_.rows_scored += rows_.size();
}

void GraphHits::offer(std::span<const WalkKey> keys) {
  for (const WalkKey key : keys) offer_node(walk_node(key), graph_.row_of(walk_node(key)), walk_distance(key));
}

void GraphHits::rescore(std::span<const WalkKey> keys, const CodeScorer& scorer) {
  for (std::size_t start = 0; start < keys.size(); start += kRescoredAtOnce) {
    rows_.clear();
    nodes_.clear();
    for (const WalkKey key : keys.subspan(start, std::min(kRescoredAtOnce, keys.size() - start))) {
      const std::uint32_t node = walk_node(key);
      if (nearest_.full() && walk_distance(key) - scorer.error_of(node) > nearest_.bound()) continue;
      nodes_.push_back(node);
      rows_.push_back(graph_.row_of(node));
    }
    if (rows_.empty()) continue;
    score_rows();
    stats_.rescored += rows_.size();
    for (std::size_t i = 0; i < nodes_.size(); ++i) offer_node(nodes_[i], rows_[i], distances_[i]);
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
  for (std::size_t start = 0; start < copies.size(); start += kCopiesAtOnce) {
    cancel_.check();
    rows_.clear();
    for (const std::uint32_t row : copies.subspan(start, std::min(kCopiesAtOnce, copies.size() - start)))
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
