// How near the nearest of many are, without sorting them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vicino {

/// A bound that `wanted` of the values, at most as many as columns, do not exceed, and not many more: of values written in lines of so many
/// columns, as many columns as are wanted have their smallest within it. Infinite where there is not one line, or too few numbers.
template <std::size_t columns>
float bound_of_smallest(std::span<const float> values, std::size_t wanted) {
  float smallest[columns];
  std::ranges::fill(smallest, __builtin_inff());
  for (std::size_t i = 0; i + columns <= values.size(); i += columns)
    for (std::size_t column = 0; column < columns; ++column) smallest[column] = values[i + column] < smallest[column] ? values[i + column] : smallest[column];
  std::ranges::nth_element(smallest, smallest + (wanted - 1));
  return smallest[wanted - 1];
}

struct SmallestKeys {
  std::size_t count = 0;    // of the keys that were left
  std::uint64_t bound = 0;  // none of these is above it, none of the others below
};
/// Leaves the `wanted` smallest of more keys in front of the others, and at most as many again: mostly few, since exactly so many take four times as
/// long to find. In no order; what is behind them may be lost.
SmallestKeys leave_smallest(std::span<std::uint64_t> keys, std::size_t wanted);

}  // namespace vicino
