// The inverted index of a head: it grows with every append while readers search what was published before.
//
// Postings of a term lie in a chain of chunks that never move; a reader stops at the first row it does not know. Positions are not copied: of every
// posting is known where they begin in the row's value, which the head keeps.
#pragma once
#include <atomic>
#include <shared_mutex>
#include <string_view>

#include "sparse/term_index.h"
#include "util/arena.h"
#include "util/string_table.h"

namespace vicino {

class HeadTerms : public std::enable_shared_from_this<HeadTerms> {
 public:
  explicit HeadTerms(TermsKind kind) : kind_(kind) {}

  /// Adds the value of a row, which must outlive the index; rows ascend. One writer at a time, while readers search.
  void append(std::uint32_t row, Bytes value);
  std::size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  /// What readers of the first n_rows rows see.
  std::shared_ptr<const TermIndex> view(std::uint32_t n_rows) const;

 private:
  friend class HeadTermsView;
  friend class HeadCursor;
  friend class HeadTermStream;
  /// Rows, payloads (tf, or the bits of the weight) and, of texts, where positions begin in the row's value lie behind it.
  struct Chunk {
    explicit Chunk(std::uint32_t capacity) : capacity(capacity) {}
    const std::uint32_t capacity;
    std::atomic<std::uint32_t> count{0};
    std::atomic<Chunk*> next{nullptr};
    std::uint32_t* rows() { return reinterpret_cast<std::uint32_t*>(this + 1); }
    std::uint32_t* payloads() { return rows() + capacity; }
    const std::uint32_t* rows() const { return reinterpret_cast<const std::uint32_t*>(this + 1); }
    const std::uint32_t* payloads() const { return rows() + capacity; }
    std::uint32_t* places() { return payloads() + capacity; }
    const std::uint32_t* places() const { return payloads() + capacity; }
  };
  struct Term {
    Term(std::string_view name, Chunk* first) : name(name), first(first), last(first) {}
    std::string_view name;
    Chunk *first, *last;
    std::atomic<float> bound{0};  // sparse: the largest absolute weight
  };
  struct Row {
    Bytes value;
    std::uint32_t length = kNoLength;
  };
  static constexpr std::uint32_t kRowsPerChunk = 256;

  /// A posting of the row that is being added.
  struct Fresh {
    std::string_view name;
    std::uint64_t hash;
    std::uint32_t payload, place;
    Term* term = nullptr;
  };
  Chunk* new_chunk(std::uint32_t capacity);
  void read_text(Bytes value, std::uint32_t& length);
  void read_sparse(Bytes value);
  void find_terms();
  void add_posting(std::uint32_t row, const Fresh& fresh);
  /// Of a row beyond the last one that has a value: an empty one.
  Row row(std::uint32_t row) const;

  TermsKind kind_;
  std::atomic<bool> has_positions_{false}, has_negative_{false};
  mutable std::shared_mutex mutex_;  // for the table of terms and the list of chunks of rows, not for what they hold
  StringTable names_;
  std::vector<Term*> terms_;  // by number of the name
  Arena arena_;               // for terms and chunks
  std::vector<Fresh> fresh_;
  std::string indexes_;       // of a sparse vector, as terms: four bytes each
  std::vector<std::unique_ptr<Row[]>> rows_;
  std::uint32_t n_valued_ = 0;
  std::uint64_t total_length_ = 0, n_postings_ = 0;
  std::atomic<std::size_t> memory_bytes_{0};
};

}  // namespace vicino
