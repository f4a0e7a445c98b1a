// How the rows of a head are cut into chunks that never move.
//
// Sizes grow 64, 64, 128, … 2048, then 4096, 4096, …: an almost empty collection holds kilobytes, a full head large contiguous blocks.
#pragma once
#include <bit>
#include <cstdint>
#include <memory>

#include "codes/ladder.h"

namespace vicino {

constexpr std::uint32_t kFirstChunk = 64, kFullChunk = 4096, kGrowingChunks = 7;  // 64 + 64 + 128 + … + 2048 = 4096 rows

constexpr std::uint32_t chunk_number(std::uint32_t row) {
  if (row >= kFullChunk) return row / kFullChunk + kGrowingChunks - 1;
  return static_cast<std::uint32_t>(std::bit_width(row / kFirstChunk));
}
constexpr std::uint32_t chunk_start(std::uint32_t chunk) {
  if (chunk >= kGrowingChunks) return (chunk - kGrowingChunks + 1) * kFullChunk;
  return chunk == 0 ? 0 : kFirstChunk << (chunk - 1);
}
constexpr std::uint32_t chunk_capacity(std::uint32_t chunk) {
  if (chunk >= kGrowingChunks) return kFullChunk;
  return chunk == 0 ? kFirstChunk : kFirstChunk << (chunk - 1);
}

/// One vector of the rows of one chunk.
struct ColumnChunk {
  std::shared_ptr<std::uint8_t[]> rows;  // null: no row of the chunk has this vector
  std::shared_ptr<float[]> norms;
  std::shared_ptr<const Ladder> ladder;  // of the codes; null: there are none
  std::shared_ptr<std::uint8_t[]> codes;
};

}  // namespace vicino
