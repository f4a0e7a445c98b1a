// How the query of a MaxSim stands in memory for the kernels. Query tokens lie side by side in lanes, 16 to a group: an instruction multiplies
// a few elements of one document token with those of 16 query tokens, so no sum ever runs across lanes, documents need no padding,
// and the running maximum stays in one register per group. Lanes beyond the last query token hold zeros.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/table.h"

namespace vicino {

struct PackedMaxSimQuery {
  /// codes: n_tokens x stride, values within -127..127, stride a multiple of 4.
  static PackedMaxSimQuery of_codes(const std::int8_t* codes, std::size_t n_tokens, std::size_t stride);

  std::size_t n_groups = 0;
  std::vector<std::uint8_t> bytes;   // [group][stride / 4][16][4], plus 128
  std::vector<std::int16_t> words;   // [group][stride / 2][16][2]
  MaxSimQuery view() const { return {bytes.data(), words.data(), n_groups}; }
};

/// [group][dim][16]
std::vector<float> pack_maxsim_floats(const float* tokens, std::size_t n_tokens, std::size_t dim);

void add_maxsim_scalar(Kernels& table);
#if defined(__x86_64__)
void add_maxsim_avx2(Kernels& table);
void add_maxsim_avx512(Kernels& table);
#elif defined(__aarch64__)
void add_maxsim_neon(Kernels& table);
#endif

}  // namespace vicino
