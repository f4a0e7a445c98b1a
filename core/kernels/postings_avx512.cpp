#include <immintrin.h>

#include "kernels/postings_loops.h"

namespace vicino {

void add_postings_avx512(Kernels& table);

namespace {

struct Avx512Postings {};

std::size_t collect_at_least(const std::uint32_t* values, std::size_t count, std::uint32_t bound, std::uint32_t* out) {
  std::size_t found = 0, i = 0;
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(bound));
  for (; i + 64 <= count; i += 64) {
    std::uint64_t mask = 0;
    for (std::size_t part = 0; part < 4; ++part)
      mask |= static_cast<std::uint64_t>(_mm512_cmpge_epu32_mask(_mm512_loadu_si512(values + i + 16 * part), wanted)) << (16 * part);
    for (; mask; mask &= mask - 1) out[found++] = static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctzll(mask));
  }
  for (; i < count; ++i)
    if (values[i] >= bound) out[found++] = static_cast<std::uint32_t>(i);
  return found;
}

std::size_t take_sums(std::uint16_t* sums, std::size_t count, std::uint16_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint16_t* out_sums) {
  std::size_t found = 0;
  const __m512i wanted = _mm512_set1_epi16(static_cast<short>(bound));
  for (std::size_t i = 0; i < count; i += 64) {
    std::uint64_t mask = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + i), wanted);
    mask |= std::uint64_t{_mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + i + 32), wanted)} << 32;
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<Avx512Postings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    _mm512_storeu_si512(sums + i, _mm512_setzero_si512());
    _mm512_storeu_si512(sums + i + 32, _mm512_setzero_si512());
  }
  return found;
}

void row_sums(std::uint32_t* gaps, std::size_t count, std::uint32_t first) {
  // Sums of neighbors one, two, four and eight lanes apart, zeros coming in from below, are the sums of all before.
  const __m512i one = _mm512_set1_epi32(1), zero = _mm512_setzero_si512(), last = _mm512_set1_epi32(15);
  __m512i before = _mm512_set1_epi32(static_cast<int>(first - 1));
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m512i rows = _mm512_add_epi32(_mm512_loadu_si512(gaps + i), one);
    rows = _mm512_add_epi32(rows, _mm512_alignr_epi32(rows, zero, 15));
    rows = _mm512_add_epi32(rows, _mm512_alignr_epi32(rows, zero, 14));
    rows = _mm512_add_epi32(rows, _mm512_alignr_epi32(rows, zero, 12));
    rows = _mm512_add_epi32(rows, _mm512_alignr_epi32(rows, zero, 8));
    rows = _mm512_add_epi32(rows, before);
    _mm512_storeu_si512(gaps + i, rows);
    before = _mm512_permutexvar_epi32(last, rows);
  }
  first = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(before))) + 1;
  for (; i < count; ++i) {
    gaps[i] += first;
    first = gaps[i] + 1;
  }
}

}  // namespace

void add_postings_avx512(Kernels& table) {
  table.text_shares = loops::text_shares<Avx512Postings>;
  table.weight_shares = loops::weight_shares<Avx512Postings>;
  table.collect_at_least = collect_at_least;
  table.take_sums = take_sums;
  table.row_sums = row_sums;
}

}  // namespace vicino
