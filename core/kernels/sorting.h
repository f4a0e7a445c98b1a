// Sorting of keys, and what a walk over a graph does with them; see SortKeys, CollectKeys and MergeKeys.
#pragma once
#include "kernels/table.h"

namespace vicino {

void sort_keys_scalar(std::uint64_t* keys, std::size_t count);
std::size_t merge_keys_scalar(std::uint64_t* pool, std::size_t size, std::uint64_t* keys, std::size_t count);
void add_sorting_scalar(Kernels& table);
#if defined(__x86_64__)
void add_sorting_avx512(Kernels& table);
#endif

}  // namespace vicino
