#include "kernels/sorting.h"

#include <algorithm>
#include <cstring>

#include "kernels/walk_keys.h"

namespace vicino {

namespace {

constexpr std::size_t kAtOnce = 64;  // keys merged together

std::size_t collect_keys(const float* distances, const std::uint32_t* nodes, std::size_t count, float bound, std::uint64_t* keys) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    keys[total] = walk_key(distances[i], nodes ? nodes[i] : static_cast<std::uint32_t>(i));
    total += distances[i] <= bound;
  }
  return total;
}

/// A handful of keys is sorted faster by moving each to its place than by a general algorithm.
void sort_few(std::uint64_t* keys, std::size_t count) {
  for (std::size_t i = 1; i < count; ++i) {
    const std::uint64_t key = keys[i];
    std::size_t at = i;
    for (; at > 0 && keys[at - 1] > key; --at) keys[at] = keys[at - 1];
    keys[at] = key;
  }
}

/// Few keys a few places on: a call of memmove would take longer than its work.
void move_up(std::uint64_t* keys, std::size_t count, std::size_t by) {
  constexpr std::size_t together = 8;
  for (; count >= together; count -= together) {
    std::uint64_t moved[together];
    std::memcpy(moved, keys + count - together, sizeof moved);
    std::memcpy(keys + count - together + by, moved, sizeof moved);
  }
  while (count-- > 0) keys[count + by] = keys[count];
}

/// The ranks of all keys are found side by side, and what lies behind them moves only once.
std::size_t merge_few(std::uint64_t* pool, std::size_t size, std::uint64_t* keys, std::size_t count) {
  sort_few(keys, count);
  std::size_t ranks[kAtOnce];
  for (std::size_t i = 0; i < count; ++i) ranks[i] = rank_of_key(keys[i], pool, size);
  std::size_t end = size;  // of what has not moved yet
  for (std::size_t i = count; i-- > 0;) {
    move_up(pool + ranks[i], end - ranks[i], i + 1);
    pool[ranks[i] + i] = keys[i];
    end = ranks[i];
  }
  return ranks[0];
}

}  // namespace

void sort_keys_scalar(std::uint64_t* keys, std::size_t count) { std::sort(keys, keys + count); }

std::size_t merge_keys_scalar(std::uint64_t* pool, std::size_t size, std::uint64_t* keys, std::size_t count) {
  std::size_t first = size;
  for (std::size_t done = 0; done < count; done += kAtOnce) {
    const std::size_t n = std::min(kAtOnce, count - done);
    first = std::min(first, merge_few(pool, size + done, keys + done, n));
  }
  return first;
}

void add_sorting_scalar(Kernels& table) {
  table.sort_keys = sort_keys_scalar;
  table.collect_keys = collect_keys;
  table.merge_keys = merge_keys_scalar;
}

}  // namespace vicino
