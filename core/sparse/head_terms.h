// The inverted index of a head: it grows with every record while readers search.
//
// Threads: one writer calls append() and view(); any number of readers use the views at the same time, also while append() runs. Postings lie
// in chunks that never move; the table of terms is guarded by a shared mutex, which append() takes only for a term it has not seen.
#pragma once
#include <atomic>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "sparse/term_index.h"

namespace vicino {

class HeadTermsView;

class HeadTerms : public std::enable_shared_from_this<HeadTerms> {
 public:
  /// `positions`: whether text values come with positions; they all do or none does.
  HeadTerms(TermKind kind, bool positions);
  ~HeadTerms();
  HeadTerms(const HeadTerms&) = delete;

  TermKind kind() const { return kind_; }
  bool has_positions() const { return positions_; }
  /// Rows ascend, gaps are rows without the field. The bytes are copied where needed. Throws CorruptionError, changing nothing, for a value that is
  /// none of this kind.
  void append(std::uint32_t row, Bytes value);
  /// The rows below n_rows, appended or not, for good. HeadTerms must be owned by a shared pointer.
  std::shared_ptr<const TermIndex> view(std::uint32_t n_rows) const;
  /// Safe to ask while a value is appended.
  std::size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class HeadTermsView;
  friend class HeadCursor;
  static constexpr std::uint32_t kRowsPerChunk = 1024;
  static constexpr std::uint32_t kAbsent = ~std::uint32_t{0};
  struct Term {
    Bytes bytes;
    HeadChunk first;
    HeadChunk* last = nullptr;
    std::atomic<std::uint32_t> max_number{0};  // tf, or the bits of |weight|
  };

  void check(Bytes value) const;
  std::uint8_t* allocate(std::size_t size, std::size_t alignment);
  Term& term_of(Bytes bytes);
  Term* lookup(Bytes bytes, std::uint64_t hash) const;
  void add_posting(Term& term, std::uint32_t row, std::uint32_t number, std::uint32_t magnitude, const std::uint8_t* positions);
  void set_length(std::uint32_t row, std::uint32_t length);

  TermKind kind_;
  bool positions_;
  std::uint32_t next_row_ = 0;
  TermTotals totals_;
  std::uint32_t max_length_ = 0;
  std::vector<std::shared_ptr<std::uint32_t[]>> lengths_;  // kAbsent: the row has no value
  std::vector<std::unique_ptr<std::uint8_t[]>> arena_;
  std::uint8_t* arena_at_ = nullptr;
  std::size_t arena_left_ = 0, arena_block_ = 4096;
  std::atomic<std::size_t> memory_bytes_{0};

  mutable std::shared_mutex mutex_;  // guards what follows
  std::vector<Term*> terms_;
  std::vector<std::uint32_t> table_;  // position in terms_ + 1 or 0, open addressing
};

}  // namespace vicino
