// Rows of one vector as a search finds them in memory, with the 1-bit codes of those that have them.
#pragma once
#include <cstdint>
#include <memory>

#include "codes/ladder.h"
#include "kernels/vectors.h"

namespace vicino {

/// Codes of the first `rows` rows of a chunk, a multiple of 32, in blocks as Ladder::encode_block makes them. Null: there are none.
struct BlockCodes {
  const Ladder* ladder = nullptr;
  const std::uint8_t* blocks = nullptr;
  std::uint32_t rows = 0;
  std::shared_ptr<const void> owner{};  // of blocks that may be given up while they are read; null: whoever has the chunk has them
};

/// Consecutive rows of one vector column that lie contiguous in memory; `first_row` is a multiple of 64.
struct Chunk {
  VectorBlock block;
  std::uint32_t first_row;
  BlockCodes codes{};
};

}  // namespace vicino
