#include "index/block_scan.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace vicino {

namespace {

constexpr std::uint32_t kTileRows = 512, kTilesPerCheck = 16;
// So many times the error bound, which 99 % of the estimates keep, a row's distance may lie from its estimate.
constexpr float kErrors = 1.25f;
// Rows scored before the distance to beat is looked at again.
constexpr std::size_t kRowsAtOnce = 32;
constexpr float kLargest = std::numeric_limits<float>::max(), kNever = std::numeric_limits<float>::infinity();

}  // namespace

BlockScan::BlockScan(std::span<const Chunk> chunks, const std::uint64_t* allowed, std::uint64_t first_row)
    : chunks_(chunks), allowed_(allowed), first_row_(first_row) {
  const std::size_t n = chunks.empty() ? 0 : std::size_t{chunks.back().first_row} + chunks.back().block.rows;
  std::uint32_t most = 0;
  for (const Chunk& chunk : chunks) most = std::max(most, chunk.codes.rows);
  least_.assign(n, kNever);
  found_.resize(std::max(most, kTileRows) + kCollectSlack);
}

void BlockScan::search(const PreparedQuery& query, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
  for (const Chunk& chunk : chunks_) score_uncoded(query, chunk, nearest, stats);
  seeds_ = TopK(nearest.k());
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
      prepared->prepare(static_cast<const float*>(query.values()), state_);
      prepared->prepare_scan(state_);
    }
    for (std::uint32_t first = 0; first < chunk.codes.rows; first += kTileRows) {
      if (first / kTileRows % kTilesPerCheck == 0) cancel.check();
      estimate_tile(chunk, first, std::min(kTileRows, chunk.codes.rows - first), stats);
    }
  }
}

void BlockScan::estimate_tile(const Chunk& chunk, std::uint32_t first, std::uint32_t count, SearchStats& stats) {
  const Ladder& ladder = *chunk.codes.ladder;
  float estimates[kCodeBlockRows], errors[kCodeBlockRows], most[kTileRows];
  for (std::uint32_t at = 0; at < count; at += kCodeBlockRows) {
    const std::uint32_t row = chunk.first_row + first + at;
    const auto present = static_cast<std::uint32_t>(allowed_word(row) >> row % 64);
    float* least = least_.data() + row;
    if (!present) {
      std::fill_n(least, kCodeBlockRows, kNever);
      std::fill_n(most + at, kCodeBlockRows, kNever);
      continue;
    }
    ladder.scan1(state_, chunk.codes.blocks + (first + at) / kCodeBlockRows * ladder.block_bytes(), estimates, errors);
    for (std::uint32_t i = 0; i < kCodeBlockRows; ++i) {
      const float low = estimates[i] - kErrors * errors[i];
      least[i] = low > -kLargest ? low : -kLargest;  // nothing is known of a row whose error is beyond the range of floats
      most[at + i] = estimates[i] + errors[i];
    }
    for (std::uint32_t absent = ~present; absent; absent &= absent - 1)
      least[std::countr_zero(absent)] = most[at + static_cast<std::uint32_t>(std::countr_zero(absent))] = kNever;
    stats.rows_scored += static_cast<std::uint64_t>(std::popcount(present));
  }
  const std::size_t n = kernels().collect_at_most(most, count, std::min(seeds_.bound(), kLargest), found_.data());
  for (std::size_t i = 0; i < n; ++i) seeds_.offer({most[found_[i]], std::uint64_t{chunk.first_row} + first + found_[i]});
}

void BlockScan::score(const PreparedQuery& query, const Chunk& chunk, std::span<const std::uint32_t> rows, TopK& nearest, SearchStats& stats) {
  distances_.resize(std::max(distances_.size(), rows.size()));
  query.distances_at(chunk.block, rows, distances_.data());
  for (std::size_t i = 0; i < rows.size(); ++i) nearest.offer({distances_[i], first_row_ + chunk.first_row + rows[i]});
  stats.rows_scored += rows.size();
  stats.rescored += rows.size();
}

void BlockScan::score_seeds(const PreparedQuery& query, TopK& nearest, SearchStats& stats) {
  std::vector<Hit> seeds = std::move(seeds_).take_sorted();
  std::ranges::sort(seeds, {}, &Hit::row);
  auto seed = seeds.begin();
  for (const Chunk& chunk : chunks_) {
    rows_.clear();
    for (; seed != seeds.end() && seed->row < std::uint64_t{chunk.first_row} + chunk.block.rows; ++seed) {
      rows_.push_back(static_cast<std::uint32_t>(seed->row) - chunk.first_row);
      least_[seed->row] = kNever;  // done
    }
    score(query, chunk, rows_, nearest, stats);
  }
}

void BlockScan::score_survivors(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
  const float* least = least_.data() + chunk.first_row;
  const std::size_t n = kernels().collect_at_most(least, chunk.codes.rows, std::min(nearest.bound(), kLargest), found_.data());
  for (std::size_t i = 0; i < n;) {
    cancel.check();
    rows_.clear();
    // "<=": a row as far as the last one kept comes before it if its number is smaller.
    for (const float bound = nearest.bound(); i < n && rows_.size() < kRowsAtOnce; ++i)
      if (least[found_[i]] <= bound) rows_.push_back(found_[i]);
    score(query, chunk, rows_, nearest, stats);
  }
}

void BlockScan::score_uncoded(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats) {
  rows_.clear();
  for (std::uint32_t at = chunk.codes.rows; at < chunk.block.rows; ++at)
    if (const std::uint32_t row = chunk.first_row + at; allowed_word(row) >> row % 64 & 1) rows_.push_back(at);
  score(query, chunk, rows_, nearest, stats);
}

}  // namespace vicino
