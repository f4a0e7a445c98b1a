#include "kernels/sorting.h"

#include <algorithm>

namespace vicino {

void sort_keys_scalar(std::uint64_t* keys, std::size_t count) { std::sort(keys, keys + count); }
void add_sorting_scalar(Kernels& table) { table.sort_keys = sort_keys_scalar; }

}  // namespace vicino
