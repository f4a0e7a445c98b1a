// Where rows are clustered: l2 distances between codes of 8 bits, in the geometry that fits the metric.
//
//   cosine   unit vectors; a zero row stays the zero vector
//   dot      rows over the largest norm, and sqrt(1 - |x|^2) as a further coordinate kept as a float: by l2 distance in that space the
//            nearest rows to (q, 0) are those of the largest inner product (Bachrach et al. 2014)
//   l2, l1   rows over the largest norm, so that squares of extreme numbers neither overflow nor vanish
//   bits     coordinates 0 and 1: squared l2 is then the hamming distance
// The mean of a sample is taken off. A point is its code, one scale for it and its exact norm; products of codes are exact integers, and
// everything else is arithmetic on single elements, so that the same rows fall into the same lists on every instruction set.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/vectors.h"
#include "util/cancel.h"

namespace vicino {

/// Points side by side where their parts lie; `stride` bytes of code each.
struct PointView {
  std::size_t count = 0;
  const std::int8_t* codes = nullptr;
  const float *norms = nullptr, *scales = nullptr, *extras = nullptr;
  const std::int32_t* sums = nullptr;
};

/// Points in memory of their own.
class Points {
 public:
  Points() = default;
  Points(std::size_t count, std::size_t stride) { resize(count, stride); }

  void resize(std::size_t count, std::size_t stride);
  std::size_t size() const { return norms.size(); }
  PointView view() const { return {size(), codes.data(), norms.data(), scales.data(), extras.data(), sums.data()}; }
  /// Point i becomes the point at `values`, stride floats, with the further coordinate `extra`.
  void set(std::size_t i, const float* values, float extra);
  /// Point i becomes point j of another set.
  void copy(std::size_t i, const Points& from, std::size_t j);
  /// Adds the coordinates of point i to `values`.
  void add_to(std::size_t i, float* values) const;
  std::size_t stride() const { return stride_; }

  std::vector<std::int8_t> codes;
  std::vector<float> norms, scales, extras;
  std::vector<std::int32_t> sums;

 private:
  std::size_t stride_ = 0;
};

/// One vector as it is stored; coded rows stand beside rows of floats where a merge reads both.
struct StoredRow {
  const std::uint8_t* bytes;
  Dtype dtype;
};

/// Numbered vectors wherever they lie: in one block, or in the segments and heads that a merge reads.
struct VectorRows {
  /// `type` is that of the rows as they will be searched. `row_at` is called from many threads.
  VectorRows(std::uint32_t dims, Dtype type, std::function<StoredRow(std::uint32_t)> row_at) : dim(dims), dtype(type), at(std::move(row_at)) {}
  explicit VectorRows(const VectorBlock& block)
      : VectorRows(block.dim, block.dtype, [block](std::uint32_t row) { return StoredRow{block.row(row), block.dtype}; }) {
    inverse_norms = block.inverse_norms;
  }
  float inverse_norm(std::uint32_t row) const;

  std::uint32_t dim;
  Dtype dtype;
  std::function<StoredRow(std::uint32_t)> at;
  const float* inverse_norms = nullptr;  // null: computed when asked for
};

class ClusterSpace {
 public:
  ClusterSpace() = default;
  /// Centered on the mean of a sample of `rows`, over the largest norm of all of them.
  ClusterSpace(const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric, unsigned threads, const Cancel& cancel);
  /// As it was written to a file: `unit` is the factor every row is multiplied with, `mean` has `dim` floats.
  ClusterSpace(Metric metric, Dtype dtype, std::uint32_t dim, float unit, std::span<const float> mean);

  Metric metric() const { return metric_; }
  Dtype dtype() const { return dtype_; }
  std::uint32_t dim() const { return dim_; }
  /// `dim` padded to a multiple of 64: floats of a fitted row, and bytes of a code.
  std::size_t stride() const { return stride_; }
  float unit() const { return unit_; }
  const std::vector<float>& mean() const { return mean_; }
  /// The mean where rows were unit vectors before it was taken off; empty elsewhere.
  std::span<const float> center() const {
    const bool is_sphere = dtype_ != Dtype::binary && (metric_ == Metric::cosine || metric_ == Metric::dot);
    return is_sphere ? std::span<const float>(mean_) : std::span<const float>();
  }

  /// out[0, stride) = the fitted row less the mean. Returns the further coordinate. The inverse norm is read under cosine only.
  float fit(StoredRow row, float inverse_norm, float* out) const;
  float fit(const VectorRows& vectors, std::uint32_t row, float* out) const {
    return fit(vectors.at(row), metric_ == Metric::cosine ? vectors.inverse_norm(row) : 0, out);
  }
  /// The same of a query, `values` of the type that PreparedQuery takes. Under dot its length is 1, which changes no order.
  void fit_query(const void* values, float* out) const;
  /// The points of rows[i].
  Points encode(const VectorRows& vectors, std::span<const std::uint32_t> rows, unsigned threads, const Cancel& cancel) const;

  static std::size_t point_bytes(std::uint32_t dim) { return stride_of(dim) + 3 * sizeof(float) + sizeof(std::int32_t); }
  static std::size_t stride_of(std::uint32_t dim) { return (static_cast<std::size_t>(dim) + 63) / 64 * 64; }

 private:
  void read(Dtype dtype, const std::uint8_t* row, float* out) const;

  Metric metric_ = Metric::l2;
  Dtype dtype_ = Dtype::float32;
  std::uint32_t dim_ = 0;
  std::size_t stride_ = 0;
  float unit_ = 1;
  std::vector<float> mean_;  // stride floats
};

/// out[r * columns.count + c] = squared distance of points first .. first + count of `rows` and point c of `columns`.
void point_distances(const PointView& rows, std::size_t first, std::size_t count, const PointView& columns, std::size_t stride,
                     std::vector<std::int32_t>& dots, float* out);

/// Rows that lie evenly over `rows`, at most `count`, ascending.
std::vector<std::uint32_t> draw_evenly(std::span<const std::uint32_t> rows, std::size_t count);

}  // namespace vicino
