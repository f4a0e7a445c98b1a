// Product codes of 4 bits by AVX-512, four subvectors of sixteen rows at a time.
//
// A line of codes holds four subvectors, each in 16 bytes; its tables lie the same way, so that a code and the number of its subvector are an index
// of 6 bits into one register. vpermb first brings the four codes of a row together, then looks all of them up, and vpdpbusd adds what it found
// to the row's sum: two instructions for 64 entries, where a lookup within 16 bytes needs four, as its sums are bytes of many rows.
// The indexes are made once for all queries.
#include <immintrin.h>

#include "kernels/product_scan.h"

namespace vicino {

namespace {

constexpr std::size_t kLine = 64, kHalf = 16;  // bytes of a group of codes; rows of half a block

/// Byte t of lane r: where code t of row r stands in its line.
struct CodePlaces {
  alignas(64) std::uint8_t bytes[kLine];
  constexpr CodePlaces() : bytes() {
    for (std::size_t r = 0; r < kHalf; ++r)
      for (std::size_t t = 0; t < 4; ++t) bytes[4 * r + t] = static_cast<std::uint8_t>(16 * t + 2 * (r % 8) + r / 8);
  }
};
constexpr CodePlaces kCodePlaces;

/// Sums of half of the rows of a block, or of both halves.
template <std::size_t n, bool has_first, bool has_second>
inline void add_lines(const ProductScan* queries, const std::uint8_t* block, std::size_t n_groups, __m512i (&sums)[n][2]) {
  // Where there is one query, sums would wait for each other: every other line has its own.
  constexpr std::size_t chains = n == 1 ? 2 : 1;
  const __m512i places = _mm512_load_si512(kCodePlaces.bytes), tables = _mm512_set1_epi32(0x30201000), nibble = _mm512_set1_epi8(15), ones = _mm512_set1_epi8(1);
  constexpr int both_or = 0xea;  // (a & b) | c
  __m512i parts[n][2][chains];
  for (std::size_t q = 0; q < n; ++q)
    for (std::size_t c = 0; c < chains; ++c) parts[q][0][c] = parts[q][1][c] = _mm512_setzero_si512();
  const auto add_line = [&](std::size_t line, std::size_t chain) __attribute__((always_inline)) {
    const __m512i codes = _mm512_permutexvar_epi8(places, _mm512_loadu_si512(block + kLine * line));
    const __m512i first = _mm512_ternarylogic_epi32(codes, nibble, tables, both_or);
    const __m512i second = _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), nibble, tables, both_or);
#pragma GCC unroll 4
    for (std::size_t q = 0; q < n; ++q) {
      const __m512i entries = _mm512_loadu_si512(queries[q].table + kLine * line);
      if constexpr (has_first) parts[q][0][chain] = _mm512_dpbusd_epi32(parts[q][0][chain], _mm512_permutexvar_epi8(first, entries), ones);
      if constexpr (has_second) parts[q][1][chain] = _mm512_dpbusd_epi32(parts[q][1][chain], _mm512_permutexvar_epi8(second, entries), ones);
    }
  };
  std::size_t line = 0;
  for (; line + chains <= n_groups; line += chains)
#pragma GCC unroll 2
    for (std::size_t c = 0; c < chains; ++c) add_line(line + c, c);
  if (line < n_groups) add_line(line, 0);
  for (std::size_t q = 0; q < n; ++q)
    for (std::size_t half = 0; half < 2; ++half) {
      sums[q][half] = parts[q][half][0];
      if constexpr (chains == 2) sums[q][half] = _mm512_add_epi32(sums[q][half], parts[q][half][1]);
    }
}

template <std::size_t n>
void scan(const ProductScan* queries, const std::uint8_t* block, const float* squares, std::size_t n_groups, std::uint32_t wanted, float* estimates,
          std::uint32_t* found) {
  __m512i sums[n][2];
  if (!(wanted >> kHalf)) add_lines<n, true, false>(queries, block, n_groups, sums);
  else if (!(wanted & 0xffff)) add_lines<n, false, true>(queries, block, n_groups, sums);
  else add_lines<n, true, true>(queries, block, n_groups, sums);
  for (std::size_t q = 0; q < n; ++q) {
    found[q] = 0;
    for (std::size_t half = 0; half < 2; ++half) {
      const auto rows = static_cast<__mmask16>(wanted >> kHalf * half);
      __m512 shift = _mm512_set1_ps(queries[q].shift);
      // Multiplied and added apart, as every other set does.
      if (squares)
        shift = _mm512_add_ps(shift, _mm512_mul_ps(_mm512_set1_ps(queries[q].square_slope), _mm512_maskz_loadu_ps(rows, squares + kHalf * half)));
      const __m512 estimate = _mm512_add_ps(shift, _mm512_mul_ps(_mm512_set1_ps(queries[q].factor), _mm512_cvtepi32_ps(sums[q][half])));
      _mm512_storeu_ps(estimates + 2 * kHalf * q + kHalf * half, estimate);
      const __mmask16 passed = _mm512_mask_cmp_ps_mask(rows, estimate, _mm512_set1_ps(queries[q].limit), _CMP_NGT_UQ);
      found[q] |= static_cast<std::uint32_t>(passed) << kHalf * half;
    }
  }
}

void scan_products_avx512(const ProductScan* queries, std::size_t n_queries, const std::uint8_t* block, const float* squares, std::size_t n_groups,
                          std::uint32_t wanted, float* estimates, std::uint32_t* found) {
  switch (n_queries) {
    case 4: return scan<4>(queries, block, squares, n_groups, wanted, estimates, found);
    case 3: return scan<3>(queries, block, squares, n_groups, wanted, estimates, found);
    case 2: return scan<2>(queries, block, squares, n_groups, wanted, estimates, found);
    case 1: return scan<1>(queries, block, squares, n_groups, wanted, estimates, found);
    default: return;
  }
}
static_assert(kScannedTogether == 4);

}  // namespace

void add_product_scan_avx512(Kernels& table) { table.scan_products = scan_products_avx512; }

}  // namespace vicino
