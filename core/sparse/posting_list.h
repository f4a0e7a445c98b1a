// One term's postings, in blocks of at most 128, whatever they are stored in: packed bytes of a file or the chunks of a head.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "util/blob.h"

namespace vicino {

constexpr std::uint32_t kBlockPostings = 128;

/// The parameters of BM25 that the bounds of blocks were computed with. An average of 0: bounds are weights (sparse), not BM25.
struct BoundBase {
  float k1 = 1.2f, b = 0.75f, average_length = 0;
};

/// A decoded block. `numbers` are frequencies (text) or the bits of float weights (sparse). Kernels write whole vectors: hence the slack.
struct PostingBlock {
  std::uint32_t count = 0;
  alignas(64) std::uint32_t rows[kBlockPostings + 16];
  alignas(64) std::uint32_t numbers[kBlockPostings + 16];
};

/// Postings of a head, appended by one writer while readers walk them; `count` says how many are there for good.
struct HeadChunk {
  std::atomic<std::uint32_t> count{0};
  std::uint32_t capacity = 0;
  std::uint32_t* rows = nullptr;
  std::uint32_t* numbers = nullptr;
  const std::uint8_t** positions = nullptr;  // per posting its varint gaps; null without positions
  std::atomic<HeadChunk*> next{nullptr};
};

class PostingList {
 public:
  PostingList() = default;

  /// Rows with the term, dead ones included.
  std::uint32_t df() const { return df_; }
  std::uint32_t n_blocks() const { return n_blocks_; }
  std::uint32_t last_row(std::uint32_t block) const;
  /// Upper bound of what any posting of the block adds: tf / (tf + norm) under the index's BoundBase (text), |weight| (sparse).
  float bound(std::uint32_t block) const;
  float bound() const { return bound_; }
  /// How far a decoded weight may be off (sparse); 0 where weights are exact.
  float error() const { return error_; }
  /// Throws CorruptionError for damaged bytes and for rows that do not ascend below the index's row count.
  void decode(std::uint32_t block, PostingBlock& out) const;
  /// The positions of every posting of a decoded block, one after the other; as many as their frequencies say.
  void decode_positions(std::uint32_t block, const PostingBlock& postings, std::vector<std::uint32_t>& positions) const;
  /// The first block, from `block` on, whose last row is at least `row`; n_blocks() when there is none.
  std::uint32_t seek(std::uint32_t block, std::uint32_t row) const;

 private:
  friend class SealedTerms;
  friend class HeadTermsView;

  std::uint32_t df_ = 0, n_blocks_ = 0, n_rows_ = 0;
  float bound_ = 0, error_ = 0, scale_ = 0;
  bool has_positions_ = false, is_sparse_ = false;
  const std::string* what_ = nullptr;  // names the index in errors
  // Sealed: a table of blocks, when there are several, and their bytes.
  const std::uint8_t* table_ = nullptr;
  Bytes payload_;
  // Head: the chunks, each a block.
  std::vector<const HeadChunk*> chunks_;
  std::vector<std::uint32_t> last_rows_;
};

}  // namespace vicino
