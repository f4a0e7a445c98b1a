// Products of code rows with code columns beside those of the table: many with many as blocks, and one with columns that lie anywhere.
#pragma once
#include "kernels/table.h"

namespace vicino {

/// dots[i] = exact dot product of a code row and columns[i]; otherwise as CodeProducts.
using CodeProductsAt = void (*)(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                                std::size_t stride, std::int32_t* dots);

/// The one for a table of kernels: on sets without a way of their own columns are copied together first.
CodeProductsAt code_products_at(const Kernels& table);

#if defined(__x86_64__)
/// Replaces code_products; for few rows the new one calls the one that was there.
void add_products_avx512(Kernels& table);
void code_products_avx512(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                          std::size_t n_columns, std::size_t stride, std::int32_t* dots);
void code_products_at_avx512(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                             std::size_t stride, std::int32_t* dots);
#endif

}  // namespace vicino
