// The portable kernels of the nested code: dot products one element after the other, what every other set must equal.
#include "kernels/codes.h"

#include "kernels/codes_loops.h"
#include "kernels/distance.h"
#include "kernels/product_scan_loops.h"

namespace vicino {

namespace {

struct Portable {
  static constexpr std::size_t kFloats = 4;  // the baseline of every processor we run on has registers of four

  static void nibble_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    for (std::size_t r = 0; r < code_loops::kDots; ++r) {
      std::int32_t total = 0;
      for (std::size_t i = 0; i < row_bytes; ++i) {
        const std::int8_t* line = query + i / 64 * 128 + i % 64;
        total += (rows[r][i] & 15) * line[0] + (rows[r][i] >> 4) * line[64];
      }
      dots[r] = total;
    }
  }

  static void halves(const std::uint8_t* bytes, float* out) {
    for (std::size_t i = 0; i < 16; ++i) {
      std::uint16_t half;
      __builtin_memcpy(&half, bytes + 2 * i, 2);
      out[i] = half_to_float(half);
    }
  }

  static std::uint16_t not_negative(const float* values) {
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < 16; ++i) bits |= static_cast<std::uint32_t>(values[i] >= 0) << i;
    return static_cast<std::uint16_t>(bits);
  }

  /// Row i < 16 is byte 2 (i % 8) + i / 8 of every 16, low nibble; row 16 + i the high nibble of that byte.
  static void block_sums(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::uint32_t* sums) {
    for (std::size_t i = 0; i < 32; ++i) sums[i] = 0;
    for (std::size_t part = 0; part < 4 * n_groups; ++part, block += 16, table += 16)
      for (std::size_t i = 0; i < 16; ++i) {
        const std::uint8_t byte = block[2 * (i % 8) + i / 8];
        sums[i] += table[byte & 15];
        sums[16 + i] += table[byte >> 4];
      }
  }
};

}  // namespace

void add_codes_scalar(Kernels& table) {
  code_loops::fill_table<Portable>(table);
  table.scan_products = code_loops::scan_products<Portable>;
}

}  // namespace vicino
