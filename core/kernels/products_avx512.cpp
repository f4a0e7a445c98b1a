// Products of code rows and columns as a blocked matrix product.
//
// The loops of one row against another (loops.h) end in an addition across the lanes of a register for every product, which at a few
// hundred dimensions costs half as much as the product. Here 32 columns are first packed side by side: a lane of a register holds four
// neighboring bytes of one column,
//
//   packed   for every four dimensions: 16 lanes of columns 0 to 15, 16 lanes of columns 16 to 31     (128 bytes)
//
// so that a lane is the sum of its own column, and four bytes of a row are multiplied with all lanes at once. Packing costs about as much
// as four rows; a tile of eight rows by 32 columns keeps its sums in registers.
#include <immintrin.h>

#include "kernels/lanes_avx512.h"
#include "kernels/products.h"

namespace vicino {

namespace {

constexpr std::size_t kColumns = 32;
constexpr std::size_t kTileRows = 8;
constexpr std::size_t kRowsMin = 8;      // below, packing does not pay
constexpr std::size_t kSlab = 512;       // bytes of a column packed at a time: 16 KiB in all, half of the first-level cache
constexpr std::size_t kRowsAtOnce = 256;  // whose corrections are held

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

/// Packs 64 bytes of 16 columns: 16 groups of four bytes, each group of all columns side by side. vpdpbusd wants one side unsigned, so 128 is
/// added.
inline void pack_16(const std::int8_t* const* columns, std::size_t at, std::uint8_t* out) {
  const __m512i bias = _mm512_set1_epi8(-128);
  __m512i r[16];
  for (std::size_t i = 0; i < 16; ++i) r[i] = _mm512_xor_si512(_mm512_loadu_si512(columns[i] + at), bias);
  transpose_lanes(r);
  for (std::size_t i = 0; i < 16; ++i) _mm512_storeu_si512(out + kColumns * 4 * i, r[i]);
}

/// What the bias of the columns adds to every product of a row.
inline std::int32_t bias_of(const std::int8_t* row, std::size_t stride) {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < stride; at += 64) sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), _mm512_loadu_si512(row + at));
  return _mm512_reduce_add_epi32(sum);
}

struct Tile {
  const std::int8_t* rows[kTileRows];
  std::int32_t* out[kTileRows];
  std::int32_t biases[kTileRows];
};

/// Adds the products of one slab to the sums of eight rows, which the first slab begins at minus the bias.
inline void multiply_tile(const Tile& tile, const std::uint8_t* packed, std::size_t slab, bool is_first, __mmask16 first, __mmask16 second) {
  __m512i low[kTileRows], high[kTileRows];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    low[r] = is_first ? _mm512_set1_epi32(-tile.biases[r]) : _mm512_maskz_loadu_epi32(first, tile.out[r]);
    high[r] = is_first ? low[r] : _mm512_maskz_loadu_epi32(second, tile.out[r] + 16);
  }
  for (std::size_t at = 0; at < slab; at += 4, packed += kColumns * 4) {
    const __m512i columns_low = _mm512_loadu_si512(packed), columns_high = _mm512_loadu_si512(packed + 64);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, tile.rows[r] + at, 4);
      const __m512i row = _mm512_set1_epi32(four);
      low[r] = _mm512_dpbusd_epi32(low[r], columns_low, row);
      high[r] = _mm512_dpbusd_epi32(high[r], columns_high, row);
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    _mm512_mask_storeu_epi32(tile.out[r], first, low[r]);
    _mm512_mask_storeu_epi32(tile.out[r] + 16, second, high[r]);
  }
}

/// Edges repeat the last row or column: what they compute of columns is masked off, what of rows is written twice.
void multiply_block(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, std::size_t n_columns, std::size_t stride,
                    std::int32_t* dots) {
  std::int32_t biases[kRowsAtOnce];
  for (std::size_t r = 0; r < n_rows; ++r) biases[r] = bias_of(rows + r * stride, stride);
  alignas(64) std::uint8_t packed[kSlab * kColumns];
  for (std::size_t c = 0; c < n_columns; c += kColumns) {
    const std::int8_t* column[kColumns];
    for (std::size_t i = 0; i < kColumns; ++i) column[i] = columns + smaller(c + i, n_columns - 1) * stride;
    const std::size_t width = smaller(kColumns, n_columns - c);
    const auto first = static_cast<__mmask16>(width >= 16 ? 0xffff : (1u << width) - 1);
    const auto second = static_cast<__mmask16>(width <= 16 ? 0 : (1u << (width - 16)) - 1);
    for (std::size_t start = 0; start < stride; start += kSlab) {
      const std::size_t slab = smaller(kSlab, stride - start);
      for (std::size_t at = 0; at < slab; at += 64) {
        pack_16(column, start + at, packed + at * kColumns);
        pack_16(column + 16, start + at, packed + at * kColumns + 64);
      }
      for (std::size_t r = 0; r < n_rows; r += kTileRows) {
        Tile tile;
        for (std::size_t i = 0; i < kTileRows; ++i) {
          const std::size_t index = smaller(r + i, n_rows - 1);
          tile.rows[i] = rows + index * stride + start;
          tile.out[i] = dots + index * n_columns + c;
          tile.biases[i] = biases[index];
        }
        multiply_tile(tile, packed, slab, start == 0, first, second);
      }
    }
  }
}

}  // namespace

void code_products_avx512(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                          std::size_t n_columns, std::size_t stride, std::int32_t* dots) {
  if (n_rows < kRowsMin || n_columns < 16) return code_products_by_rows_avx512(rows, n_rows, columns, column_sums, n_columns, stride, dots);
  for (std::size_t r = 0; r < n_rows; r += kRowsAtOnce)
    multiply_block(rows + r * stride, smaller(kRowsAtOnce, n_rows - r), columns, n_columns, stride, dots + r * n_columns);
}

void add_products_avx512(Kernels& table) { table.code_products = code_products_avx512; }

}  // namespace vicino
