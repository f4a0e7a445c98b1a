#include "kernels/maxsim.h"

#include "kernels/distance.h"

namespace vicino {

namespace {

constexpr std::size_t kLanes = kMaxSimLanes;

void codes_scalar(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales, const std::int32_t*,
                  const MaxSimQuery& query, float* best) {
  for (std::size_t t = 0; t < n_tokens; ++t, tokens += stride)
    for (std::size_t g = 0; g < query.n_groups; ++g) {
      const std::int16_t* words = query.words + g * kLanes * stride;
      std::int32_t dots[kLanes] = {};
      for (std::size_t i = 0; i < stride; i += 2)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
          dots[lane] += words[i * kLanes + lane * 2] * tokens[i] + words[i * kLanes + lane * 2 + 1] * tokens[i + 1];
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const float similarity = scales[t] * static_cast<float>(dots[lane]);
        float& kept = best[g * kLanes + lane];
        if (similarity > kept) kept = similarity;
      }
    }
}

void floats_scalar(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query, std::size_t n_groups,
                   float* best, std::uint32_t* best_token) {
  for (std::size_t t = 0; t < n_tokens; ++t, tokens += dim)
    for (std::size_t g = 0; g < n_groups; ++g) {
      double dots[kLanes] = {};
      for (std::size_t i = 0; i < dim; ++i)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
          dots[lane] += static_cast<double>(query[(g * dim + i) * kLanes + lane]) * tokens[i];
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const float similarity = static_cast<float>(dots[lane] * factors[t]);
        if (!(similarity > best[g * kLanes + lane])) continue;
        best[g * kLanes + lane] = similarity;
        best_token[g * kLanes + lane] = static_cast<std::uint32_t>(t);
      }
    }
}

void halves_scalar(const std::uint8_t* halves, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = reference::element(loops::Float16{}, halves, i);
}

}  // namespace

PackedMaxSimQuery PackedMaxSimQuery::of_codes(const std::int8_t* codes, std::size_t n_tokens, std::size_t stride) {
  PackedMaxSimQuery packed;
  packed.n_groups = (n_tokens + kLanes - 1) / kLanes;
  packed.bytes.assign(packed.n_groups * kLanes * stride, 128);
  packed.words.assign(packed.n_groups * kLanes * stride, 0);
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const std::size_t group = t / kLanes * kLanes * stride, lane = t % kLanes;
    for (std::size_t i = 0; i < stride; ++i) {
      const std::int8_t code = codes[t * stride + i];
      packed.bytes[group + i / 4 * 4 * kLanes + lane * 4 + i % 4] = static_cast<std::uint8_t>(code + 128);
      packed.words[group + i / 2 * 2 * kLanes + lane * 2 + i % 2] = code;
    }
  }
  return packed;
}

std::vector<float> pack_maxsim_floats(const float* tokens, std::size_t n_tokens, std::size_t dim) {
  const std::size_t n_groups = (n_tokens + kLanes - 1) / kLanes;
  std::vector<float> packed(n_groups * kLanes * dim);
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t i = 0; i < dim; ++i) packed[(t / kLanes * dim + i) * kLanes + t % kLanes] = tokens[t * dim + i];
  return packed;
}

void add_maxsim_scalar(Kernels& table) {
  table.maxsim_codes = codes_scalar;
  table.maxsim_floats = floats_scalar;
  table.widen_halves = halves_scalar;
}

}  // namespace vicino
