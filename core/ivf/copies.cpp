// Second lists for rows at a border, by the orthogonal-residual rule (Sun et al. 2023, SOAR): a row is missed when the query lies on the far
// side of its remainder x - c, so the second centroid should have a remainder in another direction:
//   loss(c') = |x - c'|^2 + <x - c, x - c'>^2 / |x - c|^2,   <x - c, x - c'> = (|x - c|^2 + |x - c'|^2 - |c - c'|^2) / 2
#include <algorithm>
#include <limits>

#include "ivf/assignment.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kPanel = 32;
constexpr std::uint32_t kNone = 0xffffffff;
// A row this many times (squared) nearer to its own centroid than to the second is inside, where its neighbors are in its list too.
constexpr float kBorder = 1.35f;

struct Scratch {
  std::vector<std::int32_t> dots;
  std::vector<float> between, distances;
};

struct Second {
  std::uint32_t list = kNone;
  float distance = 0;
};

Second choose(const float* distances, const float* between, std::size_t n, std::size_t own) {
  const float first = distances[own];
  if (!(first > 0)) return {};
  Second best;
  float least = std::numeric_limits<float>::max();
  for (std::size_t c = 0; c < n; ++c) {
    if (c == own || distances[c] > kBorder * first) continue;
    const float along = 0.5f * (first + distances[c] - between[c]);
    const float loss = distances[c] + along * along / first;
    if (loss < least) {
      least = loss;
      best = {static_cast<std::uint32_t>(c), distances[c]};
    }
  }
  return best;
}

}  // namespace

void add_copies(const RowsToAssign& from, Lists& lists, unsigned threads, const Cancel& cancel) {
  const Points targets = lists.centroids.encode();
  const std::size_t n = lists.size();
  std::vector<Second> seconds(lists.rows.size());
  std::vector<Scratch> scratch(std::max(1u, threads));
  parallel_for(threads, n, [&](std::size_t list, std::size_t worker) {
    auto& [dots, between, distances] = scratch[worker];
    between.resize(n);
    distances.resize(kPanel * n);
    point_distances(targets.view(), list, 1, targets.view(), targets.stride(), dots, between.data());
    const std::size_t begin = lists.starts[list], count = lists.starts[list + 1] - begin;
    const Points points = from.space.encode(from.vectors, std::span(lists.rows).subspan(begin, count), 1, cancel);
    for (std::size_t first = 0; first < count; first += kPanel) {
      const std::size_t height = std::min(kPanel, count - first);
      point_distances(points.view(), first, height, targets.view(), targets.stride(), dots, distances.data());
      for (std::size_t i = 0; i < height; ++i) seconds[begin + first + i] = choose(distances.data() + i * n, between.data(), n, list);
    }
  });

  struct Entry {
    std::uint32_t row;
    float distance;
  };
  std::vector<std::vector<Entry>> added(n);
  for (std::size_t i = 0; i < seconds.size(); ++i)
    if (seconds[i].list != kNone) added[seconds[i].list].push_back({lists.rows[i], seconds[i].distance});
  Lists larger{std::move(lists.centroids), {0}, {}, {}};
  for (std::size_t list = 0; list < n; ++list) {
    auto& entries = added[list];
    for (std::size_t i = lists.starts[list]; i < lists.starts[list + 1]; ++i) entries.push_back({lists.rows[i], lists.distances[i]});
    std::ranges::sort(entries, {}, &Entry::row);
    for (const Entry& entry : entries) {
      larger.rows.push_back(entry.row);
      larger.distances.push_back(entry.distance);
    }
    larger.starts.push_back(larger.rows.size());
    entries = {};
  }
  lists = std::move(larger);
}

}  // namespace vicino
