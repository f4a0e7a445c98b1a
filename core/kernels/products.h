// Products of code rows and columns that are wide enough to be made as blocks, beside those of one row after another.
#pragma once
#include "kernels/table.h"

namespace vicino {

#if defined(__x86_64__)
/// One row after another, for as few rows as packing columns does not pay for.
void code_products_by_rows_avx512(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                                  std::size_t n_columns, std::size_t stride, std::int32_t* dots);
/// By blocks, where there are enough rows and columns.
void code_products_avx512(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                          std::size_t n_columns, std::size_t stride, std::int32_t* dots);
void add_products_avx512(Kernels& table);
void add_products_amx(Kernels& table);
#endif

}  // namespace vicino
