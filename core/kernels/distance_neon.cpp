// NEON as every 64-bit ARM has it, without optional extensions.
#include <arm_neon.h>

#include "kernels/loops.h"

namespace vicino {

namespace {

struct Neon {
  using Floats = float32x4_t;
  using Words = int16x8_t;
  using Sums = int32x4_t;
  using Bits = uint8x16_t;
  using Counts = uint64x2_t;
  using Codes = int8x16_t;
  static constexpr std::size_t kFloats = 4, kWords = 8, kBitBytes = 16, kCodes = 16, kTileRows = 4;

  /// n bytes and zeros up to 16, without reading beyond them.
  struct Padded {
    alignas(16) std::uint8_t bytes[16] = {};
    Padded(const void* p, std::size_t n) { __builtin_memcpy(bytes, p, n); }
  };
  // Byte loads: NEON's typed loads take pointers that the language wants aligned, rows may lie anywhere.
  static uint8x16_t bytes16(const void* p) { return vld1q_u8(static_cast<const std::uint8_t*>(p)); }
  static uint8x8_t bytes8(const void* p) { return vld1_u8(static_cast<const std::uint8_t*>(p)); }

  static Floats zero_floats() { return vdupq_n_f32(0); }
  static Floats load(loops::Float32, const void* p) { return vreinterpretq_f32_u8(bytes16(p)); }
  static Floats load(loops::Float16, const void* p) { return vcvt_f32_f16(vreinterpret_f16_u8(bytes8(p))); }
  static Floats load_tail(loops::Float32, const void* p, std::size_t n) { return load(loops::Float32{}, Padded(p, n * 4).bytes); }
  static Floats load_tail(loops::Float16, const void* p, std::size_t n) { return load(loops::Float16{}, Padded(p, n * 2).bytes); }
  static Floats load(loops::Coded, const void* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
  }
  static Floats load_tail(loops::Coded, const void* p, std::size_t n) { return load(loops::Coded{}, Padded(p, n).bytes); }
  static Floats splat(float a) { return vdupq_n_f32(a); }
  static Floats multiply(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats subtract(Floats a, Floats b) { return vsubq_f32(a, b); }
  static Floats absolute(Floats a) { return vabsq_f32(a); }
  static Floats accumulate(Floats sum, Floats a) { return vaddq_f32(sum, a); }
  static Floats multiply_add(Floats sum, Floats a, Floats b) { return vfmaq_f32(sum, a, b); }
  static float total(Floats a) { return vaddvq_f32(a); }

  static Words load(loops::Int8, const void* p) { return vmovl_s8(vreinterpret_s8_u8(bytes8(p))); }
  static Words load(loops::Uint8, const void* p) { return vreinterpretq_s16_u16(vmovl_u8(bytes8(p))); }
  static Words load_tail(loops::Int8, const void* p, std::size_t n) { return load(loops::Int8{}, Padded(p, n).bytes); }
  static Words load_tail(loops::Uint8, const void* p, std::size_t n) { return load(loops::Uint8{}, Padded(p, n).bytes); }
  static Words subtract(Words a, Words b) { return vsubq_s16(a, b); }
  static Words absolute(Words a) { return vabsq_s16(a); }
  static Sums zero_sums() { return vdupq_n_s32(0); }
  static Sums multiply_add(Sums sum, Words a, Words b) {
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b)), a, b);
  }
  static Sums accumulate(Sums sum, Words a) { return vpadalq_s16(sum, a); }
  static std::int64_t total(Sums sums) { return vaddlvq_s32(sums); }

  static Bits load_bits(const void* p) { return bytes16(p); }
  static Bits load_bits_tail(const void* p, std::size_t n) { return bytes16(Padded(p, n).bytes); }
  static Bits differing(Bits a, Bits b) { return veorq_u8(a, b); }
  static Bits both(Bits a, Bits b) { return vandq_u8(a, b); }
  static Bits either(Bits a, Bits b) { return vorrq_u8(a, b); }
  static Counts zero_counts() { return vdupq_n_u64(0); }
  static Counts count(Counts counts, Bits bits) { return vpadalq_u32(counts, vpaddlq_u16(vpaddlq_u8(vcntq_u8(bits)))); }
  static std::uint64_t total(Counts counts) { return vaddvq_u64(counts); }

  static Codes load_row_codes(const void* p) { return vreinterpretq_s8_u8(bytes16(p)); }
  static Codes load_column_codes(const void* p) { return vreinterpretq_s8_u8(bytes16(p)); }
  static Sums start(std::int32_t) { return zero_sums(); }
  /// Two products of at most 127 * 127 fit a 16-bit lane, so the halves meet there before they are widened.
  static Sums multiply_add_codes(Sums sum, Codes row, Codes column) {
    const int16x8_t low = vmull_s8(vget_low_s8(row), vget_low_s8(column));
    return vpadalq_s16(sum, vmlal_high_s8(low, row, column));
  }
  static void totals(const Sums (&s)[4], std::int32_t (&out)[4]) {
    vst1q_s32(out, vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3])));
  }
};

}  // namespace

Kernels neon_kernels() { return loops::fill_table<Neon>(); }

}  // namespace vicino
