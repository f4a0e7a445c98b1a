// When a walk under a filter had better stop: where the filter is opposed to the query, and where the walk has cost as much as its caller
// allows.
//
// A filter is opposed to a query when what lies near the query does not match: documents of another topic, another language. A walk that
// looks for matching rows among those it passes then passes thousands of others, and may never come to any. Nothing in the number of
// matching rows tells it beforehand. The walk itself does: after a few hundred rows, the share of those that matched is known well enough
// to compare it with the share in the whole graph. The entries do not count, they lie everywhere.
#pragma once
#include <cmath>
#include <span>

#include "index/graph_walk.h"

namespace vicino {

class WalkGuard {
 public:
  WalkGuard(const WalkLimits& limits, const SearchStats& stats)
      : share_(limits.share), stats_(stats), scored_max_(limits.scored_max), scored_before_(stats.rows_scored), is_watching_(limits.share > 0) {}

  /// Nodes that were scored on the way, entries excepted.
  void see(std::span<const std::uint32_t> nodes, const GraphHits& hits) {
    if (!is_watching_) return;
    seen_ += nodes.size();
    for (const std::uint32_t node : nodes) matching_ += hits.may_be_allowed(node);
    if (seen_ < kSeenMin) return;
    const double expected = share_ * static_cast<double>(seen_), missing = expected - static_cast<double>(matching_);
    is_opposed_ = missing > (1 - kOpposedBelow) * expected && missing > kDeviations * std::sqrt(expected);
    is_watching_ = !is_opposed_ && seen_ < kSeenMax;
  }

  /// `finished` while the walk may go on.
  WalkEnd verdict() const {
    if (is_opposed_) return WalkEnd::opposed;
    return stats_.rows_scored - scored_before_ > scored_max_ ? WalkEnd::over_budget : WalkEnd::finished;
  }

 private:
  // Among rows. Later than that a walk knows its neighborhood, and is cheaper finished than left.
  static constexpr std::size_t kSeenMin = 200, kSeenMax = 1200;
  // Opposed is a share well below the expected one, and by more than chance: a filter that has nothing to do with the query is taken for
  // an opposed one a few times in a thousand.
  static constexpr double kOpposedBelow = 0.75, kDeviations = 3;

  double share_;
  const SearchStats& stats_;
  std::uint64_t scored_max_, scored_before_;
  std::size_t seen_ = 0, matching_ = 0;
  bool is_watching_, is_opposed_ = false;
};

}  // namespace vicino
