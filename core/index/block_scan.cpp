#include "index/block_scan.h"

#include <algorithm>
#include <limits>

#include "index/smallest_bound.h"
#include "kernels/dispatch.h"
#include "kernels/walk_keys.h"

namespace vicino {

namespace {

constexpr std::uint32_t kTileRows = 512, kTilesPerCheck = 16;
// So many times the error bound, which 99 % of the estimates keep, a row's distance may lie from its estimate: at one time a neighbor of
// a thousand was lost on real queries, at this none (docs/design/0013-head.md).
constexpr float kErrors = 1.25f;
// Rows scored before the distance to beat is looked at again.
constexpr std::size_t kRowsAtOnce = 32;
// Seeds beside the k: with them the distance to beat is all but final, which saves reading a fifth of the rows.
constexpr std::size_t kMoreSeeds = 16;
constexpr std::size_t kKeptRows = std::size_t{1} << 18;  // memory for more rows is given back
constexpr float kLargest = std::numeric_limits<float>::max(), kNever = std::numeric_limits<float>::infinity();
constexpr std::size_t kColumns = 32;

BlockScanMemory& memory_of_thread() {
  static thread_local BlockScanMemory memory;
  return memory;
}

std::uint64_t seed_key(float distance, std::uint32_t row) { return std::uint64_t{ordered_bits(distance)} << 32 | row; }
float seed_distance(std::uint64_t key) { return distance_of_bits(static_cast<std::uint32_t>(key >> 32)); }

/// A distance that at least `wanted` of these do not exceed, and not many more.
float bound_of(std::span<const float> distances, std::size_t wanted) {
  return wanted > kColumns ? kLargest : std::min(bound_of_smallest<kColumns>(distances, wanted), kLargest);
}

}  // namespace

BlockScan::BlockScan(std::span<const Chunk> chunks, const std::uint64_t* allowed, std::uint64_t first_row)
    : chunks_(chunks), allowed_(allowed), first_row_(first_row), memory_(memory_of_thread()) {
  const std::size_t n = chunks.empty() ? 0 : std::size_t{chunks.back().first_row} + chunks.back().block.rows;
  std::uint32_t most = kTileRows;
  for (const Chunk& chunk : chunks) most = std::max(most, chunk.codes.rows);
  if (memory_.least.capacity() > kKeptRows && n <= kKeptRows) memory_.least = {};
  if (memory_.least.size() < n) memory_.least.resize(n);
  memory_.found.resize(most + kCollectSlack);
}

void BlockScan::search(const PreparedQuery& query, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
  for (const Chunk& chunk : chunks_) score_uncoded(query, chunk, nearest, stats);
  n_seeds_ = nearest.k() + kMoreSeeds;
  seeds_bound_ = kLargest;
  memory_.seeds.clear();
  estimate(query, stats, cancel);
  score_seeds(query, nearest, stats);
  for (const Chunk& chunk : chunks_) score_survivors(query, chunk, nearest, stats, cancel);
}

void BlockScan::estimate(const PreparedQuery& query, SearchStats& stats, const Cancel& cancel) {
  const Ladder* prepared = nullptr;
  for (const Chunk& chunk : chunks_) {
    if (!chunk.codes.rows) continue;
    if (chunk.codes.ladder != prepared) {
      prepared = chunk.codes.ladder;
      prepared->prepare(static_cast<const float*>(query.values()), memory_.state);
      prepared->prepare_scan(memory_.state);
    }
    for (std::uint32_t first = 0; first < chunk.codes.rows; first += kTileRows) {
      if (first / kTileRows % kTilesPerCheck == 0) cancel.check();
      estimate_tile(chunk, first, std::min(kTileRows, chunk.codes.rows - first), stats);
    }
  }
}

void BlockScan::estimate_tile(const Chunk& chunk, std::uint32_t first, std::uint32_t count, SearchStats& stats) {
  const Ladder& ladder = *chunk.codes.ladder;
  const std::uint8_t* blocks = chunk.codes.blocks + first / kCodeBlockRows * ladder.block_bytes();
  const std::uint32_t first_row = chunk.first_row + first, n_blocks = count / kCodeBlockRows;
  float most[kTileRows];
  float* least = memory_.least.data() + first_row;
  std::uint32_t rows[kTileRows / kCodeBlockRows];  // of each block, those that are allowed
  for (std::uint32_t block = 0; block < n_blocks; ++block) rows[block] = allowed_rows(first_row + block * kCodeBlockRows);
  for (std::uint32_t block = 0, end; block < n_blocks; block = end) {
    for (end = block + 1; end < n_blocks && !rows[end] == !rows[block];) ++end;
    const std::uint32_t at = block * kCodeBlockRows;
    if (rows[block]) ladder.scan_bounds(memory_.state, blocks + block * ladder.block_bytes(), end - block, kErrors, least + at, most + at);
  }
  for (std::uint32_t block = 0; block < n_blocks; ++block) {
    for (std::uint32_t absent = ~rows[block]; absent; absent &= absent - 1) {
      const std::uint32_t at = block * kCodeBlockRows + static_cast<std::uint32_t>(std::countr_zero(absent));
      least[at] = most[at] = kNever;
    }
    stats.rows_scored += static_cast<std::uint64_t>(std::popcount(rows[block]));
  }
  take_seeds(most, count, first_row);
}

/// Without a heap: what it decides row by row, no processor guesses.
void BlockScan::take_seeds(const float* most, std::uint32_t count, std::uint32_t first_row) {
  const float bound = memory_.seeds.empty() ? bound_of({most, count}, n_seeds_) : seeds_bound_;
  const std::size_t n = kernels().collect_at_most(most, count, bound, memory_.found.data());
  for (std::size_t i = 0; i < n; ++i) memory_.seeds.push_back(seed_key(most[memory_.found[i]], first_row + memory_.found[i]));
  if (memory_.seeds.size() >= 2 * n_seeds_) cut_seeds();
}

void BlockScan::cut_seeds() {
  auto& seeds = memory_.seeds;
  if (seeds.size() <= n_seeds_) return;
  kernels().sort_keys(seeds.data(), seeds.size());
  seeds.resize(n_seeds_);
  seeds_bound_ = seed_distance(seeds.back());
}

void BlockScan::score(const PreparedQuery& query, const Chunk& chunk, std::span<const std::uint32_t> rows, TopK& nearest, SearchStats& stats) {
  memory_.distances.resize(std::max(memory_.distances.size(), rows.size()));
  query.distances_at(chunk.block, rows, memory_.distances.data());
  for (std::size_t i = 0; i < rows.size(); ++i) nearest.offer({memory_.distances[i], first_row_ + chunk.first_row + rows[i]});
  stats.rows_scored += rows.size();
  stats.rescored += rows.size();
}

void BlockScan::score_seeds(const PreparedQuery& query, TopK& nearest, SearchStats& stats) {
  cut_seeds();
  auto& seeds = memory_.seeds;
  for (std::uint64_t& seed : seeds) seed &= 0xffffffff;  // the row
  std::ranges::sort(seeds);
  auto seed = seeds.begin();
  for (const Chunk& chunk : chunks_) {
    memory_.rows.clear();
    for (; seed != seeds.end() && *seed < std::uint64_t{chunk.first_row} + chunk.block.rows; ++seed) {
      memory_.rows.push_back(static_cast<std::uint32_t>(*seed) - chunk.first_row);
      memory_.least[*seed] = kNever;  // done
    }
    score(query, chunk, memory_.rows, nearest, stats);
  }
}

void BlockScan::score_survivors(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
  const float* least = memory_.least.data() + chunk.first_row;
  const std::size_t n = kernels().collect_at_most(least, chunk.codes.rows, std::min(nearest.bound(), kLargest), memory_.found.data());
  for (std::size_t i = 0; i < n;) {
    cancel.check();
    memory_.rows.clear();
    // "<=": a row as far as the last one kept comes before it if its number is smaller.
    for (const float bound = nearest.bound(); i < n && memory_.rows.size() < kRowsAtOnce; ++i)
      if (least[memory_.found[i]] <= bound) memory_.rows.push_back(memory_.found[i]);
    score(query, chunk, memory_.rows, nearest, stats);
  }
}

void BlockScan::score_uncoded(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats) {
  memory_.rows.clear();
  for (std::uint32_t at = chunk.codes.rows; at < chunk.block.rows; ++at)
    if (allowed_rows(chunk.first_row + at / kCodeBlockRows * kCodeBlockRows) >> at % kCodeBlockRows & 1) memory_.rows.push_back(at);
  score(query, chunk, memory_.rows, nearest, stats);
}

}  // namespace vicino
