// What the bindings of indexes over plain arrays share: a block with its norms, queries made ready, masks as bitmaps, hits as arrays.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "bind/arrays.h"
#include "bind/numpy_arrays.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino::bind {

using Mask = nanobind::ndarray<bool, nanobind::ro, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

inline std::vector<std::uint64_t> bits_of(const std::optional<Mask>& mask, std::uint32_t n_rows) {
  if (!mask) return {};
  if (mask->shape(0) != n_rows)
    throw InvalidArgument("allowed has " + std::to_string(mask->shape(0)) + " values for " + std::to_string(n_rows) + " vectors");
  std::vector<std::uint64_t> bits(n_rows / 64 + 1);  // never empty: without an address it would allow everything
  for (std::uint32_t row = 0; row < n_rows; ++row) bits[row / 64] |= std::uint64_t{mask->data()[row]} << (row % 64);
  return bits;
}

/// The rows that are built from: all, or those present.
inline std::vector<std::uint32_t> rows_of(const std::optional<Mask>& present, std::uint32_t n_rows) {
  if (present && present->shape(0) != n_rows)
    throw InvalidArgument("present has " + std::to_string(present->shape(0)) + " values for " + std::to_string(n_rows) + " vectors");
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < n_rows; ++row)
    if (!present || present->data()[row]) rows.push_back(row);
  return rows;
}

inline std::vector<PreparedQuery> prepare(const Array& queries, const VectorBlock& block, Metric metric) {
  std::vector<PreparedQuery> prepared;
  const std::size_t width = row_bytes(block.dtype == Dtype::float16 ? Dtype::float32 : block.dtype, block.dim);
  for (std::size_t q = 0; q < queries.shape(0); ++q)
    prepared.emplace_back(metric, block.dtype, block.dim, static_cast<const std::uint8_t*>(queries.data()) + q * width);
  return prepared;
}

inline void check_k(std::size_t k) {
  if (k < 1) throw InvalidArgument("k must be at least 1, got 0");
}

inline void write_hits(TopK&& nearest, Metric metric, std::int64_t* rows, float* distances) {
  for (const Hit& hit : std::move(nearest).take_sorted()) {
    *rows++ = static_cast<std::int64_t>(hit.row);
    *distances++ = public_distance(metric, hit.distance);
  }
}

struct RowsAndDistances {
  nanobind::object rows, distances;
};

/// Rows and public distances, (n, k), of query after query without Python's lock; `ask(query, bits of allowed rows or null, nearest, cancel)`.
template <class Ask>
RowsAndDistances search_each(const NormedBlock& held, Metric metric, const Array& queries, std::size_t k, const std::optional<Mask>& allowed,
                             std::optional<double> timeout_s, Ask&& ask) {
  check_k(k);
  check_queries(queries, held.block(), metric);
  const NumpyMatrix<std::int64_t> rows(queries.shape(0), k, -1);
  const NumpyMatrix<float> distances(queries.shape(0), k, __builtin_inff());
  {
    const nanobind::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    const auto bits = bits_of(allowed, held.block().rows);
    const auto prepared = prepare(queries, held.block(), metric);
    for (std::size_t q = 0; q < prepared.size(); ++q) {
      TopK nearest(k);
      ask(prepared[q], allowed ? bits.data() : nullptr, nearest, cancel);
      write_hits(std::move(nearest), metric, rows.data() + q * k, distances.data() + q * k);
    }
  }
  return {rows.array(), distances.array()};
}

}  // namespace vicino::bind
