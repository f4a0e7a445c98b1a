// An inverted index of one text or sparse column over the rows of one head or segment: terms, and per term the rows that have it.
//
// A term is a byte string: a word's UTF-8, or a sparse index as 4 bytes, the highest first, so that terms ascend as indices do. A posting is a row with
// a number: how often the word occurs (text), or the weight (sparse). Lists are read in blocks of at most 128 postings, each with the last
// row in it and a bound of what a posting of it can add to a score. Dead rows are still in the lists; the caller knows which they are.
//
// Threads: everything const here may be called by any number of threads at once. Posting lists and cursors point into their index, which
// must outlive them; each of them belongs to one thread.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sparse/posting_list.h"
#include "util/bitmap.h"
#include "util/blob.h"

namespace vicino {

enum class TermKind : std::uint8_t { text = 1, sparse = 2 };

/// The term of a sparse index.
inline std::string sparse_term(std::uint32_t index) {
  return {static_cast<char>(index >> 24), static_cast<char>(index >> 16), static_cast<char>(index >> 8), static_cast<char>(index)};
}

/// Walks terms in ascending order of their bytes.
class TermCursor {
 public:
  virtual ~TermCursor() = default;
  /// Moves to the next term; false behind the last one. The first call moves to the first term.
  virtual bool next() = 0;
  /// Valid until the next call of next().
  virtual Bytes term() const = 0;
  virtual std::uint32_t df() const = 0;
  virtual PostingList list() const = 0;
};

/// What a column has over some rows.
struct TermTotals {
  std::uint64_t n_present = 0;   // rows that have the field
  std::uint64_t sum_length = 0;  // of those rows, in words; 0 for sparse columns
};

class LiveCounts;

class TermIndex {
 public:
  TermIndex();
  virtual ~TermIndex();
  TermIndex(const TermIndex&) = delete;

  virtual TermKind kind() const = 0;
  virtual bool has_positions() const = 0;
  /// Rows 0 … n_rows() - 1 are covered. A row may lack the field: it then is in no list and has length 0.
  virtual std::uint32_t n_rows() const = 0;
  virtual TermTotals totals() const = 0;
  virtual bool is_present(std::uint32_t row) const = 0;
  virtual std::uint32_t length(std::uint32_t row) const = 0;
  /// out[i] = length of rows[i].
  virtual void lengths(const std::uint32_t* rows, std::size_t count, std::uint32_t* out) const = 0;
  virtual std::uint32_t max_length() const = 0;
  /// The parameters that the bounds of blocks were computed with.
  virtual BoundBase bound_base() const = 0;

  /// The list of a term; an empty one when no row has it. Throws CorruptionError for damaged bytes, then or while reading the list.
  virtual PostingList find(Bytes term) const = 0;
  /// The terms that begin with `prefix`.
  virtual std::unique_ptr<TermCursor> terms(Bytes prefix) const = 0;
  /// Anonymous memory held, in bytes; mapped files do not count.
  virtual std::size_t memory_bytes() const = 0;

  /// Totals and document frequencies over live rows alone; null: all rows are live. What was counted for one bitmap is kept until the
  /// index is asked about another one.
  TermTotals live_totals(const std::shared_ptr<const Bitmap>& live) const;
  std::uint32_t live_df(Bytes term, const PostingList& list, const std::shared_ptr<const Bitmap>& live) const;
  /// The same over any set of rows, for statistics of a filter; nothing is kept.
  TermTotals totals_in(const Bitmap& rows) const;
  static std::uint32_t df_in(const PostingList& list, const Bitmap& rows);

 private:
  std::unique_ptr<LiveCounts> live_counts_;
};

}  // namespace vicino
