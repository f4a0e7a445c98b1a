// The kernel that follows the links of a node in a graph, one unit per instruction set.
#pragma once
#include "kernels/table.h"

namespace vicino {

void add_links_scalar(Kernels& table);
#if defined(__x86_64__)
void add_links_avx2(Kernels& table);
void add_links_avx512(Kernels& table);
#endif

}  // namespace vicino
