#include "kernels/coded_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/half.h"

namespace vicino {

namespace {

constexpr float kCodeMax = 127, kHalfMax = 65504;

/// The step for numbers up to `largest`, rounded to 17 significant bits; 0 when there is nothing to code. A subnormal step has fewer bits than
/// that, and would not come out the same when its rows are coded again.
float scale_for(float largest) {
  if (largest / kCodeMax < std::numeric_limits<float>::min()) return 0;
  constexpr std::uint32_t dropped = 0x7f;  // low bits of the 23 stored ones
  std::uint32_t bits = (std::bit_cast<std::uint32_t>(largest / kCodeMax) + (dropped + 1) / 2) & ~dropped;
  // Rounded up at the very end of the range, the largest code would decode to an infinity.
  if (!std::isfinite(std::bit_cast<float>(bits) * kCodeMax)) bits -= dropped + 1;
  return std::bit_cast<float>(bits);
}

}  // namespace

void encode_coded_row(const float* values, std::size_t dim, std::uint8_t* out) {
  std::uint8_t* codes = out + (coded_row_bytes(dim) - dim);
  for (std::size_t start = 0; start < dim; start += kCodedRun) {
    const std::size_t end = std::min(start + kCodedRun, dim);
    float largest = 0;
    for (std::size_t i = start; i < end; ++i) largest = std::max(largest, std::fabs(values[i]));
    const float scale = scale_for(largest);
    std::memcpy(out + start / kCodedRun * sizeof scale, &scale, sizeof scale);
    for (std::size_t i = start; i < end; ++i) {
      const float steps = scale > 0 ? std::nearbyint(values[i] / scale) : 0;
      codes[i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::clamp(steps, -kCodeMax, kCodeMax)));
    }
  }
}

void decode_coded_row(const std::uint8_t* row, std::size_t dim, float* out) {
  const std::uint8_t* codes = row + (coded_row_bytes(dim) - dim);
  for (std::size_t i = 0; i < dim; ++i) {
    float scale;
    std::memcpy(&scale, row + i / kCodedRun * sizeof scale, sizeof scale);
    out[i] = scale * static_cast<float>(static_cast<std::int8_t>(codes[i]));
  }
}

void decode_coded_row(const std::uint8_t* row, std::uint32_t dim, Dtype dtype, std::uint8_t* out) {
  std::vector<float> values(dim);
  decode_coded_row(row, dim, values.data());
  if (dtype == Dtype::float16) {
    for (std::uint32_t i = 0; i < dim; ++i) {
      const std::uint16_t half = float_to_half(std::clamp(values[i], -kHalfMax, kHalfMax));
      std::memcpy(out + i * sizeof half, &half, sizeof half);
    }
  } else {
    std::memcpy(out, values.data(), dim * sizeof(float));
  }
}

}  // namespace vicino
