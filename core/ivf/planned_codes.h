// Codes of the entries of inverted lists about to be written: what they take is known before the first of them is made, so that an index of any
// size is written front to back with a bounded part of it in memory.
#pragma once
#include <cstddef>

#include "util/piece_writer.h"

namespace vicino {

class PlannedCodes {
 public:
  virtual ~PlannedCodes() = default;
  virtual std::size_t size() const = 0;
  /// Makes and writes `size` bytes, once. Throws Cancelled.
  virtual void write(PieceWriter& out) = 0;
};

}  // namespace vicino
