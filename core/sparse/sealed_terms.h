// The inverted index of a sealed segment: sections of a `.terms` container, read in place. Opening reads the headers alone.
//
//   terms_meta     TermsMeta: kind, counts, where the average stood
//   terms_present  u64 words, a bit per row; empty when every row has the field
//   terms_lengths  u8, u16 or u32 per row, the narrowest that holds the longest (text)
//   terms_blocks   per block of 16 terms its TermBlock: where it begins in terms_names and terms_lists
//   terms_names    per term: varint shared (bytes shared with the term before; 0 for the first of a block), varint size, the bytes that follow,
//                  varint df, varint size of its list in terms_lists (df = 1: of its list right here, followed by the list)
//   terms_lists    per term with df > 1 its list, then 64 zero bytes
//
// A list:
//   u8 bound of all its postings in 255ths, rounded up (text), or f32 scale (sparse)
//   with more than 128 postings a table: last rows u32[n], ends u32[n] of the blocks' bytes, bounds u8[n] (of the scale in sparse lists)
//   per block of 128, the last may be shorter:
//     u8 rows: b <= 32: gaps to the row before, less one, in b bits each; 64 + w: w words of 8 bytes, bit i stands for first possible row + i
//     u8 numbers: b bits each of tf - 1 (text), 8: i8 codes, weight = scale / 127 * code (sparse)
//     the packed rows, then the packed numbers, each padded to whole bytes
//     with positions: u8 b, varint n_escaped, gaps in b bits each, padded; gaps of 2^b - 1 and more are written as 2^b - 1, what is above that follows as
//     varints in order
//   df = 1: varint row, varint tf or i8 code, with positions tf varint gaps
#pragma once
#include <memory>
#include <string>

#include "sparse/term_index.h"
#include "storage/container.h"

namespace vicino {

struct TermsMeta {
  std::uint32_t format = 1;
  std::uint8_t kind = 0, has_positions = 0, length_width = 0, zero = 0;
  std::uint32_t n_rows = 0, max_length = 0;
  std::uint64_t n_present = 0, sum_length = 0, n_terms = 0, n_postings = 0;
  float k1 = 0, b = 0, average_length = 0;
  std::uint32_t zero2 = 0;
};
static_assert(sizeof(TermsMeta) == 64);

/// Where 16 terms begin.
struct TermBlock {
  std::uint64_t names, lists;
};

constexpr std::uint32_t kTermsPerBlock = 16;
constexpr std::uint32_t kTermsFormat = 1;
constexpr std::size_t kListSlack = 64;  // zero bytes after the last list, for kernels that load whole vectors

class SealedTerms final : public TermIndex {
 public:
  /// Checks sizes and headers; touches no list. Throws CorruptionError, or FormatError for a newer format.
  static std::shared_ptr<const SealedTerms> open(const Container& container);
  /// Checks what opening does not: every term, list, length and count. Throws CorruptionError.
  void verify() const;

  TermKind kind() const override { return static_cast<TermKind>(meta_.kind); }
  bool has_positions() const override { return meta_.has_positions; }
  std::uint32_t n_rows() const override { return meta_.n_rows; }
  std::uint64_t n_terms() const { return meta_.n_terms; }
  TermTotals totals() const override { return {meta_.n_present, meta_.sum_length}; }
  bool is_present(std::uint32_t row) const override;
  std::uint32_t length(std::uint32_t row) const override;
  void lengths(const std::uint32_t* rows, std::size_t count, std::uint32_t* out) const override;
  std::uint32_t max_length() const override { return meta_.max_length; }
  BoundBase bound_base() const override { return {meta_.k1, meta_.b, meta_.average_length}; }
  PostingList find(Bytes term) const override;
  std::unique_ptr<TermCursor> terms(Bytes prefix) const override;
  std::size_t memory_bytes() const override { return sizeof(*this); }

 private:
  friend class SealedCursor;
  SealedTerms() = default;
  Bytes first_term(std::size_t block) const;
  std::size_t block_of(Bytes term) const;
  PostingList list_at(std::uint32_t df, Bytes bytes, bool is_inline) const;

  std::string what_;
  std::vector<Blob> blobs_;
  TermsMeta meta_;
  Bytes present_, lengths_, names_, lists_;
  std::span<const TermBlock> blocks_;
};

}  // namespace vicino
