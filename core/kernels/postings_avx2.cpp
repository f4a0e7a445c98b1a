#include <immintrin.h>

#include "kernels/postings_loops.h"

namespace vicino {

void add_postings_avx2(Kernels& table);

namespace {

struct Avx2Postings {};

std::size_t take_sums(std::uint32_t* sums, std::size_t count, std::uint32_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint32_t* out_sums) {
  std::size_t found = 0;
  const __m256i wanted = _mm256_set1_epi32(static_cast<int>(bound));
  for (std::size_t i = 0; i < count; i += 64) {
    auto* const at = reinterpret_cast<__m256i*>(sums + i);
    std::uint64_t mask = 0;
    for (int part = 0; part < 8; ++part) {
      const __m256i those = _mm256_loadu_si256(at + part);
      // The larger of a sum and the bound is the sum where that is large enough.
      const __m256i enough = _mm256_cmpeq_epi32(_mm256_max_epu32(those, wanted), those);
      mask |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(enough)))} << (8 * part);
    }
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<Avx2Postings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    for (int part = 0; part < 8; ++part) _mm256_storeu_si256(at + part, _mm256_setzero_si256());
  }
  return found;
}

std::size_t take_bounds(std::uint16_t* sums, std::size_t count, std::uint16_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint16_t* out_sums) {
  std::size_t found = 0;
  const __m256i wanted = _mm256_set1_epi16(static_cast<short>(bound));
  // Halves are packed together lane by lane, so quarters change places.
  const auto enough = [&](const __m256i* at) {
    const __m256i those = _mm256_loadu_si256(at);
    return _mm256_cmpeq_epi16(_mm256_max_epu16(those, wanted), those);
  };
  for (std::size_t i = 0; i < count; i += 64) {
    auto* const at = reinterpret_cast<__m256i*>(sums + i);
    std::uint64_t mask = 0;
    for (int half = 0; half < 2; ++half) {
      const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(enough(at + 2 * half), enough(at + 2 * half + 1)), 0xd8);
      mask |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(packed))} << (32 * half);
    }
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<Avx2Postings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    for (int part = 0; part < 4; ++part) _mm256_storeu_si256(at + part, _mm256_setzero_si256());
  }
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
  table.take_sums = take_sums;
  table.take_bounds = take_bounds;
  table.row_sums = row_sums;
}

}  // namespace vicino
