// The inverted form of one text or sparse column of some rows: for every term the rows that have it. Head and sealed segment have one each;
// everything that searches words goes through this interface.
//
// Terms of a text are bytes; those of a sparse vector are its indices, four bytes, the highest first. Beside the row a posting says how often the
// term occurs (text), or its weight (sparse).
#pragma once
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sparse/term_list.h"
#include "util/bitmap.h"
#include "util/blob.h"

namespace vicino {

enum class TermsKind : std::uint8_t { text = 1, sparse = 2 };

constexpr std::uint32_t kPostingsPerBlock = 128;
constexpr std::uint32_t kNoLength = 0xffffffff;

/// Some postings of a term, rows ascending.
struct PostingBlock {
  std::uint32_t count = 0;
  std::uint32_t tf_max = 0xffffffff;  // no tf is larger
  std::uint32_t rows[kPostingsPerBlock];
  union {
    std::uint32_t tf[kPostingsPerBlock];
    float weights[kPostingsPerBlock];
  };
};

/// Walks one term's postings block by block. For one thread.
class PostingCursor {
 public:
  virtual ~PostingCursor() = default;
  /// The next block with a row at or beyond `first`; false at the end. `first` never falls from call to call.
  virtual bool next(std::uint32_t first, PostingBlock& block) = 0;
  /// Of the block that next(first) would give: an upper bound as in TermInfo, and its last row or one beyond. False at the end.
  virtual bool peek(std::uint32_t first, float& bound, std::uint32_t& last_row) = 0;
  /// Positions of the i-th posting of the block last given. Only for a text index that keeps them.
  virtual void positions(std::uint32_t i, std::vector<std::uint32_t>& out) = 0;
};

/// What a term's list is like. For text `bound` is at least tf / (tf + norm) of every posting, with the norm of
/// `TermIndex::average_at_build`; for sparse at least the absolute weight.
struct TermInfo {
  std::uintptr_t where = 0;  // for the index itself
  Bytes postings;            // the same
  std::uint32_t df = 0;  // rows, dead ones included
  float bound = 1;
};

/// The constants of BM25 and the average length its bounds were made for.
struct LengthNorm {
  float k1 = 1.2f, b = 0.75f, average = 1;
  float operator()(std::uint32_t length) const { return k1 * (1 - b + b * static_cast<float>(length) / average); }
};

/// All terms of an index, ascending.
class TermStream {
 public:
  virtual ~TermStream() = default;
  /// Moves to the next term, at first to the first one; false at the end.
  virtual bool next() = 0;
  virtual Bytes term() const = 0;
  /// Appends its postings under the rows that the mapping gives them, with positions where the index has them.
  virtual void append_to(TermList& list, const RowMapping& mapping) = 0;
};

class Impacts;
class UnpackedLists;

class TermIndex {
 public:
  virtual ~TermIndex() = default;
  virtual TermsKind kind() const = 0;
  virtual std::uint32_t n_rows() const = 0;
  /// Rows that have a value, dead ones included, and for text the sum of their lengths.
  virtual std::uint32_t n_valued() const = 0;
  virtual std::uint64_t total_length() const = 0;
  virtual std::uint64_t n_postings() const = 0;
  /// Words of the texts of some rows; kNoLength for one without. For sparse, 0 for a row that has a vector.
  virtual void lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const = 0;
  /// The same by row, below kByteLengths where they are in these bytes; null where they are kept in another form.
  static constexpr std::uint32_t kByteLengths = 254;
  virtual const std::uint8_t* byte_lengths() const { return nullptr; }
  virtual bool has_positions() const = 0;
  /// Whether any weight is below 0.
  virtual bool has_negative() const = 0;
  /// What the bounds were computed with; 0 when they hold for any average length.
  virtual LengthNorm norm_at_build() const = 0;

  virtual std::optional<TermInfo> find(Bytes term) const = 0;
  /// Terms that begin with `prefix`, ascending, until `visit(term, info)` returns false.
  virtual void each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const = 0;
  virtual std::unique_ptr<TermStream> terms() const = 0;
  virtual std::unique_ptr<PostingCursor> postings(const TermInfo& term) const = 0;
  /// What sums of sparse vectors are made from fastest; null where there is none.
  virtual const Impacts* impacts() const { return nullptr; }
  /// Lists of words that are kept unpacked; null where none are.
  virtual UnpackedLists* unpacked_lists() const { return nullptr; }
  /// Anonymous memory held, in bytes; mapped files do not count.
  virtual std::size_t memory_bytes() const = 0;
};

inline std::string sparse_term(std::uint32_t index) {
  return {static_cast<char>(index >> 24), static_cast<char>(index >> 16), static_cast<char>(index >> 8), static_cast<char>(index)};
}

}  // namespace vicino
