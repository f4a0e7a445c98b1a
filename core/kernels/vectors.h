// Rows of vectors as the user wrote them, and the distance of a query to them.
//
// An *ordering distance* is smaller for nearer rows and cheap to compute; `public_distance` turns it into what users see:
//   cosine   1 - cos, in [0, 2]; exactly 1 when either side is the zero vector
//   dot      -<q, r>
//   l2       squared while ordering, the root in public
//   l1       sum of absolute differences
//   hamming  number of differing bits
//   jaccard  1 - |q and r| / |q or r| over bits; 0 when both are empty
// Values beyond the range of float saturate at its largest finite value, so a distance is never infinite and never NaN.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/dispatch.h"

namespace vicino {

/// `coded` is no type of a user's: rows of floats in 8 bits a number (kernels/coded_rows.h), whose queries are float32.
enum class Dtype : std::uint8_t { float32, float16, int8, uint8, binary, coded };
enum class Metric : std::uint8_t { cosine, dot, l2, l1, hamming, jaccard };

const char* name_of(Dtype dtype);
const char* name_of(Metric metric);

/// The types whose numbers are floats and whose queries are float32.
constexpr bool is_float(Dtype dtype) { return dtype == Dtype::float32 || dtype == Dtype::float16 || dtype == Dtype::coded; }
/// Type of a query of such rows.
constexpr Dtype query_dtype(Dtype rows) { return is_float(rows) ? Dtype::float32 : rows; }

/// Cosine, dot, l2 and l1 go with the numeric types, hamming and jaccard with binary.
bool is_allowed(Metric metric, Dtype dtype);

/// Bytes of one row. The `dim` of a binary row is in bits, most significant bit first as numpy.packbits; its last byte is padded with zeros.
std::size_t row_bytes(Dtype dtype, std::uint32_t dim);

/// Consecutive rows, stored exactly as the user wrote them (under cosine too) and at any alignment.
struct VectorBlock {
  const std::uint8_t* data = nullptr;
  std::uint32_t rows = 0;
  std::uint32_t dim = 0;
  Dtype dtype = Dtype::float32;
  const float* inverse_norms = nullptr;  // as compute_inverse_norms; null unless the metric is cosine

  const std::uint8_t* row(std::uint32_t i) const { return data + static_cast<std::size_t>(i) * row_bytes(dtype, dim); }
};

/// The `dim` numbers of one row; numeric types only.
void read_row(Dtype dtype, const std::uint8_t* row, std::uint32_t dim, float* out);

/// One row as a query of such rows.
std::vector<std::uint8_t> query_values(const VectorBlock& block, std::uint32_t row);

/// out[i] = 1 / |row i|, summed in double and rounded once; 0 for a zero row. Numeric types only.
void compute_inverse_norms(const VectorBlock& block, float* out);

/// A block with the inverse norms of its rows, computed where the metric needs them and the block has none.
class NormedBlock {
 public:
  NormedBlock(const VectorBlock& block, Metric metric) : block_(block), norms_(metric != Metric::cosine || block.inverse_norms ? 0 : block.rows) {
    if (norms_.empty()) return;
    compute_inverse_norms(block, norms_.data());
    block_.inverse_norms = norms_.data();
  }
  NormedBlock(const NormedBlock&) = delete;

  const VectorBlock& block() const { return block_; }

 private:
  VectorBlock block_;
  std::vector<float> norms_;
};

/// Row and position of the first NaN or infinity of a float32 or float16 block; other types have none.
std::optional<std::pair<std::uint32_t, std::uint32_t>> first_non_finite(const VectorBlock& block);

/// What users see of an ordering distance.
float public_distance(Metric metric, float ordering);

/// One query made ready for many rows. Movable, immutable after construction, safe to use from many threads.
class PreparedQuery {
 public:
  /// query: one row of `dim` values, float32 for rows of floats, else of the rows' own type. It must outlive this object. A query of
  /// float32 or float16 rows scores blocks of coded rows as well.
  /// Throws InvalidArgument for a pair of metric and type that is not allowed. Another table than the one in use is for tests.
  PreparedQuery(Metric metric, Dtype dtype, std::uint32_t dim, const void* query, const Kernels& table = kernels());
  PreparedQuery(PreparedQuery&&) = default;
  PreparedQuery& operator=(PreparedQuery&&) = default;

  Metric metric() const { return metric_; }
  Dtype dtype() const { return dtype_; }
  std::uint32_t dim() const { return dim_; }
  /// The query as it was given.
  const void* values() const { return original_; }

  /// Ordering distance of one row; `inverse_norm` is read under cosine only.
  float distance(const std::uint8_t* row, float inverse_norm = 0) const;
  /// out[i] = distance of row first + i of the block, for i < count.
  void distances(const VectorBlock& block, std::uint32_t first, std::uint32_t count, float* out) const;
  /// out[i] = distance of row rows[i] of the block. Prefetches ahead, so rows may lie anywhere.
  void distances_at(const VectorBlock& block, std::span<const std::uint32_t> rows, float* out) const;

 private:
  Kernel kernel_of(Dtype rows) const { return rows == dtype_ ? kernel_ : coded_kernel_; }
  Dtype expect_rows(const VectorBlock& block) const;
  float finish(float raw, Dtype rows, const std::uint8_t* row, float inverse_norm) const;
  float exact_distance(Dtype rows, const std::uint8_t* row) const;
  double raw_in_double(Dtype rows, const std::uint8_t* row) const;

  Metric metric_;
  Dtype dtype_;
  std::uint32_t dim_;
  const void* query_;            // what the kernel reads: the caller's row, or unit_query_
  const void* original_;         // the caller's row
  std::vector<float> unit_query_;  // cosine over floats: |query| = 1, so that no product under- or overflows needlessly
  float query_inverse_norm_ = 1;   // cosine over integers
  bool zero_query_ = false;
  Kernel kernel_;
  Kernel coded_kernel_ = nullptr;  // of queries of floats
};

}  // namespace vicino
