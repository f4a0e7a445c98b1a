// A scan that reads 1-bit codes instead of rows, and then the few rows that the codes cannot rule out.
//
// Every row gets an estimate and a bound of its error (codes/ladder.h). The rows whose estimates promise most, a few more than k, are scored
// exactly, which gives the distance to beat; then every row is whose estimate less its error does not lie beyond it. A row is lost only where the error of
// its estimate is larger than the bound times kErrors and the row lies at the very edge of the k nearest.
//
// Measured over 50,000 real vectors of 384 dimensions: 1 of 200 rows is read at k = 10, and what is read is 1/20 of the bytes of a scan.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/chunk.h"
#include "index/graph.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

/// What a scan needs, kept from one to the next: fresh memory costs as much as the scan.
struct BlockScanMemory {
  QueryState state;
  std::vector<float> least;          // of every row, what its distance is at least; infinite where it is not to be scored
  std::vector<std::uint32_t> found;  // positions in a tile or chunk
  std::vector<std::uint64_t> seeds;  // rows that promise most, below the most that their distances may be
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;
};

class BlockScan {
 public:
  /// The chunks, ascending, and the bitmap over their rows (null: every row) must outlive the scan. Row i is offered as first_row + i.
  BlockScan(std::span<const Chunk> chunks, const std::uint64_t* allowed, std::uint64_t first_row);

  /// Rows without codes are scored exactly. Throws Cancelled.
  void search(const PreparedQuery& query, TopK& nearest, SearchStats& stats, const Cancel& cancel);

 private:
  void estimate(const PreparedQuery& query, SearchStats& stats, const Cancel& cancel);
  void estimate_tile(const Chunk& chunk, std::uint32_t first, std::uint32_t count, SearchStats& stats);
  void take_seeds(const float* most, std::uint32_t count, std::uint32_t first_row);
  void cut_seeds();
  void score(const PreparedQuery& query, const Chunk& chunk, std::span<const std::uint32_t> rows, TopK& nearest, SearchStats& stats);
  void score_seeds(const PreparedQuery& query, TopK& nearest, SearchStats& stats);
  void score_survivors(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats, const Cancel& cancel);
  void score_uncoded(const PreparedQuery& query, const Chunk& chunk, TopK& nearest, SearchStats& stats);
  /// Which of the 32 rows from `row`, a multiple of that, are to be scored.
  std::uint32_t allowed_rows(std::uint32_t row) const { return allowed_ ? static_cast<std::uint32_t>(allowed_[row / 64] >> row % 64) : ~0u; }

  std::span<const Chunk> chunks_;
  const std::uint64_t* allowed_;
  std::uint64_t first_row_;
  BlockScanMemory& memory_;  // of this thread
  std::size_t n_seeds_ = 0;
  float seeds_bound_ = 0;    // rows whose distances may be more are no seeds
};

}  // namespace vicino
