// The codes of some nodes of a graph copied side by side, in the order in which a scan reads them.
//
// The codes of the nodes that match a filter lie all over the graph's. However early they are asked for, each is a line or two at a random
// place, and its factors another line, of which four bytes are wanted. Where the same nodes are scanned again and again, a copy without gaps
// is read as one stream, and that of five thousand nodes stays in the second cache: a row of 384 dimensions takes 4.3 ns instead of 7.
//
// Copies take memory: those of one graph at most as much as its codes, which is one copy of every node, and at most 32 MB. What they take
// counts as memory of the graph; where no more may be taken, there is no copy.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "index/graph_codes.h"

namespace vicino {

class PackedCodes {
 public:
  /// Copies the codes of these nodes, which are in range. Null where copies take as much as they may, or memory is short.
  static std::shared_ptr<const PackedCodes> make(std::shared_ptr<const GraphCodes> codes, std::span<const std::uint32_t> nodes);
  PackedCodes(const PackedCodes&) = delete;
  PackedCodes& operator=(const PackedCodes&) = delete;
  ~PackedCodes();

  /// Code i is that of the i-th node.
  const CodeView& view() const { return view_; }
  std::size_t size() const { return view_.rows; }

 private:
  PackedCodes(std::shared_ptr<const GraphCodes> codes, std::size_t taken) : codes_(std::move(codes)), taken_(taken) {}
  void copy(std::span<const std::uint32_t> nodes);

  std::shared_ptr<const GraphCodes> codes_;
  std::size_t taken_;  // of what copies of these codes may take
  std::shared_ptr<std::uint8_t[]> memory_;
  CodeView view_;
};

}  // namespace vicino
