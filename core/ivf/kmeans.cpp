#include "ivf/kmeans.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kPanel = 32;             // points multiplied with all centroids at a time
constexpr std::uint32_t kFlatMax = 48;         // as many centroids are trained at once, more in two levels
constexpr std::size_t kSamplePerCoarse = 256;  // points per centroid of the first level
constexpr int kRounds = 8, kLastRounds = 3;
constexpr float kLengthMin = 1e-6f;  // a mean shorter than this has no direction

struct Scratch {
  std::vector<std::int32_t> dots;
  std::vector<float> distances;
};

void assign_panel(const PointView& points, std::size_t first, std::size_t count, const PointView& centroids, std::size_t stride, Scratch& scratch,
                  Assignment& found) {
  const std::size_t n = centroids.count;
  scratch.distances.resize(count * n);
  point_distances(points, first, count, centroids, stride, scratch.dots, scratch.distances.data());
  for (std::size_t i = 0; i < count; ++i) {
    const float* distances = scratch.distances.data() + i * n;
    float least = distances[0];
    for (std::size_t c = 1; c < n; ++c) least = distances[c] < least ? distances[c] : least;
    std::size_t nearest = 0;
    while (nearest + 1 < n && !(distances[nearest] <= least)) ++nearest;
    found.nearest[first + i] = static_cast<std::uint32_t>(nearest);
    found.distances[first + i] = distances[nearest];
  }
}

/// Points of each cluster, ascending: cluster c is members[starts[c] .. starts[c + 1]).
struct Members {
  Members(const std::vector<std::uint32_t>& nearest, std::size_t n_clusters) : members(nearest.size()), starts(n_clusters + 1) {
    for (const std::uint32_t c : nearest) ++starts[c + 1];
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    std::vector<std::size_t> at(starts.begin(), starts.end() - 1);
    for (std::size_t i = 0; i < nearest.size(); ++i) members[at[nearest[i]]++] = static_cast<std::uint32_t>(i);
  }
  std::span<const std::uint32_t> operator[](std::size_t c) const { return std::span(members).subspan(starts[c], starts[c + 1] - starts[c]); }

  std::vector<std::uint32_t> members;
  std::vector<std::size_t> starts;
};

class Training {
 public:
  Training(const Points& points, std::span<const float> center, unsigned threads, const Cancel& cancel)
      : points_(points), center_(center), threads_(threads), cancel_(cancel) {}

  /// k-means of `count` centroids. It starts from points that are each drawn by their distance from those before (Arthur and Vassilvitskii 2007).
  Centroids run(std::uint32_t count, Random& random) {
    Centroids centroids{points_.stride(), std::vector<float>(count * points_.stride()), std::vector<float>(count)};
    std::vector<float> nearest(points_.size(), 1), distances(points_.size());
    std::vector<std::int32_t> dots;
    for (std::size_t c = 0; c < count; ++c) {
      cancel_.check();
      const std::size_t point = draw(nearest, random);
      set_to_point(centroids, c, point);
      point_distances(points_.view(), point, 1, points_.view(), points_.stride(), dots, distances.data());
      for (std::size_t i = 0; i < nearest.size(); ++i) nearest[i] = c == 0 || distances[i] < nearest[i] ? distances[i] : nearest[i];
    }
    improve(centroids, kRounds, random);
    return centroids;
  }

  void improve(Centroids& centroids, int rounds, Random& random) {
    for (int round = 0; round < rounds; ++round) {
      const Assignment found = assign_points(points_.view(), centroids.encode().view(), points_.stride(), threads_, cancel_);
      const Members members(found.nearest, centroids.size());
      parallel_for(threads_, centroids.size(), [&](std::size_t c, std::size_t) { move_to_mean(centroids, c, members[c]); });
      if (round + 1 < rounds) relocate(centroids, members, random);
    }
  }

 private:
  /// A point, drawn by weight.
  static std::size_t draw(const std::vector<float>& weights, Random& random) {
    double total = 0;
    for (const float weight : weights) total += weight;
    if (!(total > 0)) return random.below(static_cast<std::uint32_t>(weights.size()));
    double left = total * (static_cast<double>(random.next() >> 11) * 0x1p-53);
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (!(weights[i] > 0)) continue;
      last = i;
      left -= weights[i];
      if (left < 0) break;
    }
    return last;
  }
  void set_to_point(Centroids& centroids, std::size_t c, std::size_t point) const {
    float* values = centroids.values.data() + c * points_.stride();
    std::fill_n(values, points_.stride(), 0.0f);
    points_.add_to(point, values);
    centroids.extras[c] = points_.extras[point];
  }
  void move_to_mean(Centroids& centroids, std::size_t c, std::span<const std::uint32_t> members) const {
    if (members.empty()) return;
    float* values = centroids.values.data() + c * points_.stride();
    std::fill_n(values, points_.stride(), 0.0f);
    float extra = 0;
    for (const std::uint32_t point : members) {
      points_.add_to(point, values);
      extra += points_.extras[point];
    }
    const float share = 1 / static_cast<float>(members.size());
    for (std::size_t at = 0; at < points_.stride(); ++at) values[at] *= share;
    centroids.extras[c] = extra * share;
    if (!center_.empty()) make_unit(values, centroids.extras[c]);
  }
  void make_unit(float* values, float& extra) const {
    const std::size_t size = points_.stride();
    kernels().combine_vectors(values, 1.0f, center_.data(), 1.0f, size, values);
    const float length = std::sqrt(kernels().sum_vectors(values, values, size).square + extra * extra);
    const float factor = length > kLengthMin ? 1 / length : 1;
    kernels().combine_vectors(values, factor, center_.data(), -1.0f, size, values);
    extra *= factor;
  }
  /// Takes centroids from where they serve few to where one serves too many.
  void relocate(Centroids& centroids, const Members& members, Random& random) const {
    const std::size_t n = centroids.size();
    std::vector<std::uint32_t> by_size(n);
    std::iota(by_size.begin(), by_size.end(), 0u);
    std::ranges::stable_sort(by_size, {}, [&](std::uint32_t c) { return members[c].size(); });
    const std::size_t mean = points_.size() / n;
    std::size_t small = 0, large = n;
    while (small < large--) {
      const auto crowd = members[by_size[large]];
      if (crowd.size() <= kCapRatio * mean) break;
      for (std::size_t extra = crowd.size() / (kCapRatio * mean + 1); extra && small < large && members[by_size[small]].size() <= mean / 2; --extra)
        set_to_point(centroids, by_size[small++], crowd[random.below(static_cast<std::uint32_t>(crowd.size()))]);
    }
  }

  const Points& points_;
  std::span<const float> center_;
  unsigned threads_;
  const Cancel& cancel_;
};

