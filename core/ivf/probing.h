// Which lists are looked at for a query, and when it is enough: those whose centroids are nearest, all of them scored or found by a graph over them.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ivf/ivf.h"

namespace vicino {

/// Of one search after the other; kept for the next one of the same thread.
class Probing {
 public:
  /// Centroids of queries that are scored together: as many as fill the tiles of the product of codes.
  static constexpr std::size_t kTogether = 16;

  /// Fits the query into the space of the centroids.
  void set_query(const Ivf& ivf, const PreparedQuery& query) {
    query_.resize(ivf.space().stride());
    ivf.space().fit_query(query.values(), query_.data());
  }
  const std::vector<float>& query() const { return query_; }

  /// Distances from the centroids to each of at most kTogether queries, nlist floats one after the other.
  std::span<const float> score(const Ivf& ivf, std::span<const PreparedQuery> queries);
  /// Whether so many lists are found by the graph, which needs no distances.
  static bool walks(const Ivf& ivf, std::size_t wanted) { return ivf.graph_ && wanted < ivf.n_lists_ / 4; }

  /// Calls scan(list, next), which returns how many rows of the list are allowed, list after list: until `wanted` of them had any and they had
  /// `rows_wanted` together. Before, expect(keys) tells which come, as numbers whose lower half is a list. `scored`: the query's distances
  /// from the centroids if they are known. `next` is the list that will come then, most likely, or the same list.
  template <class Expect, class Scan>
  void run(const Ivf& ivf, std::size_t wanted, std::size_t rows_wanted, std::span<const float> scored, const Cancel& cancel, Expect&& expect, Scan&& scan) {
    std::size_t probed = 0, seen = 0;
    const auto is_enough = [&] { return probed >= wanted && seen >= rows_wanted; };
    const auto take = [&](std::span<const std::uint64_t> keys) {
      expect(keys);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (is_enough()) return true;
        const auto list = static_cast<std::uint32_t>(keys[i]), next = static_cast<std::uint32_t>(keys[std::min(i + 1, keys.size() - 1)]);
        if (!probed_.empty() && std::exchange(probed_[list], 1)) continue;
        cancel.check();
        const std::size_t rows = scan(list, next);
        seen += rows;
        probed += rows > 0;
      }
      return is_enough();
    };
    probed_.clear();
    if (walks(ivf, wanted)) {
      walk(ivf, wanted, cancel);
      probed_.assign(ivf.n_lists_, 0);
      if (take(order_)) return;
    }
    scored = distances_of(ivf, scored);
    // The order is found piece by piece: few searches go beyond the first.
    std::size_t sorted = 0;
    if (probed_.empty() && order_nearest(ivf, wanted, scored)) {
      if (take(order_)) return;
      sorted = order_.size();
    }
    order_all(ivf, scored);
    if (sorted) std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(sorted), order_.end());
    for (std::size_t piece = std::max(wanted, sorted); sorted < order_.size(); piece = sorted) {
      const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(sorted);
      const auto end = begin + static_cast<std::ptrdiff_t>(std::min(piece, order_.size() - sorted));
      if (end != order_.end()) std::nth_element(begin, end, order_.end());
      std::sort(begin, end);
      if (take({begin, end})) return;
      sorted = static_cast<std::size_t>(end - order_.begin());
    }
  }

 private:
  static std::uint64_t key_of(float distance, std::uint64_t list) {
    return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(distance)) << 32 | list;  // distances are not negative
  }
  /// The query's distances from all centroids: those given, or scored now.
  std::span<const float> distances_of(const Ivf& ivf, std::span<const float> scored);
  void order_all(const Ivf& ivf, std::span<const float> scored);
  /// The `wanted` nearest in order, or false where that has to be found out by ordering all.
  bool order_nearest(const Ivf& ivf, std::size_t wanted, std::span<const float> scored);
  void walk(const Ivf& ivf, std::size_t wanted, const Cancel& cancel);

  std::vector<float> query_, distances_;
  std::vector<std::int32_t> dots_;
  std::vector<std::uint64_t> order_;
  std::vector<float> sample_;
  std::vector<std::uint32_t> near_;
  std::vector<std::uint8_t> probed_;  // of every list, while there are several ways to it
  Points points_;
};

}  // namespace vicino
