// MaxSim with AVX-512 VNNI: one vpdpbusd multiplies four elements of a document token with those of 16 query tokens.
#include <immintrin.h>

#include "kernels/table.h"

namespace vicino {

void add_maxsim_avx512(Kernels& table);

namespace {

constexpr std::size_t kLanes = kMaxSimLanes;
constexpr std::size_t kPartial = 128;  // elements summed in one float before they are added to the whole: keeps long sums accurate

inline std::int32_t load_four(const std::int8_t* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, 4);
  return four;
}

/// `height` document tokens by `groups` * 16 query tokens; the sums stay in registers. Queries are shifted to unsigned by 128, which the
/// corrections take off again.
template <std::size_t height, std::size_t groups>
inline void codes_tile(const std::int8_t* const* tokens, std::size_t stride, const float* const* scales, const std::int32_t* const* corrections,
                       const std::uint8_t* query, __m512* best) {
  __m512i sums[height][groups];
  for (std::size_t t = 0; t < height; ++t)
    for (std::size_t g = 0; g < groups; ++g) sums[t][g] = _mm512_set1_epi32(*corrections[t]);
  for (std::size_t at = 0; at < stride; at += 4) {
    __m512i lanes[groups];
    for (std::size_t g = 0; g < groups; ++g) lanes[g] = _mm512_loadu_si512(query + (g * stride + at) * kLanes);
    for (std::size_t t = 0; t < height; ++t) {
      const __m512i token = _mm512_set1_epi32(load_four(tokens[t] + at));
      for (std::size_t g = 0; g < groups; ++g) sums[t][g] = _mm512_dpbusd_epi32(sums[t][g], lanes[g], token);
    }
  }
  for (std::size_t t = 0; t < height; ++t)
    for (std::size_t g = 0; g < groups; ++g)
      best[g] = _mm512_max_ps(best[g], _mm512_mul_ps(_mm512_cvtepi32_ps(sums[t][g]), _mm512_set1_ps(*scales[t])));
}

/// The last tile repeats the last token: a maximum does not mind.
template <std::size_t height, std::size_t groups>
void codes_of_groups(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales, const std::int32_t* corrections,
                     const std::uint8_t* query, float* best) {
  __m512 kept[groups];
  for (std::size_t g = 0; g < groups; ++g) kept[g] = _mm512_loadu_ps(best + g * kLanes);
  for (std::size_t first = 0; first < n_tokens; first += height) {
    const std::int8_t* token[height];
    const float* scale[height];
    const std::int32_t* correction[height];
    for (std::size_t t = 0; t < height; ++t) {
      const std::size_t at = first + t < n_tokens ? first + t : n_tokens - 1;
      token[t] = tokens + at * stride;
      scale[t] = scales + at;
      correction[t] = corrections + at;
    }
    codes_tile<height, groups>(token, stride, scale, correction, query, kept);
  }
  for (std::size_t g = 0; g < groups; ++g) _mm512_storeu_ps(best + g * kLanes, kept[g]);
}

void codes(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales, const std::int32_t* corrections,
           const MaxSimQuery& query, float* best) {
  std::size_t g = 0;
  for (; g + 2 <= query.n_groups; g += 2)
    codes_of_groups<8, 2>(tokens, n_tokens, stride, scales, corrections, query.bytes + g * kLanes * stride, best + g * kLanes);
  if (g < query.n_groups)
    codes_of_groups<8, 1>(tokens, n_tokens, stride, scales, corrections, query.bytes + g * kLanes * stride, best + g * kLanes);
}

void floats(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query, std::size_t n_groups,
            float* best, std::uint32_t* best_token) {
  constexpr std::size_t height = 8;
  for (std::size_t g = 0; g < n_groups; ++g) {
    const float* lanes = query + g * dim * kLanes;
    __m512 kept = _mm512_loadu_ps(best + g * kLanes);
    __m512i positions = _mm512_loadu_si512(best_token + g * kLanes);
    for (std::size_t first = 0; first < n_tokens; first += height) {
      const float* token[height];
      __m512 whole[height];
      for (std::size_t t = 0; t < height; ++t) {
        token[t] = tokens + (first + t < n_tokens ? first + t : n_tokens - 1) * dim;
        whole[t] = _mm512_setzero_ps();
      }
      for (std::size_t part = 0; part < dim; part += kPartial) {
        const std::size_t end = part + kPartial < dim ? part + kPartial : dim;
        __m512 sums[height];
        for (std::size_t t = 0; t < height; ++t) sums[t] = _mm512_setzero_ps();
        for (std::size_t i = part; i < end; ++i) {
          const __m512 values = _mm512_loadu_ps(lanes + i * kLanes);
          for (std::size_t t = 0; t < height; ++t) sums[t] = _mm512_fmadd_ps(values, _mm512_set1_ps(token[t][i]), sums[t]);
        }
        for (std::size_t t = 0; t < height; ++t) whole[t] = _mm512_add_ps(whole[t], sums[t]);
      }
      for (std::size_t t = 0; t < height && first + t < n_tokens; ++t) {
        const __m512 similarity = _mm512_mul_ps(whole[t], _mm512_set1_ps(factors[first + t]));
        const __mmask16 better = _mm512_cmp_ps_mask(similarity, kept, _CMP_GT_OQ);
        kept = _mm512_mask_mov_ps(kept, better, similarity);
        positions = _mm512_mask_set1_epi32(positions, better, static_cast<int>(first + t));
      }
    }
    _mm512_storeu_ps(best + g * kLanes, kept);
    _mm512_storeu_si512(best_token + g * kLanes, positions);
  }
}

void widen_halves(const std::uint8_t* halves, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask16 valid = count - i >= kLanes ? 0xffff : static_cast<__mmask16>((1u << (count - i)) - 1);
    _mm512_mask_storeu_ps(out + i, valid, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(valid, halves + i * 2)));
  }
}

}  // namespace

void add_maxsim_avx512(Kernels& table) {
  table.maxsim_codes = codes;
  table.maxsim_floats = floats;
  table.widen_halves = widen_halves;
}

}  // namespace vicino
