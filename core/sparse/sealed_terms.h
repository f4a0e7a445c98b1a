// The inverted index of a sealed segment, read in place from a `.terms` container.
//
//   stats       TermsStats
//   lengths     text only: u8 or u16 per row, whichever takes less; the largest number: no text, the one before: too long, see `long_lengths`
//   long_lengths text only, absent without such rows: u32 row, u32 length, ascending
//   presence    sparse only, absent when every row has a vector: u64[], bit i of word i / 64 stands for row i
//   blocks      per 16 terms: u64 offset in `terms`, u64 offset in `postings`; one more at the end
//   terms       per term, ascending: varint bytes shared with the term before (0 at the begin of a block), varint further bytes, those bytes,
//               varint df; then of a term in one row its only posting, of others varint bytes of its list
//   postings    the lists, one after the other
//   positions   absent without: those of lists of 128 postings and more
//   impacts     sparse only, may be absent: the longer lists in the form of impacts.h
//
// A posting alone is varint row, then for text varint tf and with positions tf varint gaps, for sparse f32 weight.
//
// A list of fewer than 128 postings is its bound, a block and, with positions, the positions of the block. The bound is u8 in 255ths for text, f32
// for sparse. A longer one has
//
//   with positions u64 offset in `positions`; for sparse f32 bound of the whole list
//   u32 last row of every block, u32 end of every block behind these tables, u8 bound of every block: in 255ths, for sparse of the whole list's
//   the blocks, of 128 postings each, the last of the rest
//
// and at its offset in `positions` u32 end of every block's positions behind this table, then those. Numbers lie in runs (bit_packing.h): a block is
// the gaps of its rows, the first from the row behind the block before, and then tf - 1, for sparse f32 weights. The positions of a block are a run
// of the first position of every posting, then runs of 128 of the gaps to all others.
//
// Opening checks the small parts; lists and terms are checked as they are read, so a damaged one gives CorruptionError, never a stray read.
#pragma once
#include <atomic>
#include <mutex>
#include <span>

#include "sparse/impacts.h"
#include "sparse/term_index.h"
#include "sparse/unpacked.h"
#include "storage/container.h"

namespace vicino {

constexpr std::uint32_t kTermsPerBlock = 16;

#pragma pack(push, 1)
struct TermsStats {
  std::uint32_t rows, valued;
  std::uint64_t total_length, postings;
  std::uint32_t terms;
  std::uint8_t kind, positions, has_negative, length_bytes;
  float k1, b, average;  // of the bounds
};
struct BlockPlace {
  std::uint64_t terms, postings;
};
#pragma pack(pop)

class SealedTerms final : public TermIndex {
 public:
  /// Throws CorruptionError unless the container holds the terms of a column of this kind over n_rows rows.
  static std::shared_ptr<const SealedTerms> open(const Container& container, TermsKind kind, std::uint32_t n_rows);
  /// Reads and checks every term and every list.
  void verify() const;

  TermsKind kind() const override { return static_cast<TermsKind>(stats_.kind); }
  std::uint32_t n_rows() const override { return stats_.rows; }
  std::uint32_t n_valued() const override { return stats_.valued; }
  std::uint64_t total_length() const override { return stats_.total_length; }
  std::uint64_t n_postings() const override { return stats_.postings; }
  void lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const override;
  const std::uint8_t* byte_lengths() const override { return stats_.length_bytes == 1 ? lengths_.data() : nullptr; }
  bool has_positions() const override { return stats_.positions; }
  bool has_negative() const override { return stats_.has_negative; }
  LengthNorm norm_at_build() const override { return {stats_.k1, stats_.b, stats_.average}; }
  std::uint32_t n_terms() const { return stats_.terms; }

  std::optional<TermInfo> find(Bytes term) const override;
  void each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const override;
  std::unique_ptr<TermStream> terms() const override;
  std::unique_ptr<PostingCursor> postings(const TermInfo& term) const override;
  const Impacts* impacts() const override { return impacts_ ? &impacts_ : nullptr; }
  /// From now on the lists of words that are asked for are kept unpacked. Not where memory is limited or belongs to another process's database.
  void keep_in_memory() const { keeps_.store(true, std::memory_order_relaxed); }
  UnpackedLists* unpacked_lists() const override { return keeps_.load(std::memory_order_relaxed) ? unpacked_.get() : nullptr; }
  std::size_t memory_bytes() const override { return sizeof *this + starts_bytes_.load(std::memory_order_relaxed) + (unpacked_ ? unpacked_->memory_bytes() : 0); }

 private:
  friend class SealedCursor;
  class Walk;
  [[noreturn]] void fail(const std::string& message) const;
  Bytes first_term(std::size_t block) const;
  std::size_t block_of(Bytes term) const;
  std::span<const std::uint64_t> starts() const;
  void append_postings(const TermInfo& term, const RowMapping& mapping, TermList& list) const;
  /// The whole list's bound.
  float bound_of(std::uint32_t df, Bytes list) const;
  std::uint32_t length_of(std::uint32_t row) const;
  std::uint32_t long_length(std::uint32_t row) const;
  void verify_totals() const;
  void verify_block(const PostingBlock& block, float bound) const;

  Container container_;
  std::string name_;
  TermsStats stats_{};
  Bytes lengths_;
  std::span<const std::uint32_t> long_lengths_;
  std::span<const std::uint64_t> presence_;
  std::span<const BlockPlace> blocks_;
  Bytes terms_, postings_, positions_;
  Impacts impacts_;
  std::unique_ptr<UnpackedLists> unpacked_;  // of text
  mutable std::atomic<bool> keeps_{false};
  mutable std::once_flag starts_made_;
  mutable std::atomic<std::size_t> starts_bytes_{0};
  mutable std::vector<std::uint64_t> starts_;  // how the first term of every kBlocksPerStart-th block begins
};

}  // namespace vicino