Points gather(const Points& points, std::span<const std::uint32_t> chosen) {
  Points gathered(chosen.size(), points.stride());
  for (std::size_t i = 0; i < chosen.size(); ++i) gathered.copy(i, points, chosen[i]);
  return gathered;
}

Points gather_evenly(const Points& points, std::size_t count) {
  std::vector<std::uint32_t> all(points.size());
  std::iota(all.begin(), all.end(), 0u);
  return gather(points, draw_evenly(all, count));
}

/// How many of `count` centroids each cluster gets: by its size, at least one where there are points, and never more than these.
std::vector<std::uint32_t> shares_of(const Members& members, std::size_t n_clusters, std::uint32_t count) {
  std::vector<std::uint32_t> shares(n_clusters);
  const std::size_t total = members.members.size();
  for (std::size_t c = 0, seen = 0, given = 0; c < n_clusters; ++c) {
    // Rounded running totals: what one cluster does not get in full, a later one does.
    seen += members[c].size();
    const std::size_t due = (seen * count + total / 2) / total;
    const std::size_t share = std::clamp<std::size_t>(due - std::min(given, due), members[c].empty() ? 0 : 1, members[c].size());
    shares[c] = static_cast<std::uint32_t>(share);
    given += share;
  }
  return shares;
}

}  // namespace

void Centroids::append(const Centroids& others) {
  values.insert(values.end(), others.values.begin(), others.values.end());
  extras.insert(extras.end(), others.extras.begin(), others.extras.end());
}

Points Centroids::encode() const {
  Points points(size(), stride);
  for (std::size_t c = 0; c < size(); ++c) points.set(c, values_of(c), extras[c]);
  return points;
}

Assignment assign_points(const PointView& points, const PointView& centroids, std::size_t stride, unsigned threads, const Cancel& cancel) {
  Assignment found{std::vector<std::uint32_t>(points.count), std::vector<float>(points.count)};
  std::vector<Scratch> scratch(std::max(1u, threads));
  parallel_for(threads, (points.count + kPanel - 1) / kPanel, [&](std::size_t panel, std::size_t worker) {
    cancel.check();
    const std::size_t first = panel * kPanel;
    assign_panel(points, first, std::min(kPanel, points.count - first), centroids, stride, scratch[worker], found);
  });
  return found;
}

Centroids train_centroids(const Points& points, std::uint32_t count, std::span<const float> center, std::uint64_t seed, unsigned threads,
                          const Cancel& cancel) {
  Random random(seed);
  count = static_cast<std::uint32_t>(std::min<std::size_t>(count, points.size()));
  if (count <= kFlatMax) {
    Centroids few{points.stride(), {}, {}};
    return count ? Training(points, center, threads, cancel).run(count, random) : few;
  }
  const auto n_coarse = static_cast<std::uint32_t>(std::sqrt(static_cast<double>(count)));
  const Points coarse_points = gather_evenly(points, n_coarse * kSamplePerCoarse);
  const Centroids coarse = Training(coarse_points, center, threads, cancel).run(n_coarse, random);
  const Members members(assign_points(points.view(), coarse.encode().view(), points.stride(), threads, cancel).nearest, n_coarse);
  const auto shares = shares_of(members, n_coarse, count);
  std::vector<std::uint64_t> seeds(n_coarse);
  for (auto& own : seeds) own = random.next();
  std::vector<Centroids> parts(n_coarse);
  parallel_for(threads, n_coarse, [&](std::size_t c, std::size_t) {
    if (!shares[c]) return;
    Random own(seeds[c]);
    parts[c] = Training(gather(points, members[c]), center, 1, cancel).run(shares[c], own);
  });
  Centroids centroids{points.stride(), {}, {}};
  for (const Centroids& part : parts) centroids.append(part);
  Training(points, center, threads, cancel).improve(centroids, kLastRounds, random);
  return centroids;
}

}  // namespace vicino
