// The nested code with NEON of the ARMv8 baseline: products of bytes widened to 16 bits, added in pairs to 32.
#include <arm_neon.h>

#include "kernels/codes.h"
#include "kernels/codes_loops.h"
#include "kernels/product_scan_loops.h"

namespace vicino {

namespace {

struct NeonCodes {
  static constexpr std::size_t kFloats = 4;

  static void nibble_dots(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t row_bytes, std::int32_t* dots) {
    for (std::size_t r = 0; r < code_loops::kDots; ++r) {
      int32x4_t sums[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
      for (std::size_t i = 0; i < row_bytes; i += 16) {
        const std::int8_t* line = query + i / 64 * 128 + i % 64;
        const uint8x16_t codes = vld1q_u8(rows[r] + i);
        const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15))), high = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
        const int8x16_t first = vld1q_s8(line), second = vld1q_s8(line + 64);
        // Two products of at most 15 * 127 fit into 16 bits.
        sums[0] = vpadalq_s16(sums[0], vmlal_s8(vmull_s8(vget_low_s8(low), vget_low_s8(first)), vget_low_s8(high), vget_low_s8(second)));
        sums[1] = vpadalq_s16(sums[1], vmlal_s8(vmull_s8(vget_high_s8(low), vget_high_s8(first)), vget_high_s8(high), vget_high_s8(second)));
      }
      dots[r] = vaddvq_s32(vaddq_s32(sums[0], sums[1]));
    }
  }

  static void halves(const std::uint8_t* bytes, float* out) {
    for (std::size_t i = 0; i < 16; i += 4) {
      float16x4_t values;
      __builtin_memcpy(&values, bytes + 2 * i, sizeof values);
      vst1q_f32(out + i, vcvt_f32_f16(values));
    }
  }

  static std::uint16_t not_negative(const float* values) {
    constexpr std::uint32_t weights[4] = {1, 2, 4, 8};
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 16; i += 4) bits |= vaddvq_u32(vandq_u32(vcgezq_f32(vld1q_f32(values + i)), vld1q_u32(weights))) << i;
    return static_cast<std::uint16_t>(bits);
  }

  static void block_sums(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::uint32_t* sums) {
    // A 16-bit lane takes four entries of at most 255 a group.
    constexpr std::size_t flush = 64;
    uint32x4_t totals[8];
    for (uint32x4_t& total : totals) total = vdupq_n_u32(0);
    for (std::size_t done = 0; done < n_groups; done += flush) {
      const std::size_t count = 4 * (n_groups - done < flush ? n_groups - done : flush);
      uint16x8_t even[2] = {vdupq_n_u16(0), vdupq_n_u16(0)}, odd[2] = {vdupq_n_u16(0), vdupq_n_u16(0)};
      for (std::size_t i = 0; i < count; ++i, block += 16, table += 16) {
        const uint8x16_t codes = vld1q_u8(block), entries = vld1q_u8(table);
        const uint8x16_t selected[2] = {vqtbl1q_u8(entries, vandq_u8(codes, vdupq_n_u8(15))), vqtbl1q_u8(entries, vshrq_n_u8(codes, 4))};
        for (std::size_t h = 0; h < 2; ++h) {
          const uint16x8_t pairs = vreinterpretq_u16_u8(selected[h]);
          even[h] = vaddq_u16(even[h], vandq_u16(pairs, vdupq_n_u16(255)));
          odd[h] = vaddq_u16(odd[h], vshrq_n_u16(pairs, 8));
        }
      }
      for (std::size_t h = 0; h < 2; ++h) {
        totals[4 * h] = vaddw_u16(totals[4 * h], vget_low_u16(even[h]));
        totals[4 * h + 1] = vaddw_u16(totals[4 * h + 1], vget_high_u16(even[h]));
        totals[4 * h + 2] = vaddw_u16(totals[4 * h + 2], vget_low_u16(odd[h]));
        totals[4 * h + 3] = vaddw_u16(totals[4 * h + 3], vget_high_u16(odd[h]));
      }
    }
    for (std::size_t i = 0; i < 8; ++i) vst1q_u32(sums + 4 * i, totals[i]);
  }
};

}  // namespace

void add_codes_neon(Kernels& table) {
  code_loops::fill_table<NeonCodes>(table);
  table.scan_products = code_loops::scan_products<NeonCodes>;
}

}  // namespace vicino
