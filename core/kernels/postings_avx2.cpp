#include <immintrin.h>

#include "kernels/postings_loops.h"

namespace vicino {

void add_postings_avx2(Kernels& table);

namespace {

struct Avx2Postings {};

std::size_t collect_at_least(const std::uint32_t* values, std::size_t count, std::uint32_t bound, std::uint32_t* out) {
  std::size_t found = 0, i = 0;
  const __m256i below = _mm256_set1_epi32(static_cast<int>(bound - 1));
  for (; bound && i + 32 <= count; i += 32) {
    std::uint32_t mask = 0;
    for (std::size_t part = 0; part < 4; ++part) {
      const __m256i those = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i + 8 * part));
      mask |= static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(those, below)))) << (8 * part);
    }
    for (; mask; mask &= mask - 1) out[found++] = static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(mask));
  }
  for (; i < count; ++i)
    if (values[i] >= bound) out[found++] = static_cast<std::uint32_t>(i);
  return found;
}

void row_sums(std::uint32_t* gaps, std::size_t count, std::uint32_t first) {
  const __m256i one = _mm256_set1_epi32(1), low_last = _mm256_set1_epi32(3), last = _mm256_set1_epi32(7);
  __m256i before = _mm256_set1_epi32(static_cast<int>(first - 1));
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256i rows = _mm256_add_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(gaps + i)), one);
    rows = _mm256_add_epi32(rows, _mm256_slli_si256(rows, 4));
    rows = _mm256_add_epi32(rows, _mm256_slli_si256(rows, 8));
    // What the low half comes to goes to the high half alone.
    rows = _mm256_add_epi32(rows, _mm256_blend_epi32(_mm256_setzero_si256(), _mm256_permutevar8x32_epi32(rows, low_last), 0xf0));
    rows = _mm256_add_epi32(rows, before);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(gaps + i), rows);
    before = _mm256_permutevar8x32_epi32(rows, last);
  }
  first = static_cast<std::uint32_t>(_mm256_extract_epi32(before, 0)) + 1;
  for (; i < count; ++i) {
    gaps[i] += first;
    first = gaps[i] + 1;
  }
}

}  // namespace

void add_postings_avx2(Kernels& table) {
  table.text_shares = loops::text_shares<Avx2Postings>;
  table.weight_shares = loops::weight_shares<Avx2Postings>;
  table.collect_at_least = collect_at_least;
  table.row_sums = row_sums;
}

}  // namespace vicino
