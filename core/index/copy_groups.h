// Rows that one node of the graph stands for: copies of its own row, and rows so near it that the codes of the build cannot tell them apart.
//
// Near copies by the hundred would fill the candidate lists of everything around them, link only to each other, and in an order that is
// noise. One of them stands in the graph for all; a search that comes near it scores the others on the rows themselves. So their number
// costs time where they are asked for, and harms no one else.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/build_space.h"
#include "index/candidates.h"
#include "kernels/vectors.h"
#include "util/cancel.h"

namespace vicino {

struct Copy {
  std::uint32_t representative;
  bool is_near;  // false: byte for byte the same
  std::uint32_t row;
  auto operator<=>(const Copy&) const = default;
};

struct CopyGroups {
  std::vector<std::uint32_t> representatives;  // one row per node, ascending
  std::vector<Copy> copies;                    // ascending
};

/// Groups rows that are byte for byte the same; the first of each stands for all.
CopyGroups group_equal_rows(const VectorBlock& block, std::span<const std::uint32_t> rows, const Cancel& cancel);

/// Whether most of what a node would link to are near copies of it. `candidates` ascend.
bool is_crowded(const BuildSpace& space, std::uint32_t node, std::span<const CandidateKey> candidates);

/// Gathers the crowded nodes around some of them. False when no two are near each other; else `groups` has fewer representatives, those
/// of a new space. Does not depend on the number of threads.
bool group_near_copies(const BuildSpace& space, std::span<const std::uint32_t> crowded, std::uint32_t leaf, std::uint64_t seed,
                       unsigned threads, const Cancel& cancel, CopyGroups& groups);

}  // namespace vicino
