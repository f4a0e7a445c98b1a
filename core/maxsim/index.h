// The multi index of a sealed segment: what makes MaxSim fast beside the stored values, built once, immutable, read in place.
//
// Every token has a symmetric int8 code and a scale, and every row two numbers that bound what coding lost, so that an exact search can
// prove which rows need not be read in full. Under cosine the coded token has norm 1. Values of int8 whose dimension is a multiple of 4 are
// their own codes and are not kept twice. A large segment has inverted lists too: centroids over its tokens, and per centroid the rows
// that have a token near it.
//
//   0       header, 64 bytes (Header in index.cpp)
//   64      starts       u64[rows + 1]             token numbers where rows begin
//           scales       f32[tokens]               token = scale * code
//           corrections  i32[tokens]               -128 * the sum of a code, for kernels that multiply unsigned by signed bytes
//           residuals    f32[rows]                 largest |token - scale * code| of the row, rounded up
//           norms        f32[rows]                 largest |scale * code| of the row, rounded up
//           codes        i8[tokens * stride]       unless the values are the codes; stride is dim rounded up to a multiple of 4
//           centroids    i8[centroids * wide]      unit directions; wide is dim rounded up to a multiple of 64
//           steps        f32[centroids]            direction = step * code
//           sums         i32[centroids]            sum of each code
//           lengths      f32[centroids]            mean of <token, direction> over the tokens of the centroid
//           list starts  u64[centroids + 1]
//           lists        u32[entries]              rows, ascending within a list
//   Each part begins at a multiple of 64.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "maxsim/spec.h"
#include "util/blob.h"
#include "util/cancel.h"

namespace vicino {

/// Bytes of one row's value; empty when the row has none. Must stay valid and unchanged while the caller uses it.
using RowBytes = std::function<Bytes(std::uint32_t row)>;

struct MultiIndexParams {
  // Segments with at least so many tokens get inverted lists. Below, all codes are scored in less than a second for a query of 32 tokens, and
  // nothing is missed.
  std::uint64_t lists_from_tokens = 16'000'000;
  std::uint64_t seed = 0;
};

class MultiIndex {
 public:
  /// Checks header, sizes and starts. Throws CorruptionError naming `what`, FormatError for a newer format. O(rows).
  static MultiIndex open(Blob image, const MultiSpec& spec, std::uint32_t n_rows, const std::string& what);

  const MultiSpec& spec() const { return spec_; }
  std::uint32_t n_rows() const { return static_cast<std::uint32_t>(starts_.size() - 1); }
  std::uint64_t n_tokens() const { return starts_.back(); }
  std::uint32_t n_tokens_of(std::uint32_t row) const { return static_cast<std::uint32_t>(starts_[row + 1] - starts_[row]); }
  std::uint64_t first_token(std::uint32_t row) const { return starts_[row]; }
  std::size_t stride() const { return stride_; }
  bool has_lists() const { return !steps_.empty(); }
  std::uint32_t n_centroids() const { return static_cast<std::uint32_t>(steps_.size()); }
  std::size_t size_bytes() const { return image_.size(); }

  /// The codes of a row's tokens; `value` is the row's stored bytes, read only when they are the codes. Throws CorruptionError when they
  /// are not as many as the index says.
  const std::int8_t* codes(std::uint32_t row, const RowBytes& value) const;
  std::span<const float> scales() const { return scales_; }
  std::span<const std::int32_t> corrections() const { return corrections_; }
  float residual(std::uint32_t row) const { return residuals_[row]; }
  float norm(std::uint32_t row) const { return norms_[row]; }

  std::size_t wide_stride() const { return wide_; }
  const std::int8_t* centroids() const { return centroids_.data(); }
  std::span<const float> steps() const { return steps_; }
  std::span<const std::int32_t> sums() const { return sums_; }
  std::span<const float> lengths() const { return lengths_; }
  /// Throws CorruptionError for a list that leaves its section. Rows in it are unchecked.
  std::span<const std::uint32_t> list(std::uint32_t centroid) const;

  /// Checks what opening does not: every list. Throws CorruptionError.
  void verify() const;

 private:
  std::string what_;
  Blob image_;
  MultiSpec spec_;
  std::size_t stride_ = 0, wide_ = 0;
  std::span<const std::uint64_t> starts_, list_starts_;
  std::span<const float> scales_, residuals_, norms_, steps_, lengths_;
  std::span<const std::int32_t> corrections_, sums_;
  std::span<const std::int8_t> codes_, centroids_;
  std::span<const std::uint32_t> lists_;
};

/// The image for rows 0 .. n_rows - 1. The same values and parameters give the same bytes for any number of threads. Throws InvalidArgument
/// for a value that is no whole number of tokens and CorruptionError for numbers that are not finite.
std::vector<std::uint8_t> build_multi_index(const MultiSpec& spec, std::uint32_t n_rows, const RowBytes& value, const MultiIndexParams& params,
                                            unsigned threads, const Cancel& cancel);

/// Upper bound of what a build allocates, its result included, the values not.
std::size_t multi_build_bytes(const MultiSpec& spec, std::uint32_t n_rows, std::uint64_t n_tokens, const MultiIndexParams& params, unsigned threads);

}  // namespace vicino
