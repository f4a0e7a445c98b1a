// Which machine code computes distances. One unit per instruction set fills a table; every kernel is chosen separately, at first use,
// from what the processor and the operating system support. VICINO_KERNELS=scalar|avx2|avx512|amx|neon|auto overrides the choice.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/table.h"

namespace vicino {

/// The table in use, chosen at first use. Throws InvalidArgument when VICINO_KERNELS names an unknown or unsupported set.
const Kernels& kernels();
/// The table of one set, with simpler kernels where it has none of its own. Throws InvalidArgument for an unknown or unsupported name.
Kernels kernels_of(std::string_view name);
/// Names this machine can run, simplest first.
std::vector<std::string> supported_kernel_sets();
/// Kernel name and the set it comes from, for the table in use.
std::vector<std::pair<std::string, std::string>> active_kernels();

}  // namespace vicino
