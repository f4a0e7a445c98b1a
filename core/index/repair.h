// Makes every node findable after pruning.
//
// Pruning can leave a node with few links to it or none, above all inside a dense blob, whose nodes all name the same few central ones.
// Three steps, each for what the one before left over:
//   rescue       nodes with few links to or from them are partitioned again among themselves and linked to each other, besides their
//                nearest old links
//   in-link floor  every node gets at least two in-links, from nodes it links to itself
//   reach        a breadth-first walk from the entry; a part that is not reached gets a link from the nearest node that is, in place of
//                one the walk did not use, so that nothing reached is lost
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/build_space.h"

namespace vicino {

/// Links of all nodes at a fixed stride; `kFree` fills the end of each list.
class LinkTable {
 public:
  static constexpr std::uint32_t kFree = 0xffffffff;
  LinkTable(std::span<std::uint32_t> slots, std::uint32_t stride) : slots_(slots), stride_(stride) {}

  std::uint32_t n_nodes() const { return static_cast<std::uint32_t>(slots_.size() / stride_); }
  std::uint32_t stride() const { return stride_; }
  std::span<std::uint32_t> slots(std::uint32_t node) const { return slots_.subspan(static_cast<std::size_t>(node) * stride_, stride_); }
  /// The links of a node without the free end.
  std::span<std::uint32_t> operator[](std::uint32_t node) const;
  void set(std::uint32_t node, std::span<const std::uint32_t> links) const;

 private:
  std::span<std::uint32_t> slots_;
  std::uint32_t stride_;
};

struct RepairParams {
  std::uint64_t seed = 0;
  float alpha = 1.2f;
  unsigned threads = 1;
};

void rescue(const BuildSpace& space, LinkTable links, const RepairParams& params, const Cancel& cancel);
void raise_in_links(LinkTable links);
/// Afterwards every node is reachable from entries[0]. The entries are tried first as places for a link.
void make_reachable(const BuildSpace& space, LinkTable links, std::span<const std::uint32_t> entries);

}  // namespace vicino
