// The nested codes of all rows of a segment in the order of rows, for scans: every row is looked at, but by as few bits as will do.
//
// A scan goes through the 1-bit codes in blocks of 32 rows (codes/ladder.h). What their error bound leaves a chance is scored by 4 bits, what
// that leaves by 8 bits, and what remains by the rows themselves: each level reads a small share of what the one before did. The finest level
// is chosen when the codes are built; a coarser one takes less memory and reads more rows.
//
//   header 64   magic "VICCODES", u32 format, u32 rows, u32 finest level (1, 4, 8), u32 format of the factors, f32 unit of `add`, f32 unit of
//               `scale`, u64 bytes of the ladder, u64 size, zeros
//   ladder      Ladder::to_bytes
//   blocks      1-bit codes
//   high, factors   with levels 4 and 8
//   low, fine       with level 8
// Each part starts at a multiple of 64. Rows without a vector have the code of zeros, and are never allowed.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "codes/ladder.h"
#include "index/graph.h"
#include "index/rescoring.h"
#include "util/blob.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

/// Codes of the block's rows, trained on some of `rows`, those that have a vector. Deterministic for any number of threads. Throws
/// Cancelled; InvalidArgument for rows and metrics that have no codes.
std::vector<std::uint8_t> build_flat_codes(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, CodeLevel finest,
                                           unsigned threads, const Cancel& cancel);

/// Upper bound of the memory a build allocates, its result included, the block not.
std::size_t flat_codes_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, CodeLevel finest);

class FlatCodes {
 public:
  FlatCodes() = default;
  /// Throws CorruptionError unless the buffer holds codes of n_rows rows, FormatError when it is of a newer format.
  static FlatCodes open(Blob buffer, std::uint32_t n_rows);

  /// Offers `nearest` the allowed rows near the query, as first_row + row; bit i of `allowed` is row i, null allows all. With rescoring by
  /// bound these are the nearest, but for what lies beyond the bound of a code: about 1 of 1,000.
  /// Adds to `stats`. Safe to call from many threads. Throws Cancelled.
  void search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const Rescoring& rescoring, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0) const;

  /// Reads every byte that `open` did not: scales are numbers. Throws CorruptionError.
  void verify() const;

  CodeLevel finest() const { return finest_; }
  std::uint32_t n_rows() const { return view_.rows; }
  std::size_t size_bytes() const { return buffer_.size(); }

 private:
  friend class FlatScan;

  Blob buffer_;
  Ladder ladder_;
  CodeView view_;
  CodeLevel finest_ = CodeLevel::bits1;
};

}  // namespace vicino
