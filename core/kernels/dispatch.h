// Which machine code computes distances. One unit per instruction set fills a table; every kernel is chosen separately, at first use,
// from what the processor and the operating system support. VICINO_KERNELS=scalar|avx2|avx512|neon|auto overrides the choice.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vicino {

/// out[i] = raw value of the query and rows[i], for i < count. The query is float32 for float rows, else of the rows' own type.
/// Nothing is assumed about alignment. Integer kernels sum exactly and round once to float; float kernels are deterministic.
using Kernel = void (*)(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out);

/// dots[r * n_columns + c] = exact dot product of int8 rows r and columns c. Rows and columns are `stride` bytes apart, zero-padded to it;
/// stride is a multiple of 64. `columns_sum[c]` is the sum of the values of column c (some instruction sets need it).
using CodeProducts = void (*)(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* columns_sum,
                              std::size_t n_columns, std::size_t stride, std::int32_t* dots);

enum class KernelSet : std::uint8_t { scalar, avx2, avx512, neon };

/// The kernels of one instruction set; a null entry falls back to the next simpler set.
struct Kernels {
  // Indexed by the numeric types in the order of Dtype: float32, float16, int8, uint8.
  Kernel dot[4] = {};
  Kernel l2[4] = {};
  Kernel l1[4] = {};
  Kernel hamming = nullptr;
  Kernel jaccard = nullptr;
  CodeProducts code_products = nullptr;
};

/// The table in use, chosen at first use. Throws InvalidArgument when VICINO_KERNELS names an unknown or unsupported set.
const Kernels& kernels();
/// The table as it would be with exactly this override. Throws InvalidArgument for an unknown or unsupported name.
Kernels kernels_of(std::string_view name);
/// Names this machine can run, simplest first.
std::vector<std::string> supported_kernel_sets();
/// Kernel name -> instruction set in use, for diagnosis.
std::vector<std::pair<std::string, std::string>> active_kernels();

}  // namespace vicino
