#include "kernels/columns.h"

#include "kernels/columns_loops.h"

namespace vicino {

namespace {

struct Portable {
  static void dots(const std::uint8_t* group, const std::int8_t* query, std::size_t columns, std::size_t ahead, std::int32_t* dots) {
    for (std::size_t row = 0; row < column_loops::kRows; ++row) dots[row] = 0;
    for (std::size_t column = 0; column < columns; ++column, group += column_loops::kColumn) {
      __builtin_prefetch(group + ahead);
      const std::int8_t* numbers = column_loops::numbers_of(query, column);
      for (std::size_t row = 0; row < column_loops::kRows; ++row)
        for (std::size_t i = 0; i < 4; ++i) dots[row] += (group[4 * row + i] & 15) * numbers[i] + (group[4 * row + i] >> 4) * numbers[64 + i];
    }
  }
};

}  // namespace

void add_columns_scalar(Kernels& table) { table.code_column_scores = column_loops::code_column_scores<Portable>; }

}  // namespace vicino
