// MaxSim with AVX2: bytes are widened to 16 bits, so that vpmaddwd sums exactly; two elements times eight query tokens at once.
#include <immintrin.h>

#include "kernels/table.h"

namespace vicino {

void add_maxsim_avx2(Kernels& table);

namespace {

constexpr std::size_t kLanes = kMaxSimLanes, kHalf = 8;
constexpr std::size_t kPartial = 128;  // elements summed in one float before they are added to the whole: keeps long sums accurate
constexpr std::size_t kHeight = 4;

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

/// Two signed bytes as two words in each 32-bit lane.
inline __m256i pair_of(const std::int8_t* p) {
  const auto low = static_cast<std::uint16_t>(static_cast<std::int16_t>(p[0])), high = static_cast<std::uint16_t>(static_cast<std::int16_t>(p[1]));
  return _mm256_set1_epi32(static_cast<std::int32_t>(low | static_cast<std::uint32_t>(high) << 16));
}

void codes(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales, const std::int32_t*, const MaxSimQuery& query,
           float* best) {
  for (std::size_t g = 0; g < query.n_groups; ++g) {
    const std::int16_t* words = query.words + g * kLanes * stride;
    __m256 kept[2] = {_mm256_loadu_ps(best + g * kLanes), _mm256_loadu_ps(best + g * kLanes + kHalf)};
    for (std::size_t first = 0; first < n_tokens; first += kHeight) {
      const std::int8_t* token[kHeight];
      std::size_t at[kHeight];
      __m256i sums[kHeight][2];
      for (std::size_t t = 0; t < kHeight; ++t) {
        at[t] = first + t < n_tokens ? first + t : n_tokens - 1;  // repeated: a maximum does not mind
        token[t] = tokens + at[t] * stride;
        sums[t][0] = sums[t][1] = _mm256_setzero_si256();
      }
      for (std::size_t i = 0; i < stride; i += 2) {
        const __m256i low = load(words + i * kLanes), high = load(words + i * kLanes + kLanes);
        for (std::size_t t = 0; t < kHeight; ++t) {
          const __m256i pair = pair_of(token[t] + i);
          sums[t][0] = _mm256_add_epi32(sums[t][0], _mm256_madd_epi16(low, pair));
          sums[t][1] = _mm256_add_epi32(sums[t][1], _mm256_madd_epi16(high, pair));
        }
      }
      for (std::size_t t = 0; t < kHeight; ++t)
        for (std::size_t h = 0; h < 2; ++h)
          kept[h] = _mm256_max_ps(kept[h], _mm256_mul_ps(_mm256_cvtepi32_ps(sums[t][h]), _mm256_set1_ps(scales[at[t]])));
    }
    _mm256_storeu_ps(best + g * kLanes, kept[0]);
    _mm256_storeu_ps(best + g * kLanes + kHalf, kept[1]);
  }
}

void floats(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query, std::size_t n_groups,
            float* best, std::uint32_t* best_token) {
  for (std::size_t half = 0; half < 2 * n_groups; ++half) {
    const float* lanes = query + half / 2 * dim * kLanes + half % 2 * kHalf;
    __m256 kept = _mm256_loadu_ps(best + half * kHalf);
    __m256i positions = load(best_token + half * kHalf);
    for (std::size_t first = 0; first < n_tokens; first += kHeight) {
      const float* token[kHeight];
      __m256 whole[kHeight];
      for (std::size_t t = 0; t < kHeight; ++t) {
        token[t] = tokens + (first + t < n_tokens ? first + t : n_tokens - 1) * dim;
        whole[t] = _mm256_setzero_ps();
      }
      for (std::size_t part = 0; part < dim; part += kPartial) {
        const std::size_t end = part + kPartial < dim ? part + kPartial : dim;
        __m256 sums[kHeight];
        for (std::size_t t = 0; t < kHeight; ++t) sums[t] = _mm256_setzero_ps();
        for (std::size_t i = part; i < end; ++i) {
          const __m256 values = _mm256_loadu_ps(lanes + i * kLanes);
          for (std::size_t t = 0; t < kHeight; ++t) sums[t] = _mm256_fmadd_ps(values, _mm256_set1_ps(token[t][i]), sums[t]);
        }
        for (std::size_t t = 0; t < kHeight; ++t) whole[t] = _mm256_add_ps(whole[t], sums[t]);
      }
      for (std::size_t t = 0; t < kHeight && first + t < n_tokens; ++t) {
        const __m256 similarity = _mm256_mul_ps(whole[t], _mm256_set1_ps(factors[first + t]));
        const __m256 better = _mm256_cmp_ps(similarity, kept, _CMP_GT_OQ);
        kept = _mm256_blendv_ps(kept, similarity, better);
        positions = _mm256_blendv_epi8(positions, _mm256_set1_epi32(static_cast<int>(first + t)), _mm256_castps_si256(better));
      }
    }
    _mm256_storeu_ps(best + half * kHalf, kept);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(best_token + half * kHalf), positions);
  }
}

void widen_halves(const std::uint8_t* halves, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i * 2))));
  for (; i < count; ++i) {
    std::uint16_t half;
    __builtin_memcpy(&half, halves + i * 2, 2);
    out[i] = _cvtsh_ss(half);
  }
}

}  // namespace

void add_maxsim_avx2(Kernels& table) {
  table.maxsim_codes = codes;
  table.maxsim_floats = floats;
  table.widen_halves = widen_halves;
}

}  // namespace vicino
