#include "index/scan.h"

#include <algorithm>
#include <bit>

namespace vicino {

namespace {

// Rows scored between two looks at the clock, as bytes: a core reads about a quarter of a mebibyte in well under a tenth of a millisecond.
constexpr std::size_t kTileBytes = 256 * 1024;
constexpr std::uint32_t kTileRowsMax = 4096;

std::uint32_t tile_rows(const VectorBlock& block) {
  const std::size_t size = std::max<std::size_t>(1, row_bytes(block.dtype, block.dim));
  const std::size_t rows = std::clamp<std::size_t>(kTileBytes / size, 64, kTileRowsMax);
  return static_cast<std::uint32_t>(rows / 64 * 64);  // whole words of the bitmap
}

/// Rows of [first, first + count) whose bit is set; first is a multiple of 64.
void collect_allowed(const std::uint64_t* allowed, std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& rows) {
  rows.clear();
  for (std::uint32_t start = 0; start < count; start += 64) {
    std::uint64_t word = allowed[(first + start) / 64];
    if (count - start < 64) word &= (std::uint64_t{1} << (count - start)) - 1;
    for (; word; word &= word - 1) rows.push_back(first + start + static_cast<std::uint32_t>(std::countr_zero(word)));
  }
}

/// Offers a tile of distances. Most rows lose against the bound, so that test comes first and touches nothing else.
template <class RowOf>
void offer(std::span<const float> distances, RowOf row_of, TopK& nearest) {
  for (std::size_t i = 0; i < distances.size(); ++i)
    if (distances[i] <= nearest.bound()) nearest.offer({distances[i], row_of(i)});
}

}  // namespace

void scan(const PreparedQuery& query, const VectorBlock& block, std::uint64_t first_row, const std::uint64_t* allowed, TopK& nearest,
          const Cancel& cancel) {
  scan_batch({&query, 1}, block, first_row, allowed, {&nearest, 1}, cancel);
}

void scan_batch(std::span<const PreparedQuery> queries, const VectorBlock& block, std::uint64_t first_row, const std::uint64_t* allowed,
                std::span<TopK> nearest, const Cancel& cancel) {
  const std::uint32_t tile = tile_rows(block);
  std::vector<float> distances(tile);
  std::vector<std::uint32_t> rows;
  // Every query scores a tile while it is in the cache, then the next tile is read. 64-bit on purpose: a tile past the last row of a
  // large block must not wrap.
  for (std::uint64_t start = 0; start < block.rows; start += tile) {
    const auto first = static_cast<std::uint32_t>(start);
    const std::uint32_t count = std::min(tile, block.rows - first);
    if (allowed) collect_allowed(allowed, first, count, rows);
    // A full tile is read in order even under a bitmap; any gap makes skipping worthwhile, with rows asked for ahead of their turn.
    const bool whole = !allowed || rows.size() == count;
    if (!whole && rows.empty()) {
      cancel.check();
      continue;
    }
    for (std::size_t q = 0; q < queries.size(); ++q) {
      cancel.check();
      if (whole) {
        queries[q].distances(block, first, count, distances.data());
        offer({distances.data(), count}, [&](std::size_t i) { return first_row + first + i; }, nearest[q]);
      } else {
        queries[q].distances_at(block, rows, distances.data());
        offer({distances.data(), rows.size()}, [&](std::size_t i) { return first_row + rows[i]; }, nearest[q]);
      }
    }
  }
}

}  // namespace vicino
