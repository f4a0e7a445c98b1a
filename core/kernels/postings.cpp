#include "kernels/postings.h"

#include "kernels/postings_loops.h"

namespace vicino {

namespace {

struct ScalarPostings {};

template <class Sum>
std::size_t take(Sum* sums, std::size_t count, Sum bound, const std::uint64_t* allowed, std::uint32_t* out, Sum* out_sums) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += 64) {
    std::uint64_t mask = 0;
    for (std::size_t k = 0; k < 64; ++k) mask |= std::uint64_t{sums[i + k] >= bound} << k;
    if (allowed) mask &= allowed[i / 64];
    found = loops::append_sums<ScalarPostings>(mask, static_cast<std::uint32_t>(i), sums + i, out, out_sums, found);
    for (std::size_t k = 0; k < 64; ++k) sums[i + k] = 0;
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
  table.take_sums = take<std::uint32_t>;
  table.take_bounds = take<std::uint16_t>;
  table.row_sums = row_sums;
}

}  // namespace vicino
