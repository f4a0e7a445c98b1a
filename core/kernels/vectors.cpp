#include "kernels/vectors.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>

#include "kernels/coded_rows.h"
#include "kernels/distance.h"
#include "util/errors.h"
#include "util/prefetch.h"

namespace vicino {

namespace {

constexpr std::size_t kGroup = 64;  // rows per kernel call: their pointers and distances stay in the first-level cache

/// Calls visit(element tag) with the tag of a numeric type.
template <class Visit>
auto with_element(Dtype dtype, Visit&& visit) {
  switch (dtype) {
    case Dtype::float32: return visit(loops::Float32{});
    case Dtype::float16: return visit(loops::Float16{});
    case Dtype::int8: return visit(loops::Int8{});
    case Dtype::uint8: return visit(loops::Uint8{});
    case Dtype::coded: return visit(loops::Coded{});
    case Dtype::binary: break;
  }
  throw InvalidArgument("binary vectors have no numeric elements");
}

/// The sum of squares over four interleaved sums: the order is fixed, so every machine gets the same bits.
template <class Element>
double squared_norm(const std::uint8_t* row, std::size_t dim) {
  double sums[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= dim; i += 4)
    for (std::size_t j = 0; j < 4; ++j) {
      const double value = reference::element(Element{}, row, i + j, dim);
      sums[j] += value * value;
    }
  for (; i < dim; ++i) {
    const double value = reference::element(Element{}, row, i, dim);
    sums[0] += value * value;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double squared_norm(Dtype dtype, const void* row, std::size_t dim) {
  return with_element(dtype, [&](auto element) { return squared_norm<decltype(element)>(static_cast<const std::uint8_t*>(row), dim); });
}

Kernel kernel_for(Metric metric, Dtype dtype, const Kernels& table) {
  if (!is_allowed(metric, dtype))
    throw InvalidArgument(std::string("metric \"") + name_of(metric) + "\" does not go with " + name_of(dtype) + " vectors; use " +
                          (dtype == Dtype::binary ? "hamming or jaccard" : "cosine, dot, l2 or l1"));
  const auto numeric = dtype == Dtype::coded ? 4 : static_cast<std::size_t>(dtype);
  switch (metric) {
    case Metric::cosine:
    case Metric::dot: return table.dot[numeric];
    case Metric::l2: return table.l2[numeric];
    case Metric::l1: return table.l1[numeric];
    case Metric::hamming: return table.hamming;
    case Metric::jaccard: return table.jaccard;
  }
  __builtin_unreachable();
}

/// Asks for a row, of a long one for its first two kibibytes: the processor follows a stream it has seen begin. To the second cache only:
/// there more lines may be on their way at once.
VICINO_PREFETCHES void prefetch_row(const std::uint8_t* row, std::size_t size) {
  for (std::size_t at = 0; at < std::min<std::size_t>(size, 2048); at += 64) __builtin_prefetch(row + at, 0, 2);
}

}  // namespace

const char* name_of(Dtype dtype) {
  constexpr const char* names[] = {"float32", "float16", "int8", "uint8", "binary", "coded"};
  return names[static_cast<std::size_t>(dtype)];
}

const char* name_of(Metric metric) {
  constexpr const char* names[] = {"cosine", "dot", "l2", "l1", "hamming", "jaccard"};
  return names[static_cast<std::size_t>(metric)];
}

bool is_allowed(Metric metric, Dtype dtype) {
  return (metric == Metric::hamming || metric == Metric::jaccard) == (dtype == Dtype::binary);
}

std::size_t row_bytes(Dtype dtype, std::uint32_t dim) {
  switch (dtype) {
    case Dtype::float32: return static_cast<std::size_t>(dim) * 4;
    case Dtype::float16: return static_cast<std::size_t>(dim) * 2;
    case Dtype::int8:
    case Dtype::uint8: return dim;
    case Dtype::binary: return (static_cast<std::size_t>(dim) + 7) / 8;
    case Dtype::coded: return coded_row_bytes(dim);
  }
  __builtin_unreachable();
}

void read_row(Dtype dtype, const std::uint8_t* row, std::uint32_t dim, float* out) {
  switch (dtype) {
    case Dtype::float32: std::memcpy(out, row, dim * sizeof(float)); return;
    case Dtype::float16: kernels().widen_halves(row, dim, out); return;
    case Dtype::coded: decode_coded_row(row, dim, out); return;
    default: with_element(dtype, [&](auto element) {
      for (std::size_t i = 0; i < dim; ++i) out[i] = static_cast<float>(reference::element(element, row, i, dim));
    });
  }
}

std::vector<std::uint8_t> query_values(const VectorBlock& block, std::uint32_t row) {
  const std::uint8_t* bytes = block.row(row);
  if (!is_float(block.dtype)) return {bytes, bytes + row_bytes(block.dtype, block.dim)};
  std::vector<std::uint8_t> wide(block.dim * sizeof(float));
  read_row(block.dtype, bytes, block.dim, reinterpret_cast<float*>(wide.data()));
  return wide;
}

void compute_inverse_norms(const VectorBlock& block, float* out) {
  with_element(block.dtype, [&](auto element) {
    for (std::uint32_t i = 0; i < block.rows; ++i) {
      const double squared = squared_norm<decltype(element)>(block.row(i), block.dim);
      out[i] = squared > 0 ? static_cast<float>(1 / std::sqrt(squared)) : 0.0f;
    }
  });
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> first_non_finite(const VectorBlock& block) {
  if (block.dtype != Dtype::float32 && block.dtype != Dtype::float16) return std::nullopt;
  const auto find = [&](auto bits_type, auto exponent) -> std::optional<std::pair<std::uint32_t, std::uint32_t>> {
    using BitsType = decltype(bits_type);
    const auto is_bad = [&](const std::uint8_t* row, std::size_t i) {
      BitsType bits;
      std::memcpy(&bits, row + i * sizeof bits, sizeof bits);
      return (bits & exponent) == exponent;
    };
    for (std::uint32_t i = 0; i < block.rows; ++i) {
      const std::uint8_t* row = block.row(i);
      std::uint32_t bad = 0;  // no early exit, so that the compiler can make the loop wide
      for (std::uint32_t j = 0; j < block.dim; ++j) bad |= is_bad(row, j);
      if (!bad) continue;
      std::uint32_t position = 0;
      while (!is_bad(row, position)) ++position;
      return std::pair{i, position};
    }
    return std::nullopt;
  };
  if (block.dtype == Dtype::float32) return find(std::uint32_t{}, std::uint32_t{0x7f800000});
  return find(std::uint16_t{}, std::uint16_t{0x7c00});
}

float public_distance(Metric metric, float ordering) { return metric == Metric::l2 ? std::sqrt(ordering) : ordering; }

PreparedQuery::PreparedQuery(Metric metric, Dtype dtype, std::uint32_t dim, const void* query, const Kernels& table)
    : metric_(metric), dtype_(dtype), dim_(dim), query_(query), original_(query), kernel_(kernel_for(metric, dtype, table)) {
  if (is_float(dtype)) coded_kernel_ = kernel_for(metric, Dtype::coded, table);
  if (metric != Metric::cosine) return;
  const double squared = squared_norm(query_dtype(dtype), query, dim);
  zero_query_ = squared == 0;
  if (zero_query_) return;
  const double inverse_norm = 1 / std::sqrt(squared);
  if (!is_float(dtype)) {
    query_inverse_norm_ = static_cast<float>(inverse_norm);
    return;
  }
  unit_query_.resize(dim);
  for (std::size_t i = 0; i < dim; ++i)
    unit_query_[i] = static_cast<float>(inverse_norm * reference::element(loops::Float32{}, static_cast<const std::uint8_t*>(query), i));
  query_ = unit_query_.data();
}

Dtype PreparedQuery::expect_rows(const VectorBlock& block) const {
  if (block.dtype != dtype_ && !(block.dtype == Dtype::coded && coded_kernel_))
    throw InvalidArgument(std::string("a query of ") + name_of(dtype_) + " rows does not score " + name_of(block.dtype) + " rows");
  return block.dtype;
}

double PreparedQuery::raw_in_double(Dtype rows, const std::uint8_t* row) const {
  return with_element(rows, [&]<class Element>(Element) {
    constexpr bool is_whole = std::is_same_v<Element, loops::Int8> || std::is_same_v<Element, loops::Uint8>;
    using QueryElement = std::conditional_t<is_whole, Element, loops::Float32>;
    switch (metric_) {
      case Metric::l2: return reference::sum<reference::SquaredL2, QueryElement, Element>(original_, row, dim_);
      case Metric::l1: return reference::sum<reference::L1, QueryElement, Element>(original_, row, dim_);
      default: return reference::sum<reference::Dot, QueryElement, Element>(original_, row, dim_);
    }
  });
}

float PreparedQuery::exact_distance(Dtype rows, const std::uint8_t* row) const {
  double distance = raw_in_double(rows, row);
  if (metric_ == Metric::dot) distance = -distance;
  if (metric_ == Metric::cosine) {
    distance = 1 - distance / std::sqrt(squared_norm(query_dtype(dtype_), original_, dim_)) / std::sqrt(squared_norm(rows, row, dim_));
    distance = std::clamp(distance, 0.0, 2.0);
  }
  if (std::isnan(distance)) return FLT_MAX;  // rows of a damaged file make anything, and nothing can be ordered by a NaN
  return static_cast<float>(std::clamp<double>(distance, -FLT_MAX, FLT_MAX));
}

float PreparedQuery::finish(float raw, Dtype rows, const std::uint8_t* row, float inverse_norm) const {
  // A sum of floats can overflow on the way although its value does not, and the inverse norm of an extreme row is no normal float.
  if (!std::isfinite(raw)) return zero_query_ || (metric_ == Metric::cosine && inverse_norm == 0) ? 1.0f : exact_distance(rows, row);
  switch (metric_) {
    case Metric::cosine:
      if (zero_query_ || inverse_norm == 0) return 1.0f;
      if (!std::isnormal(inverse_norm)) return exact_distance(rows, row);
      return std::clamp(1.0f - raw * query_inverse_norm_ * inverse_norm, 0.0f, 2.0f);
    case Metric::dot: return -raw;
    default: return raw;
  }
}

float PreparedQuery::distance(const std::uint8_t* row, float inverse_norm) const {
  float raw;
  kernel_(query_, &row, 1, dim_, &raw);
  return finish(raw, dtype_, row, inverse_norm);
}

void PreparedQuery::distances(const VectorBlock& block, std::uint32_t first, std::uint32_t count, float* out) const {
  const Dtype dtype = expect_rows(block);
  const Kernel kernel = kernel_of(dtype);
  const std::size_t size = row_bytes(dtype, dim_);
  const std::uint8_t* rows[kGroup];
  for (std::uint32_t done = 0; done < count; done += kGroup) {
    const std::size_t n = std::min<std::size_t>(kGroup, count - done);
    const std::size_t start = static_cast<std::size_t>(first) + done;
    for (std::size_t i = 0; i < n; ++i) rows[i] = block.data + (start + i) * size;
    kernel(query_, rows, n, dim_, out + done);
    for (std::size_t i = 0; i < n; ++i)
      out[done + i] = finish(out[done + i], dtype, rows[i], block.inverse_norms ? block.inverse_norms[start + i] : 0);
  }
}

void PreparedQuery::distances_at(const VectorBlock& block, std::span<const std::uint32_t> rows, float* out) const {
  constexpr std::size_t ahead = 8;
  const Dtype dtype = expect_rows(block);
  const Kernel kernel = kernel_of(dtype);
  const std::size_t size = row_bytes(dtype, dim_);
  const auto pointer = [&](std::size_t i) { return block.data + static_cast<std::size_t>(rows[i]) * size; };
  for (std::size_t i = 0; i < std::min(ahead, rows.size()); ++i) prefetch_row(pointer(i), size);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + ahead < rows.size()) prefetch_row(pointer(i + ahead), size);
    const std::uint8_t* row = pointer(i);
    kernel(query_, &row, 1, dim_, out + i);
    out[i] = finish(out[i], dtype, row, block.inverse_norms ? block.inverse_norms[rows[i]] : 0);
  }
}

}  // namespace vicino
