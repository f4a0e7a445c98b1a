// The entries of a graph in groups of near ones: a walk asks a few groups which entry is nearest, instead of every entry.
//
// A graph has about the square root of its nodes for entries, and a narrow walk scores hardly more nodes than these. So each group has a head,
// the entry nearest to its mean; a walk scores all heads and then the members of the groups whose heads are nearest. Half of the
// heads begin as far apart as entries lie, so that a cluster apart from all others has one of its own. Derived from the codes of the entries when a graph is
// copied into memory; no file has them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/graph_codes.h"

namespace vicino {

class EntryGroups {
 public:
  /// Whether so many entries with such codes are better asked by groups.
  static bool are_worthwhile(const GraphCodes& codes, std::uint32_t n_entries);
  /// Of nodes 0 to n_entries, at least one.
  EntryGroups(const GraphCodes& codes, std::uint32_t n_entries);

  std::span<const std::uint32_t> heads() const { return heads_; }
  /// Of the group of heads()[group], which is one of them.
  std::span<const std::uint32_t> members(std::size_t group) const {
    return std::span(members_).subspan(starts_[group], starts_[group + 1] - starts_[group]);
  }

 private:
  std::vector<std::uint32_t> heads_, members_, starts_;
};

}  // namespace vicino
