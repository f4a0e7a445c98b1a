// Columns of codes with AVX2: half a column is one register; vpmaddubsw adds products in pairs, which are at most 2 * 15 * 127 and cannot saturate.
#include <immintrin.h>

#include "kernels/columns.h"
#include "kernels/columns_loops.h"

namespace vicino {

namespace {

struct Avx2Columns {
  static void dots(const std::uint8_t* group, const std::int8_t* query, std::size_t columns, std::size_t ahead, std::int32_t* dots) {
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::size_t column = 0; column < columns; ++column, group += column_loops::kColumn) {
      __builtin_prefetch(group + ahead);
      const std::int8_t* numbers = column_loops::numbers_of(query, column);
      const __m256i low = four(numbers), high = four(numbers + 64);
#pragma GCC unroll 2
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group + 32 * half));
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(codes, nibble), low),
                                               _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble), high));
        sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(pairs, ones));
      }
    }
    for (std::size_t half = 0; half < 2; ++half) _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + 8 * half), sums[half]);
  }

 private:
  /// Four numbers in every lane.
  static __m256i four(const std::int8_t* numbers) {
    std::int32_t lane;
    __builtin_memcpy(&lane, numbers, sizeof lane);
    return _mm256_set1_epi32(lane);
  }
};

}  // namespace

void add_columns_avx2(Kernels& table) { table.code_column_scores = column_loops::code_column_scores<Avx2Columns>; }

}  // namespace vicino
