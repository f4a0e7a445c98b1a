// The nested code with AVX2: nibbles times signed bytes by vpmaddubsw, whose sums of two are at most 2 * 15 * 127 and cannot saturate.
#include <immintrin.h>

#include "kernels/codes.h"
#include "kernels/codes_loops.h"
#include "kernels/product_scan_loops.h"

namespace vicino {

namespace {

inline __m256i load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

struct Avx2Codes {
  static constexpr std::size_t kFloats = 8;

  static void nibble_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    four_dots(rows, query, row_bytes, dots);
  }

  static void halves(const std::uint8_t* bytes, float* out) {
    for (std::size_t i = 0; i < 16; i += 8)
      _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 2 * i))));
  }

  static std::uint16_t not_negative(const float* values) {
    const auto eight = [](const float* p) { return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(p), _mm256_setzero_ps(), _CMP_GE_OQ)); };
    return static_cast<std::uint16_t>(eight(values) | eight(values + 8) << 8);
  }

  /// Selected entries are added in pairs of bytes, as 16-bit numbers: `even` takes both and is freed of the odd ones at the end.
  static void block_sums(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::uint32_t* sums) {
    // A lane takes two entries of at most 255 a group.
    constexpr std::size_t flush = 128;
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i totals[4] = {};
    for (std::size_t done = 0; done < n_groups; done += flush) {
      const std::size_t count = 2 * (n_groups - done < flush ? n_groups - done : flush);
      __m256i even[2] = {}, odd[2] = {};
      for (std::size_t i = 0; i < count; ++i, block += 32, table += 32) {
        const __m256i codes = load_bytes(block), entries = load_bytes(table);
        const __m256i selected[2] = {_mm256_shuffle_epi8(entries, _mm256_and_si256(codes, nibble)),
                                     _mm256_shuffle_epi8(entries, _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble))};
        for (std::size_t h = 0; h < 2; ++h) {
          even[h] = _mm256_add_epi16(even[h], selected[h]);
          odd[h] = _mm256_add_epi16(odd[h], _mm256_srli_epi16(selected[h], 8));
        }
      }
      for (std::size_t h = 0; h < 2; ++h) {
        const __m256i pure = _mm256_sub_epi16(even[h], _mm256_slli_epi16(odd[h], 8));
        totals[2 * h] = _mm256_add_epi32(totals[2 * h], folded(pure));
        totals[2 * h + 1] = _mm256_add_epi32(totals[2 * h + 1], folded(odd[h]));
      }
    }
    for (std::size_t i = 0; i < 4; ++i) _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8 * i), totals[i]);
  }

 private:
  static void four_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::size_t i = 0; i < row_bytes; i += 32) {
      const std::int8_t* line = query + i / 64 * 128 + i % 64;
      const __m256i low = load_bytes(line), high = load_bytes(line + 64);
      for (std::size_t r = 0; r < 4; ++r) {
        const __m256i codes = load_bytes(rows[r] + i);
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(codes, nibble), low),
                                               _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble), high));
        sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(pairs, ones));
      }
    }
    const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dots), _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
  }
  static __m256i folded(__m256i words) {
    return _mm256_add_epi32(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(words)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1)));
  }
};

}  // namespace

void add_codes_avx2(Kernels& table) {
  code_loops::fill_table<Avx2Codes>(table);
  table.scan_products = code_loops::scan_products<Avx2Codes>;
}

}  // namespace vicino
