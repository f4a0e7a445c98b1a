// AVX2 with FMA, F16C and POPCNT.
#include <immintrin.h>

#include "kernels/loops.h"

namespace vicino {

namespace {

struct Avx2 {
  using Floats = __m256;
  using Words = __m256i;
  // A type of its own: sums and words are both __m256i, and `total` must know which it is given.
  struct Sums { __m256i lanes; };
  struct Counts { __m256i lanes; };
  using Bits = __m256i;
  using Codes = __m256i;
  static constexpr std::size_t kFloats = 8, kWords = 16, kBitBytes = 32, kCodes = 32, kTileRows = 2;

  template <class T>
  static __m256i bytes(const T* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static __m128i half_bytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  /// n bytes and zeros up to 32, without reading beyond them.
  struct Padded {
    alignas(32) std::uint8_t bytes[32] = {};
    Padded(const void* p, std::size_t n) { __builtin_memcpy(bytes, p, n); }
  };

  static Floats zero_floats() { return _mm256_setzero_ps(); }
  static Floats load(loops::Float32, const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static Floats load(loops::Float16, const void* p) { return _mm256_cvtph_ps(half_bytes(p)); }
  static Floats load_tail(loops::Float32, const void* p, std::size_t n) { return load(loops::Float32{}, Padded(p, n * 4).bytes); }
  static Floats load_tail(loops::Float16, const void* p, std::size_t n) { return load(loops::Float16{}, Padded(p, n * 2).bytes); }
  static Floats load(loops::Coded, const void* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  static Floats load_tail(loops::Coded, const void* p, std::size_t n) { return load(loops::Coded{}, Padded(p, n).bytes); }
  static Floats splat(float a) { return _mm256_set1_ps(a); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats absolute(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static Floats accumulate(Floats sum, Floats a) { return _mm256_add_ps(sum, a); }
  static Floats multiply_add(Floats sum, Floats a, Floats b) { return _mm256_fmadd_ps(a, b, sum); }
  static float total(Floats a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  static Words load(loops::Int8, const void* p) { return _mm256_cvtepi8_epi16(half_bytes(p)); }
  static Words load(loops::Uint8, const void* p) { return _mm256_cvtepu8_epi16(half_bytes(p)); }
  static Words load_tail(loops::Int8, const void* p, std::size_t n) { return load(loops::Int8{}, Padded(p, n).bytes); }
  static Words load_tail(loops::Uint8, const void* p, std::size_t n) { return load(loops::Uint8{}, Padded(p, n).bytes); }
  static Words subtract(Words a, Words b) { return _mm256_sub_epi16(a, b); }
  static Words absolute(Words a) { return _mm256_abs_epi16(a); }
  static Sums zero_sums() { return {_mm256_setzero_si256()}; }
  static Sums multiply_add(Sums sum, Words a, Words b) { return {_mm256_add_epi32(sum.lanes, _mm256_madd_epi16(a, b))}; }
  static Sums accumulate(Sums sum, Words a) { return multiply_add(sum, a, _mm256_set1_epi16(1)); }
  static std::int64_t total(Sums sums) {
    const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums.lanes)),
                                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums.lanes, 1)));
    return static_cast<std::int64_t>(total(Counts{wide}));
  }

  static Bits load_bits(const void* p) { return bytes(static_cast<const std::uint8_t*>(p)); }
  static Bits load_bits_tail(const void* p, std::size_t n) { return bytes(Padded(p, n).bytes); }
  static Bits differing(Bits a, Bits b) { return _mm256_xor_si256(a, b); }
  static Bits both(Bits a, Bits b) { return _mm256_and_si256(a, b); }
  static Bits either(Bits a, Bits b) { return _mm256_or_si256(a, b); }
  static Counts zero_counts() { return {_mm256_setzero_si256()}; }
  /// Bits of a byte are the sum of those of its two halves, looked up by shuffle (Mula, Kurz and Lemire 2018).
  static Counts count(Counts counts, Bits bits) {
    const __m256i of_half = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low_half = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(of_half, _mm256_and_si256(bits, low_half));
    const __m256i high = _mm256_shuffle_epi8(of_half, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low_half));
    return {_mm256_add_epi64(counts.lanes, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()))};
  }
  static std::uint64_t total(Counts counts) {
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(counts.lanes), _mm256_extracti128_si256(counts.lanes, 1));
    return static_cast<std::uint64_t>(_mm_extract_epi64(two, 0)) + static_cast<std::uint64_t>(_mm_extract_epi64(two, 1));
  }

  static Codes load_row_codes(const void* p) { return load_bits(p); }
  static Codes load_column_codes(const void* p) { return load_bits(p); }
  static Sums start(std::int32_t) { return zero_sums(); }
  /// |row| times (column with the sign of row): a pair is at most 2 * 127 * 127, which a 16-bit lane still holds.
  static Sums multiply_add_codes(Sums sum, Codes row, Codes column) {
    return accumulate(sum, _mm256_maddubs_epi16(_mm256_abs_epi8(row), _mm256_sign_epi8(column, row)));
  }
  static void totals(const Sums (&s)[4], std::int32_t (&out)[4]) {
    const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0].lanes, s[1].lanes), _mm256_hadd_epi32(s[2].lanes, s[3].lanes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
  }
};

}  // namespace

Kernels avx2_kernels() { return loops::fill_table<Avx2>(); }

}  // namespace vicino
