#include "index/smallest_bound.h"

#include <array>

#include "kernels/dispatch.h"

namespace vicino {

namespace {

// Keys drawn to tell where the smallest end, and the place among them beyond their share: so that seldom too few are left.
constexpr std::size_t kDrawn = 32, kDrawnMore = 3;

}  // namespace

SmallestKeys leave_smallest(std::span<std::uint64_t> keys, std::size_t wanted) {
  std::array<std::uint64_t, kDrawn> drawn;
  for (std::size_t i = 0; i < kDrawn; ++i) drawn[i] = keys[i * keys.size() / kDrawn];
  kernels().sort_keys(drawn.data(), kDrawn);
  const std::uint64_t bound = drawn[std::min(wanted * kDrawn / keys.size() + kDrawnMore, kDrawn - 1)];
  std::size_t count = 0;
  for (const std::uint64_t key : keys) count += key <= bound;
  if (count < wanted || count > 2 * wanted) {
    std::ranges::nth_element(keys, keys.begin() + static_cast<std::ptrdiff_t>(wanted - 1));
    return {wanted, keys[wanted - 1]};
  }
  // Left or not is a toss for the processor's guesses, so all are written and the next one overwrites what is not.
  std::size_t at = 0;
  for (const std::uint64_t key : keys) {
    keys[at] = key;
    at += key <= bound;
  }
  return {count, bound};
}

}  // namespace vicino
