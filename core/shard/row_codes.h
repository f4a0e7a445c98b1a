// 1-bit codes of one vector of rows over which nothing is built yet: what index/block_scan.h reads, so that they are found about as fast as
// rows with an index. Of a head they are made as its rows come (head.h), of a sealed segment as searches want them (sealed_codes.h).
//
// A block of 32 rows is coded once, when its last row is there; the up to 31 rows behind the last whole block have no code. So nothing
// that a reader may look at is ever written again. Codes are made relative to the mean of the first rows. Where later rows lie elsewhere
// (a head is filled topic by topic) their codes would be coarse: a chunk whose predecessor lies off that mean starts with one of its own.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "index/chunk.h"
#include "shard/batch.h"
#include "shard/row_chunks.h"
#include "util/bitmap.h"

namespace vicino {

/// The codes of the rows of one chunk. Null: there are none.
struct ChunkCodes {
  std::shared_ptr<const Ladder> ladder;
  std::shared_ptr<std::uint8_t[]> blocks;
};

/// The codes that there are at some moment. What a copy refers to stays as it is.
struct CodesSoFar {
  std::vector<ChunkCodes> chunks;
  std::uint32_t n_coded = 0;  // rows before this have codes, where their chunk has

  /// Of the first rows of one chunk.
  BlockCodes of_chunk(std::uint32_t number) const;
};

/// The rows of a chunk by its number; without data where no row of the chunk has the vector.
using RowsOfChunk = std::function<VectorBlock(std::uint32_t)>;

class RowCodes {
 public:
  explicit RowCodes(const ColumnSpec& spec) : spec_(spec) {}

  /// Whether so many rows with a vector are worth codes, which small sets of them and rows that are no floats are not.
  static bool pay(const ColumnSpec& spec, std::uint32_t n_present);

  /// Codes the whole blocks among the first n_rows rows that have no code yet, once there are enough rows with a vector for codes to pay.
  /// Returns the bytes allocated. Rows that are not present (null: all are) are not read.
  std::size_t extend(const RowsOfChunk& rows, const Bitmap* present, std::uint32_t n_present, std::uint32_t n_rows);
  /// Makes ready what is needed to tell how long a block is; extend does it by itself. There are enough rows.
  void begin(const RowsOfChunk& rows, const Bitmap* present);
  /// Of 32 rows; after begin.
  std::size_t block_bytes() const { return ladder_->block_bytes(); }

  const CodesSoFar& so_far() const { return codes_; }
  /// Goes on from codes that were made of the same first rows.
  void resume(CodesSoFar codes);

 private:
  void train_first(const RowsOfChunk& rows, const Bitmap* present);
  void train_again(const RowsOfChunk& rows, const Bitmap* present, std::uint32_t number);

  ColumnSpec spec_;
  std::shared_ptr<const Ladder> ladder_;  // of the newest chunk
  CodesSoFar codes_;
};

}  // namespace vicino
