// MaxSim with NEON of the ARMv8 baseline. Codes are multiplied as bytes: the products of eight elements meet in pairs within 16 bits before
// they are widened, so two multiplications go to each addition in 32 bits.
#include <arm_neon.h>

#include "kernels/maxsim.h"

namespace vicino {

namespace {

constexpr std::size_t kLanes = kMaxSimLanes, kQuads = kLanes / 4;
constexpr std::size_t kPartial = 128;  // elements summed in one float before they are added to the whole: keeps long sums accurate

/// Four elements of a document token, once for each of four query tokens.
inline int8x16_t spread(const std::int8_t* token) {
  std::int32_t four;
  __builtin_memcpy(&four, token, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/// Four elements of four query tokens, without the 128 that the packing adds.
inline int8x16_t query_codes(const std::uint8_t* bytes) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(bytes), vdupq_n_u8(128))); }

/// Sums of four query tokens, two adjacent lanes for each: the first two tokens, then the others.
struct QuadSums {
  int32x4_t halves[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};

  /// Eight elements of the four. Two products of at most 127 * 128 fit into 16 bits.
  void add(int8x16_t query, int8x16_t token, int8x16_t next_query, int8x16_t next_token) {
    const int16x8_t low = vmull_s8(vget_low_s8(query), vget_low_s8(token));
    halves[0] = vpadalq_s16(halves[0], vmlal_s8(low, vget_low_s8(next_query), vget_low_s8(next_token)));
    halves[1] = vpadalq_s16(halves[1], vmlal_high_s8(vmull_high_s8(query, token), next_query, next_token));
  }
  float32x4_t dots() const { return vcvtq_f32_s32(vpaddq_s32(halves[0], halves[1])); }
};

inline void keep_larger(float32x4_t& kept, float32x4_t similarity) { kept = vbslq_f32(vcgtq_f32(similarity, kept), similarity, kept); }

/// `height` document tokens by one group of query tokens.
template <std::size_t height>
inline void codes_tile(const std::int8_t* tokens, std::size_t stride, const float* scales, const std::uint8_t* query, float32x4_t* kept) {
  QuadSums sums[height][kQuads];
  std::size_t at = 0;
  for (; at + 8 <= stride; at += 8) {
    int8x16_t token[height], next_token[height];
    for (std::size_t t = 0; t < height; ++t) {
      token[t] = spread(tokens + t * stride + at);
      next_token[t] = spread(tokens + t * stride + at + 4);
    }
    for (std::size_t quad = 0; quad < kQuads; ++quad) {
      const int8x16_t codes = query_codes(query + at * kLanes + quad * 16), next_codes = query_codes(query + (at + 4) * kLanes + quad * 16);
      for (std::size_t t = 0; t < height; ++t) sums[t][quad].add(codes, token[t], next_codes, next_token[t]);
    }
  }
  if (at < stride)
    for (std::size_t quad = 0; quad < kQuads; ++quad)
      for (std::size_t t = 0; t < height; ++t)
        sums[t][quad].add(query_codes(query + at * kLanes + quad * 16), spread(tokens + t * stride + at), vdupq_n_s8(0), vdupq_n_s8(0));
  for (std::size_t t = 0; t < height; ++t)
    for (std::size_t quad = 0; quad < kQuads; ++quad) keep_larger(kept[quad], vmulq_n_f32(sums[t][quad].dots(), scales[t]));
}

void codes(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales, const std::int32_t*, const MaxSimQuery& query,
           float* best) {
  for (std::size_t g = 0; g < query.n_groups; ++g, best += kLanes) {
    const std::uint8_t* bytes = query.bytes + g * kLanes * stride;
    float32x4_t kept[kQuads];
    for (std::size_t quad = 0; quad < kQuads; ++quad) kept[quad] = vld1q_f32(best + quad * 4);
    std::size_t t = 0;
    for (; t + 2 <= n_tokens; t += 2) codes_tile<2>(tokens + t * stride, stride, scales + t, bytes, kept);
    if (t < n_tokens) codes_tile<1>(tokens + t * stride, stride, scales + t, bytes, kept);
    for (std::size_t quad = 0; quad < kQuads; ++quad) vst1q_f32(best + quad * 4, kept[quad]);
  }
}

void floats(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query, std::size_t n_groups,
            float* best, std::uint32_t* best_token) {
  constexpr std::size_t height = 4, quads = 2, lanes_at_once = quads * 4;
  for (std::size_t lane = 0; lane < n_groups * kLanes; lane += lanes_at_once) {
    const float* lanes = query + lane / kLanes * dim * kLanes + lane % kLanes;
    for (std::size_t first = 0; first < n_tokens; first += height) {
      const float* token[height];
      float32x4_t whole[height][quads];
      for (std::size_t t = 0; t < height; ++t) {
        token[t] = tokens + (first + t < n_tokens ? first + t : n_tokens - 1) * dim;
        for (std::size_t quad = 0; quad < quads; ++quad) whole[t][quad] = vdupq_n_f32(0);
      }
      for (std::size_t part = 0; part < dim; part += kPartial) {
        const std::size_t end = part + kPartial < dim ? part + kPartial : dim;
        float32x4_t sums[height][quads];
        for (auto& row : sums)
          for (float32x4_t& sum : row) sum = vdupq_n_f32(0);
        for (std::size_t i = part; i < end; ++i)
          for (std::size_t quad = 0; quad < quads; ++quad) {
            const float32x4_t values = vld1q_f32(lanes + i * kLanes + quad * 4);
            for (std::size_t t = 0; t < height; ++t) sums[t][quad] = vfmaq_n_f32(sums[t][quad], values, token[t][i]);
          }
        for (std::size_t t = 0; t < height; ++t)
          for (std::size_t quad = 0; quad < quads; ++quad) whole[t][quad] = vaddq_f32(whole[t][quad], sums[t][quad]);
      }
      for (std::size_t quad = 0; quad < quads; ++quad) {
        float* const kept_at = best + lane + quad * 4;
        std::uint32_t* const position_at = best_token + lane + quad * 4;
        float32x4_t kept = vld1q_f32(kept_at);
        uint32x4_t positions = vld1q_u32(position_at);
        for (std::size_t t = 0; t < height && first + t < n_tokens; ++t) {
          const float32x4_t similarity = vmulq_n_f32(whole[t][quad], factors[first + t]);
          positions = vbslq_u32(vcgtq_f32(similarity, kept), vdupq_n_u32(static_cast<std::uint32_t>(first + t)), positions);
          keep_larger(kept, similarity);
        }
        vst1q_f32(kept_at, kept);
        vst1q_u32(position_at, positions);
      }
    }
  }
}

void widen_halves(const std::uint8_t* halves, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halves + i * 2))));
  for (; i < count; ++i) {
    std::uint16_t half;
    __builtin_memcpy(&half, halves + i * 2, sizeof half);
    out[i] = vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0);
  }
}

}  // namespace

void add_maxsim_neon(Kernels& table) {
  table.maxsim_codes = codes;
  table.maxsim_floats = floats;
  table.widen_halves = widen_halves;
}

}  // namespace vicino
