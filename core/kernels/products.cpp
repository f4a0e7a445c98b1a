#include "kernels/products.h"

#include <cstring>
#include <vector>

#include "kernels/dispatch.h"

namespace vicino {

namespace {

/// Products are exact, so those of the set in use serve every table.
void gather_and_multiply(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                         std::size_t stride, std::int32_t* dots) {
  std::vector<std::int8_t> gathered(n_columns * stride);
  for (std::size_t i = 0; i < n_columns; ++i) std::memcpy(gathered.data() + i * stride, columns[i], stride);
  kernels().code_products(row, 1, gathered.data(), column_sums, n_columns, stride, dots);
}

}  // namespace

CodeProductsAt code_products_at(const Kernels& table) {
#if defined(__x86_64__)
  if (table.code_products == code_products_avx512) return code_products_at_avx512;
#endif
  return gather_and_multiply;
}

}  // namespace vicino
