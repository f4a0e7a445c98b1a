// The keys that distances are ordered by, and a walk over a graph orders nodes by, as portable code. Not for the wide units: see table.h.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

namespace vicino {

/// Unsigned numbers that are ordered as the floats are; both zeros give the same.
inline std::uint32_t ordered_bits(float distance) {
  const auto bits = std::bit_cast<std::uint32_t>(distance + 0.0f);  // -0 becomes 0
  return bits ^ (static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31) | 0x80000000u);
}
inline float distance_of_bits(std::uint32_t ordered) { return std::bit_cast<float>(ordered & 0x80000000u ? ordered ^ 0x80000000u : ~ordered); }

/// A distance and a node, ordered by both; the lowest bit is free for a flag.
using WalkKey = std::uint64_t;

inline WalkKey walk_key(float distance, std::uint32_t node) {
  return static_cast<WalkKey>(ordered_bits(distance)) << 32 | static_cast<WalkKey>(node) << 1;
}
inline float walk_distance(WalkKey key) { return distance_of_bits(static_cast<std::uint32_t>(key >> 32)); }
inline std::uint32_t walk_node(WalkKey key) { return static_cast<std::uint32_t>(key) >> 1; }

/// How many of the ascending keys are smaller: halving without branches, since nobody could predict them. A mask, as compilers make a branch of a
/// choice.
inline std::size_t rank_of_key(WalkKey key, const WalkKey* keys, std::size_t size) {
  const WalkKey* at = keys;
  for (std::size_t n = size; n > 0;) {
    const std::size_t half = (n + 1) / 2;
    at += half & (std::size_t{0} - static_cast<std::size_t>(at[half - 1] < key));
    n -= half;
  }
  return static_cast<std::size_t>(at - keys);
}

}  // namespace vicino
