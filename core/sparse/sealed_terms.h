// The inverted index of a sealed segment, read in place from a `.terms` container.
//
//   stats       u32 rows, u32 rows with a value, u64 sum of lengths, u32 terms, u8 kind, u8 positions, u16 flags (1: some weight is below 0), f32 k1, b, average of the bounds
//   lengths     text only: u16 per row; 0xffff: no text, 0xfffe: too long for 16 bits, see `long_lengths`
//   long_lengths text only, absent without such rows: u32 row, u32 length, ascending
//   presence    sparse only, absent when every row has a vector: u64[], bit i of word i / 64 stands for row i
//   blocks      per 16 terms: u64 offset in `terms`, u64 offset in `postings`, u64 offset in `positions`; one more at the end
//   terms       per term, ascending: varint bytes shared with the term before (0 at the begin of a block), varint further bytes, those bytes,
//               varint df, varint bytes of its postings, with positions varint bytes of its positions
//   postings    per term: fewer than 128: f32 bound, then per posting varint row gap * 2 + (tf is 1), tf if it is not; for sparse f32 weights at the end.
//               Else per block of 128: u32 last row, u32 offset after these headers, f32 bound, u8 bits of a gap, u8 bits of tf - 1, u16 count;
//               then per block the gaps and tf - 1 packed in bits (bit_packing.h), for sparse the gaps and f32 weights
//   positions   per posting tf varint gaps; for a term of 128 postings or more after u32 offsets, one per block
//
// Opening checks the small parts; lists and terms are checked as they are read, so a damaged one gives CorruptionError, never a stray read.
#pragma once
#include <span>

#include "sparse/term_index.h"
#include "storage/container.h"

namespace vicino {

constexpr std::uint32_t kTermsPerBlock = 16;
constexpr std::uint16_t kShortLengthMax = 0xfffd, kLongLength = 0xfffe, kAbsentLength = 0xffff;

#pragma pack(push, 1)
struct TermsStats {
  std::uint32_t rows, valued;
  std::uint64_t total_length;
  std::uint32_t terms;
  std::uint8_t kind, positions;
  std::uint16_t flags;
  float k1, b, average;
};
struct BlockPlace {
  std::uint64_t terms, postings, positions;
};
struct BlockHeader {
  std::uint32_t last_row, offset;
  float bound;
  std::uint8_t gap_bits, tf_bits;
  std::uint16_t count;
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
  void lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const override;
  bool has_positions() const override { return stats_.positions; }
  bool has_negative() const override { return stats_.flags & 1; }
  LengthNorm norm_at_build() const override { return {stats_.k1, stats_.b, stats_.average}; }
  std::uint32_t n_terms() const { return stats_.terms; }

  std::optional<TermInfo> find(Bytes term) const override;
  void each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const override;
  std::unique_ptr<PostingCursor> postings(const TermInfo& term) const override;
  std::size_t memory_bytes() const override { return sizeof *this; }

 private:
  friend class SealedCursor;
  /// A term as it is read from the dictionary.
  struct Entry {
    std::uint32_t number = 0, df = 0;
    std::string term;
    Bytes postings, positions;
  };
  class Walk;
  [[noreturn]] void fail(const std::string& message) const;
  Bytes first_term(std::size_t block) const;
  std::size_t block_of(Bytes term) const;
  TermInfo info_of(const Entry& entry) const;
  std::uint32_t length_of(std::uint32_t row) const;
  void verify_totals() const;
  void verify_block(const PostingBlock& block, float bound) const;

  Container container_;
  std::string name_;
  TermsStats stats_{};
  std::span<const std::uint16_t> lengths_;
  std::span<const std::uint32_t> long_lengths_;
  std::span<const std::uint64_t> presence_;
  std::span<const BlockPlace> blocks_;
  Bytes terms_, postings_, positions_;
};

}  // namespace vicino
