// Products of code rows and columns by the matrix unit: tiles of 16 rows of 64 bytes, of which two give 16 x 16 sums at once.
//
// The unit multiplies a tile as it lies in memory with one whose groups of four bytes are transposed. The few rows of a call are
// transposed, the many columns are read where they lie, and what comes out, one line a column, is transposed as it is written. So a call
// of 32 rows of 384 dimensions shuffles a third of what packing its columns would.
#include <immintrin.h>

#include <cstring>
#include <memory>

#include "kernels/lanes_avx512.h"
#include "kernels/products.h"

namespace vicino {

namespace {

constexpr std::size_t kSide = 16, kTileBytes = 1024, kBlock = 2 * kSide;  // two tiles by two at a time
constexpr std::size_t kRowsMin = 8, kColumnsMin = kBlock;                 // below, the other kernel takes less time

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

/// What `ldtilecfg` reads: four tiles of sums, two of columns, two of rows, all of them full.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

/// Tiles are configured while this lives. Afterwards they are given up, so that nobody saves and restores them for this thread.
class Tiles {
 public:
  Tiles() {
    const TileConfig config;
    _tile_loadconfig(&config);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
};

/// Memory of a thread for a block of rows and one of columns, kept from call to call.
class Scratch {
 public:
  std::int8_t* rows(std::size_t stride) { return room(stride); }
  std::int8_t* columns(std::size_t stride) { return room(stride) + kBlock * stride; }

 private:
  std::int8_t* room(std::size_t stride) {
    if (size_ < 2 * kBlock * stride) {
      bytes_.reset(static_cast<std::int8_t*>(::operator new[](2 * kBlock * stride, std::align_val_t{64})));
      size_ = 2 * kBlock * stride;
    }
    return bytes_.get();
  }
  struct Free {
    void operator()(std::int8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };
  std::unique_ptr<std::int8_t, Free> bytes_;
  std::size_t size_ = 0;
};

/// For every 64 bytes of a code two tiles, of rows 0 to 15 and 16 to 31. Rows beyond the last are the last one again.
void pack_rows(const std::int8_t* rows, std::size_t count, std::size_t stride, std::int8_t* packed) {
  const std::int8_t* row[kBlock];
  for (std::size_t i = 0; i < kBlock; ++i) row[i] = rows + smaller(i, count - 1) * stride;
  __m512i lanes[16];
  for (std::size_t at = 0; at < stride; at += 64)
    for (std::size_t half = 0; half < 2; ++half, packed += kTileBytes) {
      for (std::size_t i = 0; i < kSide; ++i) lanes[i] = _mm512_loadu_si512(row[half * kSide + i] + at);
      transpose_lanes(lanes);
      for (std::size_t i = 0; i < kSide; ++i) _mm512_store_si512(packed + i * 64, lanes[i]);
    }
}

/// Where a block of products goes: the rows and columns there are.
struct Place {
  std::int32_t* dots;
  std::size_t n_rows, n_columns, row_stride;
};

/// Writes a tile of sums, 16 columns of 16 rows each.
inline void write_tile(const std::int32_t* sums, const Place& place, std::size_t first_row, std::size_t first_column) {
  if (first_row >= place.n_rows || first_column >= place.n_columns) return;
  __m512i lanes[16];
  for (std::size_t i = 0; i < kSide; ++i) lanes[i] = _mm512_load_si512(sums + i * kSide);
  transpose_lanes(lanes);
  const auto wanted = static_cast<__mmask16>((1u << smaller(kSide, place.n_columns - first_column)) - 1);
  std::int32_t* out = place.dots + first_row * place.row_stride + first_column;
  for (std::size_t i = 0; i < smaller(kSide, place.n_rows - first_row); ++i) _mm512_mask_storeu_epi32(out + i * place.row_stride, wanted, lanes[i]);
}

/// 32 columns, `stride` bytes apart, with 32 packed rows.
void multiply_block(const std::int8_t* columns, const std::int8_t* packed, std::size_t stride, const Place& place) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const std::int8_t* const later = columns + kSide * stride;
  for (std::size_t at = 0; at < stride; at += 64, packed += 2 * kTileBytes) {
    _tile_loadd(4, columns + at, stride);
    _tile_loadd(6, packed, 64);
    _tile_loadd(7, packed + kTileBytes, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(5, later + at, stride);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  alignas(64) std::int32_t sums[4][kSide * kSide];
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  _tile_stored(2, sums[2], 64);
  _tile_stored(3, sums[3], 64);
  for (std::size_t i = 0; i < 4; ++i) write_tile(sums[i], place, i % 2 * kSide, i / 2 * kSide);
}

void code_products_amx(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                       std::size_t n_columns, std::size_t stride, std::int32_t* dots) {
  if (n_rows < kRowsMin || n_columns < kColumnsMin) return code_products_avx512(rows, n_rows, columns, column_sums, n_columns, stride, dots);
  static thread_local Scratch scratch;
  std::int8_t* const packed = scratch.rows(stride);
  std::int8_t* const rest = scratch.columns(stride);
  const std::size_t n_whole = n_columns / kBlock * kBlock;
  // Tiles are read whole, so the last columns are copied to where more may be read.
  std::memcpy(rest, columns + n_whole * stride, (n_columns - n_whole) * stride);
  std::memset(rest + (n_columns - n_whole) * stride, 0, (kBlock - (n_columns - n_whole)) * stride);
  const Tiles tiles;
  for (std::size_t r = 0; r < n_rows; r += kBlock) {
    const std::size_t height = smaller(kBlock, n_rows - r);
    pack_rows(rows + r * stride, height, stride, packed);
    for (std::size_t c = 0; c < n_columns; c += kBlock)
      multiply_block(c < n_whole ? columns + c * stride : rest, packed, stride,
                     {dots + r * n_columns + c, height, smaller(kBlock, n_columns - c), n_columns});
  }
}

}  // namespace

void add_products_amx(Kernels& table) { table.code_products = code_products_amx; }

}  // namespace vicino
