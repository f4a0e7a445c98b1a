// Cuts a set of nodes into leaves of near neighbors by recursive ball carving: every node joins its nearest of a few randomly drawn
// leaders, and sets that are still too large are cut again. Several partitions from different seeds, together, put almost every pair of
// near neighbors into a common leaf (the idea of PiPNN, arXiv 2602.21247).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/build_space.h"

namespace vicino {

/// Groups of nodes; a node may be in several.
struct Leaves {
  std::vector<std::uint32_t> members;     // ascending inside a leaf
  std::vector<std::uint32_t> starts{0};   // leaf i is members[starts[i] .. starts[i + 1])

  std::size_t size() const { return starts.size() - 1; }
  std::span<const std::uint32_t> operator[](std::size_t leaf) const {
    return std::span(members).subspan(starts[leaf], starts[leaf + 1] - starts[leaf]);
  }
};

struct CarveParams {
  std::uint32_t leaf_max = 1024;
  std::uint32_t overlap = 2;  // leaders a node joins at the first level; one at deeper levels
  std::uint64_t seed = 0;
};

/// Every node is in at least one leaf, none holds more than leaf_max. Does not depend on the number of threads.
Leaves carve(const BuildSpace& space, std::span<const std::uint32_t> nodes, const CarveParams& params, unsigned threads, const Cancel& cancel);

/// All nodes in the order in which leaves first name them: near ones lie near each other.
std::vector<std::uint32_t> leaf_order(const Leaves& leaves, std::uint32_t n_nodes);

}  // namespace vicino
