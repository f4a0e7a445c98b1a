// The codes of some nodes of a graph copied together, as a scan reads them fastest: in the order in which it reads them, column by column.
//
// The codes of the nodes that match a filter lie all over the graph's. However early they are asked for, each is a line or two at a random
// place, and its factors another line, of which four bytes are wanted. Where the same nodes are scanned again and again, a copy in groups of 16
// (kernels/columns_loops.h) is read as one stream and summed without a step across lanes. The distances are the same, to the bit: a row of
// 384 dimensions takes a third of the time. So are the codes of a graph's entries, where every walk scores all of them.
//
// Packed codes take memory: those of one graph a quarter more than its codes, and at most 32 MB. That counts as memory of the graph. Where no
// more may be taken, nothing is packed.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "index/graph_codes.h"

namespace vicino {

class PackedCodes {
 public:
  /// Packs the codes of these nodes, which are in range. Null where packed codes take as much as they may, or memory is short.
  static std::shared_ptr<const PackedCodes> make(std::shared_ptr<const GraphCodes> codes, std::span<const std::uint32_t> nodes);
  PackedCodes(const PackedCodes&) = delete;
  PackedCodes& operator=(const PackedCodes&) = delete;
  ~PackedCodes();

  /// Row i of these groups is the i-th node.
  const std::uint8_t* groups() const { return groups_; }

 private:
  PackedCodes(std::shared_ptr<const GraphCodes> codes, std::size_t taken) : codes_(std::move(codes)), taken_(taken) {}
  void pack(std::span<const std::uint32_t> nodes);

  std::shared_ptr<const GraphCodes> codes_;
  std::size_t taken_;  // of what packed codes may take
  std::shared_ptr<std::uint8_t[]> memory_;
  const std::uint8_t* groups_ = nullptr;
};

}  // namespace vicino
