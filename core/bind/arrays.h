// numpy arrays of vectors as the core sees them, for the bindings that take arrays directly.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <string>

#include "kernels/vectors.h"
#include "util/errors.h"

namespace vicino::bind {

/// Any C-contiguous array in main memory; the type is checked by `dtype_of`.
using Array = nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>;

inline Metric parse_metric(const std::string& name) {
  for (const Metric metric : {Metric::cosine, Metric::dot, Metric::l2, Metric::l1, Metric::hamming, Metric::jaccard})
    if (name == name_of(metric)) return metric;
  throw InvalidArgument("metric must be one of cosine, dot, l2, l1, hamming and jaccard, got \"" + name + "\"");
}

/// Bytes are packed bits under hamming and jaccard, numbers under the other metrics.
inline Dtype dtype_of(const Array& array, Metric metric) {
  namespace nb = nanobind;
  if (array.dtype() == nb::dtype<std::uint8_t>()) return is_allowed(metric, Dtype::binary) ? Dtype::binary : Dtype::uint8;
  if (array.dtype() == nb::dtype<std::int8_t>()) return Dtype::int8;
  if (array.dtype() == nb::dtype<float>()) return Dtype::float32;
  if (array.dtype().code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && array.dtype().bits == 16) return Dtype::float16;
  throw InvalidArgument("vectors must be float32, float16, int8 or uint8");
}

/// A new matrix that Python owns, filled with one value.
template <class T>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<2>> new_matrix(std::size_t rows, std::size_t columns, T fill) {
  auto* data = new T[std::max<std::size_t>(rows * columns, 1)];
  std::fill_n(data, rows * columns, fill);
  return {data, {rows, columns}, nanobind::capsule(data, [](void* p) noexcept { delete[] static_cast<T*>(p); })};
}

inline void check_matrix(const Array& array, const char* what) {
  if (array.ndim() != 2) throw InvalidArgument(std::string(what) + " must have 2 dimensions, got " + std::to_string(array.ndim()));
  if (array.shape(0) > 0xffffffff) throw InvalidArgument(std::string(what) + " has more than 2^32 - 1 rows");
}

/// The rows of a matrix. A binary row of n bytes has 8 n bits.
inline VectorBlock block_of(const Array& array, Metric metric) {
  check_matrix(array, "vectors");
  const Dtype dtype = dtype_of(array, metric);
  const std::size_t width = array.shape(1) * (dtype == Dtype::binary ? 8 : 1);
  return {static_cast<const std::uint8_t*>(array.data()), static_cast<std::uint32_t>(array.shape(0)), static_cast<std::uint32_t>(width), dtype, nullptr};
}

/// Throws unless `queries` are rows that go with the block: float32 for float rows, else the rows' own type.
inline void check_queries(const Array& queries, const VectorBlock& block, Metric metric) {
  check_matrix(queries, "queries");
  const Dtype wanted = block.dtype == Dtype::float16 ? Dtype::float32 : block.dtype;
  if (dtype_of(queries, metric) != wanted)
    throw InvalidArgument(std::string("queries of ") + name_of(block.dtype) + " vectors must be " + name_of(wanted) + ", got " +
                          name_of(dtype_of(queries, metric)));
  const std::size_t width = queries.shape(1) * (block.dtype == Dtype::binary ? 8 : 1);
  if (width != block.dim)
    throw InvalidArgument("vectors have " + std::to_string(block.dim) + " dimensions, queries " + std::to_string(width));
}

}  // namespace vicino::bind
