// Sorting of keys, see SortKeys.
#pragma once
#include "kernels/table.h"

namespace vicino {

void sort_keys_scalar(std::uint64_t* keys, std::size_t count);
void add_sorting_scalar(Kernels& table);
#if defined(__x86_64__)
void add_sorting_avx512(Kernels& table);
#endif

}  // namespace vicino
