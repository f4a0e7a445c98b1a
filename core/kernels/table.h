// The table of kernels that one instruction set fills.
//
// The wide units include only this header and loops.h: an inline function of the standard library compiled there could be merged by the
// linker with its portable twin, and then run on a machine without those instructions.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

/// out[i] = raw value of the query and rows[i], for i < count. The query is float32 for float rows, else of the rows' own type.
/// Nothing is assumed about alignment. Integer kernels sum exactly and round once to float; float kernels are deterministic.
using Kernel = void (*)(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out);

/// dots[r * n_columns + c] = exact dot product of code row r and code column c, values within -127..127. Rows and columns are `stride`
/// bytes apart, zero-padded to it; stride is a multiple of 64, at most 65,600. column_sums[c] is the sum of column c's values.
using CodeProducts = void (*)(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                              std::size_t n_columns, std::size_t stride, std::int32_t* dots);

/// What turns exact dot products of codes into squared distances: |a - b|^2 = norm_a + norm_b - 2 scale_a scale_b <a, b> + (extra_a - extra_b)^2.
struct CodeFactors {
  float norm = 0;   // of the decoded code, squared
  float scale = 0;  // one step of the code
  float extra = 0;  // a further coordinate that is not coded
};
/// out[i] = squared distance, never negative, of `self` and column i whose factors lie in three parallel arrays.
using CodeDistances = void (*)(const std::int32_t* dots, std::size_t count, CodeFactors self, const float* norms, const float* scales,
                               const float* extras, float* out);

/// How many of the values are at most `bound`.
using CountAtMost = std::size_t (*)(const float* values, std::size_t count, float bound);
/// Writes the ascending positions of the values at most `bound` and returns how many. `out` has room for count + kCollectSlack: wide
/// kernels store whole vectors.
constexpr std::size_t kCollectSlack = 16;
using CollectAtMost = std::size_t (*)(const float* values, std::size_t count, float bound, std::uint32_t* out);

/// The query of a MaxSim as kernels/maxsim.h packs it, in groups of kMaxSimLanes tokens.
constexpr std::size_t kMaxSimLanes = 16;
struct MaxSimQuery {
  const std::uint8_t* bytes;
  const std::int16_t* words;
  std::size_t n_groups;
};
/// Raises best[lane] to scales[t] * <token t, query token `lane`> for every token t < n_tokens. Tokens are int8 codes `stride` bytes apart,
/// a multiple of 4; corrections[t] is -128 times the sum of token t's code. The product of codes is exact.
using MaxSimCodes = void (*)(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales,
                             const std::int32_t* corrections, const MaxSimQuery& query, float* best);
/// The same over floats with factors[t] for a scale; best_token[lane] becomes the first token that gives the maximum.
using MaxSimFloats = void (*)(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query,
                              std::size_t n_groups, float* best, std::uint32_t* best_token);
/// IEEE 754 binary16 to float.
using WidenHalves = void (*)(const std::uint8_t* halves, std::size_t count, float* out);

/// The kernels of one instruction set; a null entry falls back to the next simpler set.
struct Kernels {
  // Indexed by the numeric types in the order of Dtype: float32, float16, int8, uint8.
  Kernel dot[4] = {};
  Kernel l2[4] = {};
  Kernel l1[4] = {};
  Kernel hamming = nullptr;
  Kernel jaccard = nullptr;
  CodeProducts code_products = nullptr;
  CodeDistances code_distances = nullptr;
  CountAtMost count_at_most = nullptr;
  CollectAtMost collect_at_most = nullptr;
  MaxSimCodes maxsim_codes = nullptr;
  MaxSimFloats maxsim_floats = nullptr;
  WidenHalves widen_halves = nullptr;
};

// Internal linkage on purpose, see above.
static inline float jaccard_distance(std::uint64_t both, std::uint64_t either) {
  return either ? static_cast<float>(1.0 - static_cast<double>(both) / static_cast<double>(either)) : 0.0f;
}

}  // namespace vicino
