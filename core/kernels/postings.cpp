#include "kernels/postings.h"

#include "kernels/postings_loops.h"

namespace vicino {

namespace {

struct ScalarPostings {};

std::size_t collect_at_least(const std::uint32_t* values, std::size_t count, std::uint32_t bound, std::uint32_t* out) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out[found] = static_cast<std::uint32_t>(i);
    found += values[i] >= bound;
  }
  return found;
}

void row_sums(std::uint32_t* gaps, std::size_t count, std::uint32_t first) {
  for (std::size_t i = 0; i < count; ++i) {
    gaps[i] += first;
    first = gaps[i] + 1;
  }
}

}  // namespace

void add_postings_scalar(Kernels& table) {
  table.text_shares = loops::text_shares<ScalarPostings>;
  table.weight_shares = loops::weight_shares<ScalarPostings>;
  table.collect_at_least = collect_at_least;
  table.row_sums = row_sums;
}

}  // namespace vicino
