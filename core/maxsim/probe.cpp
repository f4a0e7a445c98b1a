#include "maxsim/probe.h"

#include <algorithm>
#include <numeric>

#include "maxsim/tokens.h"

namespace vicino {

namespace {

/// Similarities of every query token to every centroid's mean token.
std::vector<float> centroid_similarities(const MultiIndex& index, std::span<const float> query, const Kernels& table) {
  const std::size_t dim = index.spec().dim, n = query.size() / dim, wide = index.wide_stride(), n_centroids = index.n_centroids();
  std::vector<std::int8_t> codes(n * wide);
  std::vector<float> scales(n);
  for (std::size_t t = 0; t < n; ++t)
    scales[t] = static_cast<float>(encode_token(query.subspan(t * dim, dim), 1, codes.data() + t * wide, wide).scale);
  std::vector<std::int32_t> dots(n * n_centroids);
  table.code_products(codes.data(), n, index.centroids(), index.sums().data(), n_centroids, wide, dots.data());
  std::vector<float> similarities(n * n_centroids);
  for (std::size_t t = 0; t < n; ++t)
    for (std::size_t c = 0; c < n_centroids; ++c)
      similarities[t * n_centroids + c] = scales[t] * index.steps()[c] * index.lengths()[c] * static_cast<float>(dots[t * n_centroids + c]);
  return similarities;
}

/// Sums per row. A row not found for a query token has the imputed similarity, so only what exceeds it is added.
class Totals {
 public:
  explicit Totals(std::uint32_t n_rows) : totals_(n_rows), seen_(n_rows) {}

  /// Lists come best first within a query token: the first that has a row says its similarity. `stamp` is the query token's, from 1.
  void add(std::uint32_t row, std::uint32_t stamp, float excess) {
    if (seen_[row] == stamp) return;
    if (!seen_[row]) found_.push_back(row);
    seen_[row] = stamp;
    totals_[row] += excess;
  }
  std::vector<std::uint32_t> take_best(std::size_t count) && {
    if (found_.size() > count) {
      std::nth_element(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(count), found_.end(), [&](std::uint32_t a, std::uint32_t b) {
        return totals_[a] != totals_[b] ? totals_[a] > totals_[b] : a < b;
      });
      found_.resize(count);
    }
    std::sort(found_.begin(), found_.end());
    return std::move(found_);
  }

 private:
  std::vector<float> totals_;
  std::vector<std::uint32_t> seen_, found_;
};

}  // namespace

std::vector<std::uint32_t> probe(const MultiSource& source, std::span<const float> query, std::uint32_t probes, std::size_t shortlist,
                                 MultiStats& stats, const Kernels& table, const Cancel& cancel) {
  const MultiIndex& index = *source.index;
  const std::uint32_t n_centroids = index.n_centroids(), n_probes = std::min(std::max(1u, probes), n_centroids);
  const std::vector<float> similarities = centroid_similarities(index, query, table);
  Totals totals(source.rows);
  std::vector<std::uint32_t> order(n_centroids);
  for (std::size_t t = 0; t < query.size() / index.spec().dim; ++t) {
    cancel.check();
    const float* similarity = similarities.data() + t * n_centroids;
    std::iota(order.begin(), order.end(), 0u);
    const std::uint32_t n_sorted = std::min(n_probes + 1, n_centroids);
    std::partial_sort(order.begin(), order.begin() + n_sorted, order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : a < b;
    });
    const float imputed = similarity[order[n_sorted - 1]];
    for (std::uint32_t i = 0; i < n_probes; ++i)
      for (const std::uint32_t row : index.list(order[i]))
        if (row < source.rows && (!source.allowed || source.allowed[row / 64] >> (row % 64) & 1))
          totals.add(row, static_cast<std::uint32_t>(t + 1), similarity[order[i]] - imputed);
  }
  stats.lists_probed += query.size() / index.spec().dim * n_probes;
  return std::move(totals).take_best(shortlist);
}

}  // namespace vicino
