#include "ivf/calibrate.h"

#include <algorithm>
#include <unordered_map>

#include "index/scan.h"
#include "index/usual_recall.h"
#include "util/bitmap.h"
#include "util/parallel.h"

namespace vicino {

namespace {

// The scan for the true neighbors may take as long as one over so many rows, which keeps it below a tenth of the build.
constexpr std::size_t kRowsScanned = std::size_t{1} << 25;
constexpr std::size_t kQueriesMin = 64, kQueriesMax = 256, kQueriesAtOnce = 16;
constexpr std::size_t kRowsMin = 2000, kListsMin = 16;

/// The rows nearest to each of some rows, itself left out.
std::vector<std::vector<std::uint32_t>> neighbors_of(std::span<const std::uint32_t> asked, std::span<const std::vector<std::uint8_t>> values, Metric metric,
                                                     const VectorBlock& block, const std::uint64_t* present, unsigned threads, const Cancel& cancel) {
  std::vector<std::vector<std::uint32_t>> found(asked.size());
  parallel_for(threads, (asked.size() + kQueriesAtOnce - 1) / kQueriesAtOnce, [&](std::size_t group, std::size_t) {
    const std::size_t first = group * kQueriesAtOnce, count = std::min(kQueriesAtOnce, asked.size() - first);
    std::vector<PreparedQuery> queries;
    for (std::size_t i = first; i < first + count; ++i) queries.emplace_back(metric, block.dtype, block.dim, values[i].data());
    std::vector<TopK> nearest(count, TopK(kUsualNeighbors + 1));
    scan_batch(queries, block, 0, present, nearest, cancel);
    for (std::size_t i = 0; i < count; ++i) {
      for (const Hit& hit : std::move(nearest[i]).take_sorted())
        if (hit.row != asked[first + i] && found[first + i].size() < kUsualNeighbors) found[first + i].push_back(static_cast<std::uint32_t>(hit.row));
    }
  });
  return found;
}

/// The lists of some rows: one each, two for those that have copies.
std::unordered_multimap<std::uint32_t, std::uint32_t> lists_of(const std::vector<std::vector<std::uint32_t>>& rows, const Lists& lists) {
  std::vector<std::uint32_t> wanted;
  for (const auto& some : rows) wanted.insert(wanted.end(), some.begin(), some.end());
  std::ranges::sort(wanted);
  std::unordered_multimap<std::uint32_t, std::uint32_t> found;
  for (std::uint32_t list = 0; list < lists.size(); ++list)
    for (std::size_t i = lists.starts[list]; i < lists.starts[list + 1]; ++i)
      if (std::ranges::binary_search(wanted, lists.rows[i])) found.emplace(lists.rows[i], list);
  return found;
}

/// At which place of the order of probing each list comes for a query.
std::vector<std::uint32_t> ranks_of(const ClusterSpace& space, const Points& centroids, const std::uint8_t* query) {
  std::vector<float> fitted(space.stride()), distances(centroids.size());
  space.fit_query(query, fitted.data());
  Points point(1, space.stride());
  point.set(0, fitted.data(), 0);
  std::vector<std::int32_t> dots;
  point_distances(point.view(), 0, 1, centroids.view(), space.stride(), dots, distances.data());
  std::vector<std::uint32_t> order(centroids.size()), ranks(centroids.size());
  for (std::uint32_t list = 0; list < order.size(); ++list) order[list] = list;
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) { return distances[a] != distances[b] ? distances[a] < distances[b] : a < b; });
  for (std::uint32_t rank = 0; rank < order.size(); ++rank) ranks[order[rank]] = rank;
  return ranks;
}

/// needed: for every query the places at which the lists of its neighbors come. The smallest number of lists that is enough.
std::uint32_t least_enough(const std::vector<std::vector<std::uint32_t>>& needed, std::size_t n_lists) {
  SampledRecall sampled(needed.size());
  std::vector<double> recall(needed.size());
  std::vector<std::vector<std::uint32_t>> coming(n_lists);  // queries that find one more neighbor with this list
  for (std::uint32_t query = 0; query < needed.size(); ++query)
    for (const std::uint32_t rank : needed[query]) coming[rank].push_back(query);
  for (std::uint32_t probed = 0; probed < n_lists; ++probed) {
    for (const std::uint32_t query : coming[probed]) {
      const double before = recall[query];
      recall[query] += 1.0 / static_cast<double>(needed[query].size());
      sampled.raise(before, recall[query]);
    }
    if (sampled.is_enough()) return probed + 1;
  }
  return static_cast<std::uint32_t>(n_lists);
}

}  // namespace

std::uint32_t calibrate_nprobe(const ClusterSpace& space, const Lists& lists, const Points& centroids, const VectorBlock& block, unsigned threads,
                               const Cancel& cancel) {
  if (lists.rows.size() < kRowsMin || lists.size() < kListsMin) return 0;
  const auto asked = draw_evenly(lists.rows, std::clamp(kRowsScanned / lists.rows.size(), kQueriesMin, kQueriesMax));
  const NormedBlock scanned(block, space.metric());
  Bitmap present(block.rows);
  for (const std::uint32_t row : lists.rows) present.set(row);
  std::vector<std::vector<std::uint8_t>> values;
  for (const std::uint32_t row : asked) values.push_back(query_values(block, row));
  const auto neighbors = neighbors_of(asked, values, space.metric(), scanned.block(), present.words(), threads, cancel);
  const auto holding = lists_of(neighbors, lists);
  std::vector<std::vector<std::uint32_t>> needed(asked.size());
  for (std::size_t query = 0; query < asked.size(); ++query) {
    cancel.check();
    const auto ranks = ranks_of(space, centroids, values[query].data());
    for (const std::uint32_t row : neighbors[query]) {
      std::uint32_t least = static_cast<std::uint32_t>(lists.size()) - 1;
      const auto [begin, end] = holding.equal_range(row);
      for (auto held = begin; held != end; ++held) least = std::min(least, ranks[held->second]);
      needed[query].push_back(least);
    }
  }
  return least_enough(needed, lists.size());
}

}  // namespace vicino
