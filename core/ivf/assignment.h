// Which rows are in which list: the nearest centroid's, with lists that are too large cut, and second lists for rows at a border.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "ivf/cluster_space.h"
#include "ivf/kmeans.h"

namespace vicino {

/// Lists side by side: list i is entries starts[i] .. starts[i + 1], which ascend by row.
struct Lists {
  Centroids centroids;
  std::vector<std::uint64_t> starts;
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;  // of each entry from its centroid, squared
  std::size_t size() const { return starts.size() - 1; }
};

struct RowsToAssign {
  const ClusterSpace& space;
  const VectorRows& vectors;
  std::span<const std::uint32_t> rows;
};

/// Every row goes to its nearest centroid; lists of more than `cap` rows are cut into several, and none is empty.
Lists assign_rows(const RowsToAssign& rows, Centroids centroids, std::size_t cap, std::uint64_t seed, unsigned threads, const Cancel& cancel,
                  std::atomic<std::uint64_t>* progress);

/// Puts rows at a border into a second list.
void add_copies(const RowsToAssign& rows, Lists& lists, unsigned threads, const Cancel& cancel);

}  // namespace vicino
