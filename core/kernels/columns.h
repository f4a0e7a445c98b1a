// The kernel that scores 4-bit codes which lie column by column, one unit per instruction set.
#pragma once
#include "kernels/table.h"

namespace vicino {

void add_columns_scalar(Kernels& table);
#if defined(__x86_64__)
void add_columns_avx2(Kernels& table);
void add_columns_avx512(Kernels& table);
#elif defined(__aarch64__)
void add_columns_neon(Kernels& table);
#endif

}  // namespace vicino
