// Balanced k-means over points of a cluster space, fast because it is hierarchical: about sqrt(k) clusters first, each cut further by itself
// into its share of k, and then a few rounds with all centroids at once. A row meets some hundred centroids that way instead of thousands
// a round, and the assignment is one exact product of integer matrices.
//
// Balance: clusters get centroids by their size, and between the last rounds the centroids of the smallest clusters move into clusters of more
// than twice the mean size. Rows that cannot be told apart stay together; who needs a limit cuts what remains above it (assignment.h).
// Unit vectors have centroids of length one. A wide cluster has a short mean, which is near to every query and says little: probing by the
// direction of the mean instead found 1.5 % more of the true neighbors in as many rows (docs/design/0009-ivf.md).
//
// The result does not depend on the number of threads.
#pragma once
#include <cstdint>
#include <vector>

#include "ivf/cluster_space.h"

namespace vicino {

/// A cluster never holds more than so many times the mean.
constexpr std::uint32_t kCapRatio = 4;

/// Means of points: floats as well as codes.
struct Centroids {
  std::size_t size() const { return extras.size(); }
  const float* values_of(std::size_t i) const { return values.data() + i * stride; }
  /// Appends those of another set.
  void append(const Centroids& others);
  Points encode() const;

  std::size_t stride = 0;
  std::vector<float> values;  // stride floats each
  std::vector<float> extras;
};

struct Assignment {
  std::vector<std::uint32_t> nearest;
  std::vector<float> distances;  // squared
};

/// The nearest of `centroids` to every point; equal distances go to the first.
Assignment assign_points(const PointView& points, const PointView& centroids, std::size_t stride, unsigned threads, const Cancel& cancel);

/// About `count` centroids of the points, fewer when there are fewer points. `center`: on a sphere around minus this, which is where unit vectors
/// lie once their mean was taken off, centroids are made unit vectors too; empty: they are plain means.
Centroids train_centroids(const Points& points, std::uint32_t count, std::span<const float> center, std::uint64_t seed, unsigned threads,
                          const Cancel& cancel);

}  // namespace vicino
