// Scanning blocks of product codes by the sums of an instruction set (`block_sums`, codes_loops.h), one query after the other: the codes of a
// block are in the first-level cache when the second query comes.
#pragma once
#include "kernels/codes_loops.h"

namespace vicino::code_loops {

template <class Isa>
void scan_products(const ProductScan* queries, std::size_t n_queries, const std::uint8_t* block, const float* squares, std::size_t n_groups,
                   std::uint32_t wanted, float* estimates, std::uint32_t* found) {
  constexpr std::size_t rows = 32;
  float known[rows] = {};
  if (squares)
    for (std::size_t i = 0; i < rows; ++i)
      if (wanted >> i & 1) known[i] = squares[i];
  for (std::size_t q = 0; q < n_queries; ++q, estimates += rows) {
    const ProductScan& query = queries[q];
    std::uint32_t sums[rows];
    Isa::block_sums(block, query.table, n_groups, sums);
    for (std::size_t i = 0; i < rows; i += Isa::kFloats) {
      // Sums are far below 2^31, and signed numbers become floats in one instruction.
      Ints<Isa> sum;
      __builtin_memcpy(&sum, sums + i, sizeof sum);
      const Floats<Isa> shift = squares ? query.shift + query.square_slope * load<Isa>(known + i) : all<Isa>(query.shift);
      store<Isa>(estimates + i, shift + query.factor * __builtin_convertvector(sum, Floats<Isa>));
    }
    found[q] = 0;
    for (std::uint32_t i = 0; i < rows; ++i) found[q] |= static_cast<std::uint32_t>(!(estimates[i] > query.limit)) << i;
    found[q] &= wanted;
  }
}

}  // namespace vicino::code_loops
