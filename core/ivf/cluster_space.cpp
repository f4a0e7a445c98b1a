#include "ivf/cluster_space.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kMeanSample = 16384, kRowsPerTask = 512;
// Below this a coordinate is as good as zero beside rows of norm one, and the inverse of a step would overflow.
constexpr float kLeast = 1e-30f;

}  // namespace

void Points::resize(std::size_t count, std::size_t stride) {
  stride_ = stride;
  codes.resize(count * stride);
  norms.resize(count);
  scales.resize(count);
  extras.resize(count);
  sums.resize(count);
}

void Points::set(std::size_t i, const float* values, float extra) {
  const VectorSums measured = kernels().sum_vectors(values, values, stride_);
  const bool is_zero = !(measured.largest > kLeast);
  norms[i] = is_zero ? 0 : measured.square;
  scales[i] = is_zero ? 0 : measured.largest / 127;
  extras[i] = extra;
  sums[i] = kernels().round_vector(values, is_zero ? 0 : 127 / measured.largest, stride_, codes.data() + i * stride_);
}

void Points::copy(std::size_t i, const Points& from, std::size_t j) {
  std::memcpy(codes.data() + i * stride_, from.codes.data() + j * stride_, stride_);
  norms[i] = from.norms[j];
  scales[i] = from.scales[j];
  extras[i] = from.extras[j];
  sums[i] = from.sums[j];
}

void Points::add_to(std::size_t i, float* values) const {
  const std::int8_t* code = codes.data() + i * stride_;
  const float scale = scales[i];
  for (std::size_t at = 0; at < stride_; ++at) values[at] += scale * static_cast<float>(code[at]);
}

ClusterSpace::ClusterSpace(Metric metric, Dtype dtype, std::uint32_t dim, float unit, std::span<const float> mean)
    : metric_(metric), dtype_(dtype), dim_(dim), stride_(stride_of(dim)), unit_(unit), mean_(stride_) {
  std::ranges::copy(mean, mean_.begin());
}

float VectorRows::inverse_norm(std::uint32_t row) const {
  if (inverse_norms) return inverse_norms[row];
  float inverse;
  const StoredRow stored = at(row);
  compute_inverse_norms({stored.bytes, 1, dim, stored.dtype, nullptr}, &inverse);
  return inverse;
}

ClusterSpace::ClusterSpace(const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric, unsigned threads, const Cancel& cancel)
    : ClusterSpace(metric, vectors.dtype, vectors.dim, 1, {}) {
  if (dtype_ != Dtype::binary && metric != Metric::cosine) {
    std::vector<float> least((rows.size() + kRowsPerTask - 1) / kRowsPerTask, 0.0f);  // the smallest inverse norm of each task
    parallel_for(threads, least.size(), [&](std::size_t task, std::size_t) {
      cancel.check();
      for (std::size_t i = task * kRowsPerTask; i < std::min(rows.size(), (task + 1) * kRowsPerTask); ++i) {
        const float inverse = vectors.inverse_norm(rows[i]);
        if (inverse > 0 && (least[task] == 0 || inverse < least[task])) least[task] = inverse;
      }
    });
    unit_ = 0;
    for (const float inverse : least)
      if (inverse > 0 && (unit_ == 0 || inverse < unit_)) unit_ = inverse;
  }
  const auto sample = draw_evenly(rows, kMeanSample);
  std::vector<double> totals(stride_);
  std::vector<float> values(stride_);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (i % kRowsPerTask == 0) cancel.check();
    fit(vectors, sample[i], values.data());
    for (std::size_t at = 0; at < dim_; ++at) totals[at] += values[at];
  }
  if (!sample.empty())
    for (std::size_t at = 0; at < dim_; ++at) mean_[at] = static_cast<float>(totals[at] / static_cast<double>(sample.size()));
}

void ClusterSpace::read(Dtype dtype, const std::uint8_t* row, float* out) const {
  if (dtype != Dtype::binary) read_row(dtype, row, dim_, out);
  else
    for (std::size_t at = 0; at < dim_; ++at) out[at] = static_cast<float>(row[at / 8] >> (7 - at % 8) & 1);
  std::fill(out + dim_, out + stride_, 0.0f);
}

float ClusterSpace::fit(StoredRow row, float inverse_norm, float* out) const {
  read(row.dtype, row.bytes, out);
  float factor = metric_ == Metric::cosine ? inverse_norm : unit_, extra = 0;
  if (metric_ == Metric::dot) {
    kernels().combine_vectors(out, factor, out, 0.0f, stride_, out);
    extra = std::sqrt(std::max(0.0f, 1 - kernels().sum_vectors(out, out, stride_).square));
    factor = 1;
  }
  kernels().combine_vectors(out, factor, mean_.data(), -1.0f, stride_, out);
  return extra;
}

void ClusterSpace::fit_query(const void* values, float* out) const {
  const auto* bytes = static_cast<const std::uint8_t*>(values);
  const Dtype dtype = query_dtype(dtype_);
  read(dtype, bytes, out);
  float factor = unit_;
  if (metric_ == Metric::cosine || metric_ == Metric::dot) compute_inverse_norms({bytes, 1, dim_, dtype, nullptr}, &factor);
  kernels().combine_vectors(out, factor, mean_.data(), -1.0f, stride_, out);
}

Points ClusterSpace::encode(const VectorRows& vectors, std::span<const std::uint32_t> rows, unsigned threads, const Cancel& cancel) const {
  Points points(rows.size(), stride_);
  parallel_for(threads, (rows.size() + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
    cancel.check();
    std::vector<float> values(stride_);
    for (std::size_t i = task * kRowsPerTask; i < std::min(rows.size(), (task + 1) * kRowsPerTask); ++i)
      points.set(i, values.data(), fit(vectors, rows[i], values.data()));
  });
  return points;
}

void point_distances(const PointView& rows, std::size_t first, std::size_t count, const PointView& columns, std::size_t stride,
                     std::vector<std::int32_t>& dots, float* out) {
  if (count == 0 || columns.count == 0) return;
  if (dots.size() < count * columns.count) dots.resize(count * columns.count);
  kernels().code_products(rows.codes + first * stride, count, columns.codes, columns.sums, columns.count, stride, dots.data());
  for (std::size_t r = 0; r < count; ++r) {
    const CodeFactors self{rows.norms[first + r], rows.scales[first + r], rows.extras[first + r]};
    kernels().code_distances(dots.data() + r * columns.count, columns.count, self, columns.norms, columns.scales, columns.extras,
                             out + r * columns.count);
  }
}

std::vector<std::uint32_t> draw_evenly(std::span<const std::uint32_t> rows, std::size_t count) {
  const std::size_t n = std::min(rows.size(), count);
  std::vector<std::uint32_t> drawn(n);
  for (std::size_t i = 0; i < n; ++i) drawn[i] = rows[rows.size() * i / n];
  return drawn;
}

}  // namespace vicino
