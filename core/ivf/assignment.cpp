#include "ivf/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kBatch = 2048;  // rows encoded at a time: their codes stay in the second-level cache
constexpr std::size_t kSamplePerPiece = 64;
constexpr unsigned kCutsMax = 8;

/// One list on its way: rows ascending, and how far each lies from the centroid.
struct Part {
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;
  std::vector<float> centroid;  // stride floats
  float extra = 0;
};

/// The nearest of `targets` to each of some rows, encoded batch by batch: points of all rows would take a byte for every coordinate.
Assignment assign_batches(const RowsToAssign& from, std::span<const std::uint32_t> rows, const Points& targets, unsigned threads, const Cancel& cancel,
                          std::atomic<std::uint64_t>* progress) {
  Assignment found{std::vector<std::uint32_t>(rows.size()), std::vector<float>(rows.size())};
  parallel_for(threads, (rows.size() + kBatch - 1) / kBatch, [&](std::size_t batch, std::size_t) {
    const std::size_t first = batch * kBatch, count = std::min(kBatch, rows.size() - first);
    const Points points = from.space.encode(from.vectors, rows.subspan(first, count), 1, cancel);
    const Assignment part = assign_points(points.view(), targets.view(), points.stride(), 1, cancel);
    std::ranges::copy(part.nearest, found.nearest.begin() + static_cast<std::ptrdiff_t>(first));
    std::ranges::copy(part.distances, found.distances.begin() + static_cast<std::ptrdiff_t>(first));
    if (progress) progress->fetch_add(count, std::memory_order_relaxed);
  });
  return found;
}

/// Cuts a list into lists of at most `cap` rows: by k-means, and plainly where the rows cannot be told apart.
void cut(const RowsToAssign& from, Part part, std::size_t cap, Random& random, unsigned depth, const Cancel& cancel, std::vector<Part>& out) {
  const std::size_t n = part.rows.size();
  if (n <= cap) {
    if (n) out.push_back(std::move(part));
    return;
  }
  if (depth == kCutsMax) {
    const std::size_t pieces = (n + cap - 1) / cap;
    for (std::size_t i = 0; i < pieces; ++i) {
      const auto begin = static_cast<std::ptrdiff_t>(n * i / pieces), end = static_cast<std::ptrdiff_t>(n * (i + 1) / pieces);
      out.push_back({{part.rows.begin() + begin, part.rows.begin() + end}, {part.distances.begin() + begin, part.distances.begin() + end},
                     part.centroid, part.extra});
    }
    return;
  }
  const auto wanted = std::max(2u, static_cast<std::uint32_t>((n + cap / kCapRatio - 1) / std::max<std::size_t>(1, cap / kCapRatio)));
  const Points sample = from.space.encode(from.vectors, draw_evenly(part.rows, std::max(cap, wanted * kSamplePerPiece)), 1, cancel);
  const Centroids centroids = train_centroids(sample, wanted, from.space.center(), random.next(), 1, cancel);
  const Assignment found = assign_batches(from, part.rows, centroids.encode(), 1, cancel, nullptr);
  std::vector<Part> pieces(centroids.size());
  for (std::size_t i = 0; i < n; ++i) {
    pieces[found.nearest[i]].rows.push_back(part.rows[i]);
    pieces[found.nearest[i]].distances.push_back(found.distances[i]);
  }
  for (std::size_t c = 0; c < pieces.size(); ++c) {
    pieces[c].centroid.assign(centroids.values_of(c), centroids.values_of(c) + centroids.stride);
    pieces[c].extra = centroids.extras[c];
    // Where all rows went one way, the next try would end like this one.
    const unsigned next = pieces[c].rows.size() == n ? kCutsMax : depth + 1;
    cut(from, std::move(pieces[c]), cap, random, next, cancel, out);
  }
}

/// Rows by list, ascending, by counting: four numbers a row and nothing more, for all rows of a segment lie here at once.
Lists sort_by_list(std::span<const std::uint32_t> rows, Centroids centroids, const Assignment& found) {
  Lists lists{std::move(centroids), {}, std::vector<std::uint32_t>(rows.size()), std::vector<float>(rows.size())};
  lists.starts.assign(lists.centroids.size() + 1, 0);
  for (const std::uint32_t list : found.nearest) ++lists.starts[list + 1];
  std::partial_sum(lists.starts.begin(), lists.starts.end(), lists.starts.begin());
  std::vector<std::uint64_t> next(lists.starts.begin(), lists.starts.end() - 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint64_t at = next[found.nearest[i]]++;
    lists.rows[at] = rows[i];
    lists.distances[at] = found.distances[i];
  }
  return lists;
}

Part part_of(const Lists& lists, std::size_t list) {
  const auto begin = static_cast<std::ptrdiff_t>(lists.starts[list]), end = static_cast<std::ptrdiff_t>(lists.starts[list + 1]);
  const float* values = lists.centroids.values_of(list);
  return {{lists.rows.begin() + begin, lists.rows.begin() + end}, {lists.distances.begin() + begin, lists.distances.begin() + end},
          {values, values + lists.centroids.stride}, lists.centroids.extras[list]};
}

void append(Lists& lists, const Part& part) {
  if (part.rows.empty()) return;
  lists.rows.insert(lists.rows.end(), part.rows.begin(), part.rows.end());
  lists.distances.insert(lists.distances.end(), part.distances.begin(), part.distances.end());
  lists.centroids.values.insert(lists.centroids.values.end(), part.centroid.begin(), part.centroid.end());
  lists.centroids.extras.push_back(part.extra);
  lists.starts.push_back(lists.rows.size());
}

}  // namespace

Lists assign_rows(const RowsToAssign& from, Centroids centroids, std::size_t cap, std::uint64_t seed, unsigned threads, const Cancel& cancel,
                  std::atomic<std::uint64_t>* progress) {
  Lists whole;
  {
    const Assignment found = assign_batches(from, from.rows, centroids.encode(), threads, cancel, progress);
    whole = sort_by_list(from.rows, std::move(centroids), found);
  }
  const auto size_of = [&](std::size_t list) { return whole.starts[list + 1] - whole.starts[list]; };
  std::vector<std::vector<Part>> pieces(whole.size());  // of lists that are cut
  parallel_for(threads, whole.size(), [&](std::size_t list, std::size_t) {
    if (size_of(list) <= cap) return;
    Random random(seed + list);
    cut(from, part_of(whole, list), cap, random, 0, cancel, pieces[list]);
  });
  Lists lists;
  lists.centroids.stride = whole.centroids.stride;
  lists.starts.push_back(0);
  lists.rows.reserve(whole.rows.size());
  lists.distances.reserve(whole.rows.size());
  for (std::size_t list = 0; list < whole.size(); ++list) {
    if (pieces[list].empty()) append(lists, part_of(whole, list));
    for (const Part& part : pieces[list]) append(lists, part);
  }
  return lists;
}

}  // namespace vicino
