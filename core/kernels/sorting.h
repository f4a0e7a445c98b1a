// Sorting the keys of a node's candidates: a few dozen at a time, millions of times in a build.
#pragma once
#include "kernels/table.h"

namespace vicino {

/// Sorts keys, smallest first.
using SortKeys = void (*)(std::uint64_t* keys, std::size_t count);

/// The one for a table of kernels.
SortKeys sort_keys_of(const Kernels& table);

void sort_keys_scalar(std::uint64_t* keys, std::size_t count);
#if defined(__x86_64__)
void sort_keys_avx512(std::uint64_t* keys, std::size_t count);
#endif

}  // namespace vicino
