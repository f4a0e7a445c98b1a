// Columns of codes with AVX-512: a column is one register, and vpdpbusd adds its products to the sums of 16 rows.
#include <immintrin.h>

#include "kernels/columns.h"
#include "kernels/columns_loops.h"

namespace vicino {

namespace {

struct Avx512Columns {
  static void dots(const std::uint8_t* group, const std::int8_t* query, std::size_t columns, std::size_t ahead, std::int32_t* dots) {
    // High nibbles stay where they are: their products are 16 times too large, which one shift at the end undoes. Of the longest codes, 32 KiB
    // a row, the sum is at most 8192 columns of 4 * 240 * 127, less than 2^30.
    const __m512i low_nibble = _mm512_set1_epi8(15), high_nibble = _mm512_set1_epi8(static_cast<char>(0xf0));
    __m512i low[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    // Two columns at a time, each with sums of its own: an addition waits for the one before it. Their number is a multiple of 8.
    for (std::size_t column = 0; column < columns; column += 2, group += 2 * column_loops::kColumn) {
      const std::int8_t* numbers = column_loops::numbers_of(query, column);
#pragma GCC unroll 2
      for (std::size_t i = 0; i < 2; ++i) {
        __builtin_prefetch(group + i * column_loops::kColumn + ahead);
        const __m512i codes = _mm512_loadu_si512(group + i * column_loops::kColumn);
        low[i] = _mm512_dpbusd_epi32(low[i], _mm512_and_si512(codes, low_nibble), four(numbers + 4 * i));
        high[i] = _mm512_dpbusd_epi32(high[i], _mm512_and_si512(codes, high_nibble), four(numbers + 4 * i + 64));
      }
    }
    const __m512i sums = _mm512_srai_epi32(_mm512_add_epi32(high[0], high[1]), 4);
    _mm512_storeu_si512(dots, _mm512_add_epi32(sums, _mm512_add_epi32(low[0], low[1])));
  }

 private:
  /// Four numbers in every lane.
  static __m512i four(const std::int8_t* numbers) {
    std::int32_t lane;
    __builtin_memcpy(&lane, numbers, sizeof lane);
    return _mm512_set1_epi32(lane);
  }
};

}  // namespace

void add_columns_avx512(Kernels& table) { table.code_column_scores = column_loops::code_column_scores<Avx512Columns>; }

}  // namespace vicino
