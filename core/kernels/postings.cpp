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

std::size_t take_sums(std::uint16_t* sums, std::size_t count, std::uint16_t bound, const std::uint64_t* allowed, std::uint32_t* out, std::uint16_t* out_sums) {
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
  table.collect_at_least = collect_at_least;
  table.take_sums = take_sums;
  table.row_sums = row_sums;
}

}  // namespace vicino
