// The nested code of the rows of inverted lists, in the order of the lists: 1-bit codes in blocks for a first look at all rows of a list, and
// 4-bit codes for those whose bound leaves a chance. Trained on a sample of all rows, not on what the centroids leave over: a query is made ready
// once, and so few rows are rescored that there is little left to save (docs/design/0009-ivf.md).
//
//   header 64   u64 bytes of the ladder, u64 entries, u32 format of the factors, f32 unit of `add`, f32 unit of `scale`, zeros
//   ladder      Ladder::to_bytes
//   high, factors, blocks   as in codes/ladder.h, one an entry
// Each part starts at a multiple of 64.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codes/ladder.h"
#include "ivf/planned_codes.h"

namespace vicino {

class ListCodes {
 public:
  /// Throws InvalidArgument for rows and metrics that have no codes. What is given must outlive the plan.
  static std::unique_ptr<PlannedCodes> plan(const VectorBlock& block, std::span<const std::uint32_t> entries, Metric metric, std::uint64_t seed,
                                            unsigned threads, const Cancel& cancel);
  /// Upper bound of the memory that planning and writing take, what is written not.
  static std::size_t build_bytes(std::size_t entries, std::uint32_t dim, Dtype dtype);
  /// Throws CorruptionError unless the bytes are the codes of so many entries. They must outlive the codes.
  static std::shared_ptr<const ListCodes> open(Bytes bytes, std::size_t n_entries);

  const Ladder& ladder() const { return ladder_; }
  const CodeView& view() const { return view_; }
  std::size_t hot_bytes() const { return hot_bytes_; }
  /// Asks for the codes of these entries before they are read.
  void read_ahead(std::size_t first, std::size_t count) const;

 private:
  Ladder ladder_;
  CodeView view_;
  std::size_t hot_bytes_ = 0;
};

}  // namespace vicino
