// How far a walk goes before it ends: growth.h says why, this how far, for the walks of graphs in memory and on disk.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "index/graph.h"
#include "index/walk.h"

namespace vicino {

struct WalkReach {
  /// ef: beam width. A walk that may not end early expands all of its beam.
  WalkReach(const Graph& graph, std::size_t ef, std::size_t k, bool may_end_early)
      : k(k), times(may_end_early ? std::pow(static_cast<float>(ef) / static_cast<float>(k), kShare * graph.growth()) : 0),
        width(may_end_early ? std::min<std::size_t>(kWiden * ef, graph.n_nodes()) : ef) {}

  /// Whether nodes from here on are too far away to be worth a hop. Among distances that a code cannot tell apart nobody knows.
  /// `error_of`: of the estimate of a key.
  template <class ErrorOf>
  bool ends_before(WalkKey next, std::span<const WalkKey> pool, ErrorOf&& error_of) const {
    if (times == 0 || pool.size() <= k) return false;
    const WalkKey kth = pool[k - 1];
    if (!(walk_distance(next) > times * walk_distance(kth))) return false;
    return walk_distance(kth) > kErrorsApart * error_of(kth);
  }

  std::size_t k;
  float times;        // the k-th distance so far: nodes beyond it are not expanded; 0: all of the pool are
  std::size_t width;  // of the pool

 private:
  // A walk that may end early keeps so many times its beam: as much as hard queries get.
  static constexpr std::size_t kWiden = 2;
  static constexpr float kShare = 0.55f;
  // Distances count as known when they are so many times the error of a code.
  static constexpr float kErrorsApart = 4;
};

}  // namespace vicino
