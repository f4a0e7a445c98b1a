// Kernels for sums over postings: what a posting is worth, and which rows of a window have come far enough.
#pragma once
#include "kernels/table.h"

namespace vicino {

/// The portable ones, and those of the wide units.
void add_postings_scalar(Kernels& table);
void add_postings_avx2(Kernels& table);
void add_postings_avx512(Kernels& table);
void add_postings_neon(Kernels& table);

}  // namespace vicino
