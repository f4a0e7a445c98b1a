// Sums over postings with NEON. What a posting is worth needs no loop of its own here: the portable ones are compiled for the same instructions.
#include <arm_neon.h>

#include "kernels/postings.h"
#include "kernels/postings_loops.h"

namespace vicino {

namespace {

struct NeonPostings {};

/// 16 lanes of all ones or zero as bytes.
inline uint8x16_t enough(const std::uint16_t* sums, std::uint16_t bound) {
  const uint16x8_t wanted = vdupq_n_u16(bound);
  return vcombine_u8(vmovn_u16(vcgeq_u16(vld1q_u16(sums), wanted)), vmovn_u16(vcgeq_u16(vld1q_u16(sums + 8), wanted)));
}
inline uint8x16_t enough(const std::uint32_t* sums, std::uint32_t bound) {
  const uint32x4_t wanted = vdupq_n_u32(bound);
  uint16x4_t parts[4];
  for (std::size_t i = 0; i < 4; ++i) parts[i] = vmovn_u32(vcgeq_u32(vld1q_u32(sums + 4 * i), wanted));
  return vcombine_u8(vmovn_u16(vcombine_u16(parts[0], parts[1])), vmovn_u16(vcombine_u16(parts[2], parts[3])));
}

/// A bit for each of 64 sums: adjacent bytes are added until eight lie in one.
template <class Sum>
std::uint64_t mask_of(const Sum* sums, Sum bound) {
  constexpr std::uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(weights);
  uint8x16_t parts[4];
  for (std::size_t i = 0; i < 4; ++i) parts[i] = vandq_u8(enough(sums + 16 * i, bound), bits);
  const uint8x16_t nibbles = vpaddq_u8(vpaddq_u8(parts[0], parts[1]), vpaddq_u8(parts[2], parts[3]));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(nibbles, nibbles)), 0);
}

template <class Sum>
std::size_t take(Sum* sums, std::size_t count, Sum bound, const std::uint64_t* allowed, std::uint32_t* out, Sum* out_sums) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += 64) {
    std::uint64_t mask = mask_of(sums + i, bound);
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<NeonPostings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    __builtin_memset(sums + i, 0, 64 * sizeof(Sum));
  }
  return found;
}

void row_sums(std::uint32_t* gaps, std::size_t count, std::uint32_t first) {
  const uint32x4_t zero = vdupq_n_u32(0), one = vdupq_n_u32(1);
  uint32x4_t before = vdupq_n_u32(first - 1);
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    uint32x4_t rows = vaddq_u32(vld1q_u32(gaps + i), one);
    rows = vaddq_u32(rows, vextq_u32(zero, rows, 3));
    rows = vaddq_u32(rows, vextq_u32(zero, rows, 2));
    rows = vaddq_u32(rows, before);
    vst1q_u32(gaps + i, rows);
    before = vdupq_laneq_u32(rows, 3);
  }
  first = vgetq_lane_u32(before, 0) + 1;
  for (; i < count; ++i) {
    gaps[i] += first;
    first = gaps[i] + 1;
  }
}

}  // namespace

void add_postings_neon(Kernels& table) {
  table.take_sums = take<std::uint32_t>;
  table.take_bounds = take<std::uint16_t>;
  table.row_sums = row_sums;
}

}  // namespace vicino
