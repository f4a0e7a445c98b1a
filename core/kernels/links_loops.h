// What the kernels of links share: taking one node after the other, without branches on whether it was there already.
#pragma once
#include "kernels/table.h"

namespace vicino::link_loops {

/// Writes the node to nodes[size] and returns the next free place: the same when the node's bit was set.
static inline std::size_t take(std::uint32_t node, std::uint32_t place, const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes,
                               std::uint32_t* places, std::size_t size) {
  const std::uint32_t word = met[node >> 5];
  nodes[size] = node;
  places[size] = place;
  met[node >> 5] = word | std::uint32_t{1} << (node & 31);
  // To the second cache only: there more lines may be on their way at once.
  const std::uint8_t* code = slots.codes + node * slots.stride;
  for (std::size_t line = 0; line < slots.stride; line += 64) __builtin_prefetch(code + line, 0, 2);
  return size + (~word >> (node & 31) & 1);
}

/// Slots from `first` on, one after the other.
static inline LinksTaken take_slots(const LinkSlots& slots, std::size_t first, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* places,
                                    std::size_t size) {
  std::size_t used = first;
  for (; used < slots.count && slots.nodes[used] < slots.n_nodes; ++used)
    size = take(slots.nodes[used], static_cast<std::uint32_t>(used), slots, met, nodes, places, size);
  return {used, size};
}

}  // namespace vicino::link_loops
