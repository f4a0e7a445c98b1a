// 1-bit codes of one vector of a head: what index/block_scan.h reads, so that rows over which nothing is built yet are found about as fast
// as sealed ones.
//
// A block of 32 rows is coded once, when its last row is there; the up to 31 rows behind the last whole block have no code. So nothing
// that a reader may look at is ever written again. Codes are made relative to the mean of the first rows. Where later rows lie elsewhere
// (a head is filled topic by topic) their codes would be coarse: a chunk whose predecessor lies off that mean starts with one of its own.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "shard/batch.h"
#include "shard/head_chunks.h"
#include "util/bitmap.h"

namespace vicino {

class HeadCodes {
 public:
  explicit HeadCodes(const ColumnSpec& spec) : spec_(spec) {}

  /// Codes the whole blocks among the first n_rows rows that have no code yet, once there are enough rows with a vector for codes to pay.
  /// Returns the bytes allocated. Rows that are not present are not read.
  std::size_t extend(std::vector<ColumnChunk>& chunks, const Bitmap& present, std::uint32_t n_present, std::uint32_t n_rows);
  /// Rows before this have codes.
  std::uint32_t n_coded() const { return n_coded_; }

 private:
  VectorBlock block_of(const ColumnChunk& chunk, std::uint32_t number) const;
  void train_first(const std::vector<ColumnChunk>& chunks, const Bitmap& present);
  void train_again(const std::vector<ColumnChunk>& chunks, const Bitmap& present, std::uint32_t number);

  ColumnSpec spec_;
  std::shared_ptr<const Ladder> ladder_;  // of the newest chunk
  std::uint32_t n_coded_ = 0;
};

}  // namespace vicino
