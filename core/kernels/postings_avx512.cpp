#include <immintrin.h>

#include "kernels/postings_loops.h"

namespace vicino {

void add_postings_avx512(Kernels& table);

namespace {

struct Avx512Postings {};

std::size_t take_sums(std::uint32_t* sums, std::size_t count, std::uint32_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint32_t* out_sums) {
  std::size_t found = 0;
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(bound));
  for (std::size_t i = 0; i < count; i += 64) {
    std::uint64_t mask = 0;
    for (std::size_t part = 0; part < 4; ++part)
      mask |= std::uint64_t{_mm512_cmpge_epu32_mask(_mm512_loadu_si512(sums + i + 16 * part), wanted)} << (16 * part);
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<Avx512Postings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    for (std::size_t part = 0; part < 4; ++part) _mm512_storeu_si512(sums + i + 16 * part, _mm512_setzero_si512());
  }
  return found;
}

std::size_t take_bounds(std::uint16_t* sums, std::size_t count, std::uint16_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint16_t* out_sums) {
  std::size_t found = 0;
  const __m512i wanted = _mm512_set1_epi16(static_cast<short>(bound)), zero = _mm512_setzero_si512();
  const auto take_64 = [&](std::size_t i) {
    std::uint64_t mask = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + i), wanted);
    mask |= std::uint64_t{_mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + i + 32), wanted)} << 32;
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<Avx512Postings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    _mm512_storeu_si512(sums + i, zero);
    _mm512_storeu_si512(sums + i + 32, zero);
  };
  std::size_t i = 0;
  // Large sums are rare: four times as many are looked at together.
  for (; i + 256 <= count; i += 256) {
    __m512i largest = _mm512_loadu_si512(sums + i);
    for (std::size_t part = 1; part < 8; ++part) largest = _mm512_max_epu16(largest, _mm512_loadu_si512(sums + i + 32 * part));
    if (_mm512_cmpge_epu16_mask(largest, wanted)) {
      for (std::size_t part = 0; part < 4; ++part) take_64(i + 64 * part);
      continue;
    }
    for (std::size_t part = 0; part < 8; ++part) _mm512_storeu_si512(sums + i + 32 * part, zero);
  }
  for (; i < count; i += 64) take_64(i);
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
  table.take_sums = take_sums;
  table.take_bounds = take_bounds;
  table.row_sums = row_sums;
}

}  // namespace vicino
