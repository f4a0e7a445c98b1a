// Columns of codes with NEON of the ARMv8 baseline: two rows are one register of products, widened to 16 bits and added in pairs to 32.
#include <arm_neon.h>

#include "kernels/columns.h"
#include "kernels/columns_loops.h"

namespace vicino {

namespace {

struct NeonColumns {
  static void dots(const std::uint8_t* group, const std::int8_t* query, std::size_t columns, std::size_t ahead, std::int32_t* dots) {
    constexpr std::size_t pairs = column_loops::kRows / 2;
    int32x4_t sums[pairs];  // two of each row
    for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
    for (std::size_t column = 0; column < columns; ++column, group += column_loops::kColumn) {
      __builtin_prefetch(group + ahead);
      const std::int8_t* numbers = column_loops::numbers_of(query, column);
      const int8x8_t low = four(numbers), high = four(numbers + 64);
      for (std::size_t i = 0; i < pairs; ++i) {
        const uint8x8_t codes = vld1_u8(group + 8 * i);
        // Two products of at most 15 * 127 fit into 16 bits.
        const int16x8_t products = vmlal_s8(vmull_s8(vreinterpret_s8_u8(vand_u8(codes, vdup_n_u8(15))), low), vreinterpret_s8_u8(vshr_n_u8(codes, 4)), high);
        sums[i] = vpadalq_s16(sums[i], products);
      }
    }
    for (std::size_t i = 0; i < pairs; i += 2) vst1q_s32(dots + 2 * i, vpaddq_s32(sums[i], sums[i + 1]));
  }

 private:
  /// Four numbers, twice.
  static int8x8_t four(const std::int8_t* numbers) {
    std::int32_t lane;
    __builtin_memcpy(&lane, numbers, sizeof lane);
    return vreinterpret_s8_s32(vdup_n_s32(lane));
  }
};

}  // namespace

void add_columns_neon(Kernels& table) { table.code_column_scores = column_loops::code_column_scores<NeonColumns>; }

}  // namespace vicino
