// AVX-512 with F, BW, VL, DQ, VNNI and VPOPCNTDQ. The compiler may use any of them anywhere in this unit, so all are required together.
#include <immintrin.h>

#include "kernels/loops.h"
#include "kernels/products.h"

namespace vicino {

namespace {

struct Avx512 {
  using Floats = __m512;
  using Words = __m512i;
  // Types of their own: both are __m512i, and `total` must know which it is given.
  struct Sums { __m512i lanes; };
  struct Counts { __m512i lanes; };
  using Bits = __m512i;
  using Codes = __m512i;
  static constexpr std::size_t kFloats = 16, kWords = 32, kBitBytes = 64, kCodes = 64, kTileRows = 4;

  static Floats zero_floats() { return _mm512_setzero_ps(); }
  static Floats load(loops::Float32, const void* p) { return _mm512_loadu_ps(p); }
  static Floats load(loops::Float16, const void* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
  static Floats load(loops::Coded, const void* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static Floats load_tail(loops::Coded, const void* p, std::size_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1), p)));
  }
  static Floats load_tail(loops::Float32, const void* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
  }
  static Floats load_tail(loops::Float16, const void* p, std::size_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p));
  }
  static Floats splat(float a) { return _mm512_set1_ps(a); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats absolute(Floats a) { return _mm512_abs_ps(a); }
  static Floats accumulate(Floats sum, Floats a) { return _mm512_add_ps(sum, a); }
  static Floats multiply_add(Floats sum, Floats a, Floats b) { return _mm512_fmadd_ps(a, b, sum); }
  static float total(Floats a) { return _mm512_reduce_add_ps(a); }

  static Words load(loops::Int8, const void* p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
  static Words load(loops::Uint8, const void* p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
  static Words load_tail(loops::Int8, const void* p, std::size_t n) {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(static_cast<__mmask32>((1ull << n) - 1), p));
  }
  static Words load_tail(loops::Uint8, const void* p, std::size_t n) {
    return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(static_cast<__mmask32>((1ull << n) - 1), p));
  }
  static Words subtract(Words a, Words b) { return _mm512_sub_epi16(a, b); }
  static Words absolute(Words a) { return _mm512_abs_epi16(a); }
  static Sums zero_sums() { return {_mm512_setzero_si512()}; }
  static Sums multiply_add(Sums sum, Words a, Words b) { return {_mm512_dpwssd_epi32(sum.lanes, a, b)}; }
  static Sums accumulate(Sums sum, Words a) { return multiply_add(sum, a, _mm512_set1_epi16(1)); }
  static std::int64_t total(Sums sums) {
    const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(sums.lanes));
    const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sums.lanes, 1));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
  }

  static Bits load_bits(const void* p) { return _mm512_loadu_si512(p); }
  static Bits load_bits_tail(const void* p, std::size_t n) { return _mm512_maskz_loadu_epi8((1ull << n) - 1, p); }
  static Bits differing(Bits a, Bits b) { return _mm512_xor_si512(a, b); }
  static Bits both(Bits a, Bits b) { return _mm512_and_si512(a, b); }
  static Bits either(Bits a, Bits b) { return _mm512_or_si512(a, b); }
  static Counts zero_counts() { return {_mm512_setzero_si512()}; }
  static Counts count(Counts counts, Bits bits) { return {_mm512_add_epi64(counts.lanes, _mm512_popcnt_epi64(bits))}; }
  static std::uint64_t total(Counts counts) { return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(counts.lanes)); }

  // vpdpbusd multiplies unsigned by signed bytes. Rows are shifted to unsigned by adding 128, which adds 128 * (sum of the column) to
  // the product; every sum starts with that taken off. Lanes may wrap on the way, the total cannot; sums that a damaged file holds may.
  static Codes load_row_codes(const void* p) { return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128)); }
  static Codes load_column_codes(const void* p) { return _mm512_loadu_si512(p); }
  static Sums start(std::int32_t column_sum) {
    return {_mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<std::int32_t>(0u - 128u * static_cast<std::uint32_t>(column_sum))))};
  }
  static Sums multiply_add_codes(Sums sum, Codes row, Codes column) { return {_mm512_dpbusd_epi32(sum.lanes, row, column)}; }
  /// Adds up four vectors at once: two rounds of pairwise addition leave four totals in each 128-bit lane.
  static void totals(const Sums (&s)[4], std::int32_t (&out)[4]) {
    const __m512i first = _mm512_add_epi32(_mm512_unpacklo_epi32(s[0].lanes, s[1].lanes), _mm512_unpackhi_epi32(s[0].lanes, s[1].lanes));
    const __m512i second = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2].lanes, s[3].lanes), _mm512_unpackhi_epi32(s[2].lanes, s[3].lanes));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
  }
};

/// The compiler does not make the compaction wide by itself.
std::size_t collect_at_most_avx512(const float* values, std::size_t count, float bound, std::uint32_t* out) {
  const __m512 limit = _mm512_set1_ps(bound);
  __m512i positions = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; i += 16) {
    const __mmask16 valid = count - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (count - i)) - 1);
    const __mmask16 kept = _mm512_mask_cmp_ps_mask(valid, _mm512_maskz_loadu_ps(valid, values + i), limit, _CMP_LE_OQ);
    // Compaction in a register and a full store: the form that stores only the kept lanes is microcode on some processors.
    _mm512_storeu_si512(out + total, _mm512_maskz_compress_epi32(kept, positions));
    total += static_cast<std::size_t>(__builtin_popcount(kept));
    positions = _mm512_add_epi32(positions, _mm512_set1_epi32(16));
  }
  return total;
}

}  // namespace

void code_products_by_rows_avx512(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                                  std::size_t n_columns, std::size_t stride, std::int32_t* dots) {
  loops::code_products<Avx512>(rows, n_rows, columns, column_sums, n_columns, stride, dots);
}

Kernels avx512_kernels() {
  Kernels table = loops::fill_table<Avx512>();
  table.collect_at_most = collect_at_most_avx512;
  return table;
}

}  // namespace vicino
