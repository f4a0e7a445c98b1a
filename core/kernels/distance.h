// The reference kernels: what every other set must agree with. One element after the other, floats summed in double.
#pragma once
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/half.h"
#include "kernels/loops.h"

namespace vicino {

namespace reference {

inline float element(loops::Float32, const std::uint8_t* row, std::size_t i) {
  float value;
  std::memcpy(&value, row + i * 4, 4);
  return value;
}
inline float element(loops::Float16, const std::uint8_t* row, std::size_t i) {
  std::uint16_t half;
  std::memcpy(&half, row + i * 2, 2);
  return half_to_float(half);
}
inline float element(loops::Coded, const std::uint8_t* row, std::size_t i, std::size_t dim) {
  float scale;
  std::memcpy(&scale, row + i / kCodedRun * sizeof scale, sizeof scale);
  return scale * static_cast<float>(static_cast<std::int8_t>(row[(dim + kCodedRun - 1) / kCodedRun * sizeof scale + i]));
}
inline int element(loops::Int8, const std::uint8_t* row, std::size_t i) { return static_cast<std::int8_t>(row[i]); }
inline int element(loops::Uint8, const std::uint8_t* row, std::size_t i) { return row[i]; }
/// The same of any type, for rows of `dim` elements.
template <class Element>
auto element(Element tag, const std::uint8_t* row, std::size_t i, std::size_t) { return element(tag, row, i); }

struct Dot { static double term(double a, double b) { return a * b; } };
struct SquaredL2 { static double term(double a, double b) { return (a - b) * (a - b); } };
struct L1 { static double term(double a, double b) { return std::fabs(a - b); } };

/// The whole sum in double. Integers stay exact: their sums are below 2^53 for any dimension.
template <class Operation, class QueryElement, class Element>
double sum(const void* query, const std::uint8_t* row, std::uint32_t dim) {
  const auto* q = static_cast<const std::uint8_t*>(query);
  double total = 0;
  for (std::size_t i = 0; i < dim; ++i) total += Operation::term(element(QueryElement{}, q, i), element(Element{}, row, i, dim));
  return total;
}

template <class Operation, class QueryElement, class Element>
void score(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(sum<Operation, QueryElement, Element>(query, rows[i], dim));
}

template <class Combine>
std::uint64_t count_bits(const void* query, const std::uint8_t* row, std::uint32_t dim, Combine combine) {
  const auto* q = static_cast<const std::uint8_t*>(query);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < (static_cast<std::size_t>(dim) + 7) / 8; ++i)
    total += static_cast<std::uint64_t>(std::popcount(static_cast<std::uint8_t>(combine(q[i], row[i]))));
  return total;
}

inline void hamming(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(count_bits(query, rows[i], dim, std::bit_xor<int>{}));
}
inline void jaccard(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  for (std::size_t i = 0; i < count; ++i)
    out[i] = jaccard_distance(count_bits(query, rows[i], dim, std::bit_and<int>{}), count_bits(query, rows[i], dim, std::bit_or<int>{}));
}

inline void code_products(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t*, std::size_t n_columns,
                          std::size_t stride, std::int32_t* dots) {
  for (std::size_t r = 0; r < n_rows; ++r)
    for (std::size_t c = 0; c < n_columns; ++c) {
      std::int32_t total = 0;
      for (std::size_t i = 0; i < stride; ++i) total += rows[r * stride + i] * columns[c * stride + i];
      dots[r * n_columns + c] = total;
    }
}

inline void code_products_at(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                             std::size_t stride, std::int32_t* dots) {
  for (std::size_t c = 0; c < n_columns; ++c) code_products(row, 1, columns[c], column_sums + c, 1, stride, dots + c);
}

}  // namespace reference

/// The portable table, complete. The last five loops have one form for all sets.
inline Kernels scalar_kernels() {
  using namespace loops;
  struct Portable {};
  Kernels table;
  table.dot[0] = reference::score<reference::Dot, Float32, Float32>;
  table.dot[1] = reference::score<reference::Dot, Float32, Float16>;
  table.dot[2] = reference::score<reference::Dot, Int8, Int8>;
  table.dot[3] = reference::score<reference::Dot, Uint8, Uint8>;
  table.dot[4] = reference::score<reference::Dot, Float32, Coded>;
  table.l2[0] = reference::score<reference::SquaredL2, Float32, Float32>;
  table.l2[1] = reference::score<reference::SquaredL2, Float32, Float16>;
  table.l2[2] = reference::score<reference::SquaredL2, Int8, Int8>;
  table.l2[3] = reference::score<reference::SquaredL2, Uint8, Uint8>;
  table.l2[4] = reference::score<reference::SquaredL2, Float32, Coded>;
  table.l1[0] = reference::score<reference::L1, Float32, Float32>;
  table.l1[1] = reference::score<reference::L1, Float32, Float16>;
  table.l1[2] = reference::score<reference::L1, Int8, Int8>;
  table.l1[3] = reference::score<reference::L1, Uint8, Uint8>;
  table.l1[4] = reference::score<reference::L1, Float32, Coded>;
  table.hamming = reference::hamming;
  table.jaccard = reference::jaccard;
  table.code_products = reference::code_products;
  table.code_products_at = reference::code_products_at;
  table.code_distances = loops::code_distances<Portable>;
  table.count_at_most = loops::count_at_most<Portable>;
  table.collect_at_most = loops::collect_at_most<Portable>;
  table.codeword_products = loops::codeword_products<Portable>;
  table.nearest_codeword = loops::nearest_codeword<Portable>;
  return table;
}

}  // namespace vicino
