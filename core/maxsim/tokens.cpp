#include "maxsim/tokens.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "util/errors.h"

namespace vicino {

void check_multi_spec(const MultiSpec& spec) {
  if (spec.dim < 1 || spec.dim > kMultiDimMax)
    throw InvalidArgument("multi-vectors have 1 to " + std::to_string(kMultiDimMax) + " dimensions, got " + std::to_string(spec.dim));
  if (spec.dtype != Dtype::float32 && spec.dtype != Dtype::float16 && spec.dtype != Dtype::int8)
    throw InvalidArgument(std::string("multi-vectors are float32, float16 or int8, got ") + name_of(spec.dtype));
  if (spec.metric != Metric::cosine && spec.metric != Metric::dot)
    throw InvalidArgument(std::string("multi-vectors are compared by cosine or dot, got ") + name_of(spec.metric));
}

std::uint32_t count_tokens(const MultiSpec& spec, Bytes value, std::uint32_t row) {
  const std::size_t size = row_bytes(spec.dtype, spec.dim);
  if (value.size() % size || value.size() / size > 0xffffffff)
    throw CorruptionError("the multi-vector of row " + std::to_string(row) + " has " + std::to_string(value.size()) + " bytes, no multiple of " +
                          std::to_string(size));
  return static_cast<std::uint32_t>(value.size() / size);
}

void Tokens::read(Bytes value) {
  const std::size_t n = value.size() / row_bytes(spec_.dtype, spec_.dim), count = n * spec_.dim;
  if (spec_.dtype == Dtype::float32 && reinterpret_cast<std::uintptr_t>(value.data()) % alignof(float) == 0) {
    values_ = reinterpret_cast<const float*>(value.data());
  } else {
    decoded_.resize(std::max(decoded_.size(), count));
    if (spec_.dtype == Dtype::float32 && count) std::memcpy(decoded_.data(), value.data(), value.size());
    if (spec_.dtype == Dtype::float16) table_.widen_halves(value.data(), count, decoded_.data());
    if (spec_.dtype == Dtype::int8)
      for (std::size_t i = 0; i < count; ++i) decoded_[i] = static_cast<std::int8_t>(value[i]);
    values_ = decoded_.data();
  }
  factors_.assign(n, 1.0f);
  if (spec_.metric == Metric::cosine)
    for (std::size_t t = 0; t < n; ++t) factors_[t] = static_cast<float>(inverse_norm_of({(*this)[t], spec_.dim}));
}

double norm_of(std::span<const float> token) {
  double sums[4] = {};  // interleaved: the order is fixed, and the compiler can make it wide
  std::size_t i = 0;
  for (; i + 4 <= token.size(); i += 4)
    for (std::size_t j = 0; j < 4; ++j) sums[j] += static_cast<double>(token[i + j]) * token[i + j];
  for (; i < token.size(); ++i) sums[0] += static_cast<double>(token[i]) * token[i];
  return std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

double inverse_norm_of(std::span<const float> token) {
  const double norm = norm_of(token);
  return norm > 0 ? 1 / norm : 0;
}

TokenCode encode_token(std::span<const float> token, double factor, std::int8_t* code, std::size_t stride) {
  double largest = 0;
  for (const float value : token) largest = std::max(largest, std::fabs(value * factor));
  TokenCode result;
  result.scale = static_cast<float>(largest / 127);  // what is stored is what the bounds speak of
  std::memset(code, 0, stride);
  double lost = 0;
  std::int64_t squares = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const double value = token[i] * factor;
    if (result.scale > 0) code[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(value / result.scale), -127.0, 127.0));
    const double error = value - result.scale * code[i];
    lost += error * error;
    squares += code[i] * code[i];
    result.sum += code[i];
  }
  result.lost = std::sqrt(lost);
  result.norm = result.scale * std::sqrt(static_cast<double>(squares));
  return result;
}

}  // namespace vicino
