#include "kernels/sorting.h"

#include <algorithm>

#include "kernels/products.h"

namespace vicino {

void sort_keys_scalar(std::uint64_t* keys, std::size_t count) { std::sort(keys, keys + count); }

SortKeys sort_keys_of(const Kernels& table) {
#if defined(__x86_64__)
  if (table.code_products == code_products_avx512) return sort_keys_avx512;
#else
  static_cast<void>(table);
#endif
  return sort_keys_scalar;
}

}  // namespace vicino
