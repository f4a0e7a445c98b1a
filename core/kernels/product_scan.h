// Scanning blocks of product codes for several queries, see ScanProducts. The sets without a unit of their own take product_scan_loops.h.
#pragma once
#include "kernels/table.h"

namespace vicino {

#if defined(__x86_64__)
void add_product_scan_avx512(Kernels& table);
#endif

}  // namespace vicino
