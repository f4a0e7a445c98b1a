// Kernels of the nested code (codes/ladder.h), one unit per instruction set.
#pragma once
#include "kernels/table.h"

namespace vicino {

void add_codes_scalar(Kernels& table);
#if defined(__x86_64__)
void add_codes_avx2(Kernels& table);
void add_codes_avx512(Kernels& table);
#elif defined(__aarch64__)
void add_codes_neon(Kernels& table);
#endif

}  // namespace vicino
