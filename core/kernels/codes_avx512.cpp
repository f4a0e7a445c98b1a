// The nested code with AVX-512: one line of 64 bytes is 128 nibbles, multiplied by signed bytes with vpdpbusd.
#include <immintrin.h>

#include "kernels/codes.h"
#include "kernels/codes_loops.h"

namespace vicino {

namespace {

struct Avx512Codes {
  static constexpr std::size_t kFloats = 16;

  static void nibble_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    // The usual sizes are unrolled: a walk calls this for one dozen rows after the other.
    switch (row_bytes) {
      case 64: return lines_dots<1>(rows, query, dots);
      case 128: return lines_dots<2>(rows, query, dots);
      case 192: return lines_dots<3>(rows, query, dots);
      case 384: return lines_dots<6>(rows, query, dots);
      default: return any_dots(rows, query, row_bytes, dots);
    }
  }

  static void halves(const std::uint8_t* bytes, float* out) {
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes))));
  }

  static std::uint16_t not_negative(const float* values) {
    return _mm512_cmp_ps_mask(_mm512_loadu_ps(values), _mm512_setzero_ps(), _CMP_GE_OQ);
  }

  /// As the AVX2 form, four parts of 16 bytes at once.
  static void block_sums(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::uint32_t* sums) {
    // A 16-bit lane takes one entry of at most 255 a group.
    constexpr std::size_t flush = 256;
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i totals[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (std::size_t done = 0; done < n_groups; done += flush) {
      const std::size_t count = n_groups - done < flush ? n_groups - done : flush;
      __m512i even[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, odd[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
      for (std::size_t i = 0; i < count; ++i, block += 64, table += 64) {
        const __m512i codes = _mm512_loadu_si512(block), entries = _mm512_loadu_si512(table);
        const __m512i selected[2] = {_mm512_shuffle_epi8(entries, _mm512_and_si512(codes, nibble)),
                                     _mm512_shuffle_epi8(entries, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble))};
        for (std::size_t h = 0; h < 2; ++h) {
          even[h] = _mm512_add_epi16(even[h], selected[h]);
          odd[h] = _mm512_add_epi16(odd[h], _mm512_srli_epi16(selected[h], 8));
        }
      }
      for (std::size_t h = 0; h < 2; ++h) {
        const __m512i pure = _mm512_sub_epi16(even[h], _mm512_slli_epi16(odd[h], 8));
        totals[h] = _mm512_add_epi32(totals[h], _mm512_inserti64x4(_mm512_castsi256_si512(folded(pure)), folded(odd[h]), 1));
      }
    }
    _mm512_storeu_si512(sums, totals[0]);
    _mm512_storeu_si512(sums + 16, totals[1]);
  }

 private:
  template <std::size_t lines>
  static void lines_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::int32_t* dots) {
    __m512i sums[4];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < 4; ++r) {
      sums[r] = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (std::size_t i = 0; i < lines; ++i)
        sums[r] = add_line(sums[r], _mm512_loadu_si512(rows[r] + 64 * i), _mm512_loadu_si512(query + 128 * i), _mm512_loadu_si512(query + 128 * i + 64));
    }
    four_totals(sums, dots);
  }

  static void any_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    __m512i sums[4];
    for (std::size_t r = 0; r < 4; ++r) sums[r] = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + 64 <= row_bytes; i += 64) {
      const __m512i low = _mm512_loadu_si512(query + 2 * i), high = _mm512_loadu_si512(query + 2 * i + 64);
      for (std::size_t r = 0; r < 4; ++r) sums[r] = add_line(sums[r], _mm512_loadu_si512(rows[r] + i), low, high);
    }
    if (i < row_bytes) {
      // The query is zero beyond the half line.
      const __m512i low = _mm512_loadu_si512(query + 2 * i), high = _mm512_loadu_si512(query + 2 * i + 64);
      for (std::size_t r = 0; r < 4; ++r) {
        const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + i));
        sums[r] = add_line(sums[r], _mm512_zextsi256_si512(codes), low, high);
      }
    }
    four_totals(sums, dots);
  }

  /// Two rounds of pairwise addition leave four totals in each 128-bit lane.
  static void four_totals(const __m512i* sums, std::int32_t* totals) {
    const __m512i first = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[0], sums[1]), _mm512_unpackhi_epi32(sums[0], sums[1]));
    const __m512i second = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[2], sums[3]), _mm512_unpackhi_epi32(sums[2], sums[3]));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(totals), _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
  }
  static __m512i add_line(__m512i sum, __m512i codes, __m512i low, __m512i high) {
    const __m512i nibble = _mm512_set1_epi8(15);
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum, _mm512_and_si512(codes, nibble), low),
                               _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble), high);
  }
  /// The sums of the four 128-bit lanes, eight of them.
  static __m256i folded(__m512i words) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words)), high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1));
    const __m512i both = _mm512_add_epi32(low, high);
    return _mm256_add_epi32(_mm512_castsi512_si256(both), _mm512_extracti64x4_epi64(both, 1));
  }
};

}  // namespace

void add_codes_avx512(Kernels& table) { code_loops::fill_table<Avx512Codes>(table); }

}  // namespace vicino
