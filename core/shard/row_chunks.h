// How rows are cut into chunks: those of a head, which never move, and codes of rows that nothing is built over yet.
//
// Sizes grow 64, 64, 128, … 2048, then 4096, 4096, …: an almost empty collection holds kilobytes, a full head large contiguous blocks.
#pragma once
#include <bit>
#include <cstdint>

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

}  // namespace vicino
