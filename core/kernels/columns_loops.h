// Codes of 16 rows side by side, four bytes of each in a column of 64: a register takes the same bytes of all rows at once, and their products
// with four numbers of the query are added where they stand. Rows one after another, as they lie in a plane, have to be summed across lanes at
// their end, which takes as long as multiplying the few hundred dimensions of usual vectors.
//
//   group   row_bytes / 4 columns of 64 bytes: bytes 4 c to 4 c + 3 of row r at 4 r of column c
//           16 adds, 16 scales, float32
//
// An instruction set is a struct in an anonymous namespace that offers `dots`: of 16 rows with a query. It asks for what lies so many bytes ahead.
#pragma once
#include "kernels/table.h"

namespace vicino::column_loops {

constexpr std::size_t kRows = kCodeColumnRows, kColumn = 4 * kRows, kColumnsPerLine = 16;

// How far ahead of their turn codes are asked for, bytes. They are one stream, but of one filter after another, so they often come from memory, and by
// itself a processor asks for the rest of a page at most.
constexpr std::size_t kAhead = 8192;

/// The four numbers of the query that go with the low nibbles of a column; those of the high ones come 64 later.
static inline const std::int8_t* numbers_of(const std::int8_t* query, std::size_t column) {
  return query + column / kColumnsPerLine * 128 + column % kColumnsPerLine * 4;
}

/// As the other kernels of codes turn products into distances, to the bit.
template <class Isa>
void code_column_scores(const CodeQuery& query, const std::uint8_t* groups, std::size_t n_groups, std::size_t n_behind, float* out) {
  constexpr float largest = 3.40282347e38f;
  const std::size_t columns = query.row_bytes / 4, group_bytes = columns * kColumn + 2 * kRows * sizeof(float);
  for (std::size_t group = 0; group < n_groups; ++group, out += kRows) {
    std::int32_t dots[kRows];
    float adds[kRows], scales[kRows];
    const std::size_t ahead = (n_groups - group - 1 + n_behind) * group_bytes < kAhead ? 0 : kAhead;
    Isa::dots(groups, query.codes, columns, ahead, dots);
    __builtin_prefetch(groups + columns * kColumn + ahead);
    __builtin_prefetch(groups + columns * kColumn + ahead + sizeof adds);
    __builtin_memcpy(adds, groups + columns * kColumn, sizeof adds);
    __builtin_memcpy(scales, groups + columns * kColumn + sizeof adds, sizeof scales);
    groups += group_bytes;
    for (std::size_t i = 0; i < kRows; ++i) {
      const float distance = (query.base + query.along * adds[i]) + (query.slope * scales[i]) * static_cast<float>(2 * dots[i] - query.offset);
      out[i] = distance < largest ? distance : largest;  // in this order a NaN becomes the largest, too
    }
  }
}

}  // namespace vicino::column_loops
