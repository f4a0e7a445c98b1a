// The appendable set of recent records. Rows live in chunks that never move, so readers walk them while the writer appends;
// a view is a published row count with the chunk addresses of that moment. Vectors have codes that are made as they come (row_codes.h).
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>

#include "shard/row_chunks.h"
#include "shard/row_codes.h"
#include "shard/rows.h"
#include "sparse/head_terms.h"

namespace vicino {

class HeadView;

class Head : public std::enable_shared_from_this<Head> {
 public:
  explicit Head(std::uint64_t key) : key_(key) {}

  std::uint64_t key() const { return key_; }
  std::uint32_t size() const { return size_; }
  /// Safe to ask while a batch is appended.
  std::size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

  /// Throws InvalidArgument when a slot of the batch comes with another shape than before.
  void expect_shapes(const UpsertBatch& batch) const;

  /// Appends the batch, whose shapes fit, as rows size() … size() + n - 1.
  void append(const UpsertBatch& batch, std::uint64_t version);
  /// The last row written under this id among all rows appended so far.
  std::optional<std::uint32_t> find_latest(Bytes id, std::uint64_t hash) const;
  std::uint64_t version(std::uint32_t row) const;
  /// The row that was the newest of this row's id before it.
  std::optional<std::uint32_t> previous(std::uint32_t row) const;
  /// The rows so far, for a snapshot.
  std::shared_ptr<const HeadView> view() const;

 private:
  friend class HeadView;
  struct RowChunk {
    std::unique_ptr<Bytes[]> ids, documents;
    std::unique_ptr<std::uint64_t[]> versions, hashes;
    std::unique_ptr<std::uint32_t[]> previous;  // row + 1 of the same id's row before, 0: none
  };
  /// One vector of the rows of one chunk.
  struct ColumnChunk {
    std::shared_ptr<std::uint8_t[]> rows;  // null: no row of the chunk has this vector
    std::shared_ptr<float[]> norms;
  };
  struct Column {
    explicit Column(const ColumnSpec& spec) : spec(spec), codes(spec) {}
    VectorBlock block(std::uint32_t number) const {
      return {chunks[number].rows.get(), chunk_capacity(number), spec.dim, spec.dtype, chunks[number].norms.get()};
    }
    ColumnSpec spec;
    std::vector<ColumnChunk> chunks;
    Bitmap presence;
    std::uint32_t n_present = 0;
    RowCodes codes;
  };
  struct Values {
    ValueSpec spec;
    std::vector<std::shared_ptr<Bytes[]>> chunks;  // null: no row of the chunk has a value
    std::shared_ptr<HeadTerms> terms;              // null for multi
    std::uint32_t n_covered = 0;                   // rows whose batch came with this column
  };

  void reserve_rows(std::uint32_t n);
  Bytes keep(Bytes bytes);
  void append_column(const VectorColumn& from, std::uint32_t first_row, std::uint32_t n);
  void append_values(const ValueColumn& from, std::uint32_t first_row);
  void insert_id(std::uint32_t row);
  void grow_table();
  const RowChunk& chunk_of(std::uint32_t row, std::uint32_t* at) const;

  std::uint64_t key_;
  std::uint32_t size_ = 0;
  std::vector<std::shared_ptr<RowChunk>> chunks_;
  std::map<std::uint32_t, Column> columns_;
  std::map<std::uint32_t, Values> values_;
  std::vector<std::shared_ptr<std::uint8_t[]>> arena_;
  std::uint8_t* arena_at_ = nullptr;
  std::size_t arena_left_ = 0, arena_block_ = 4096;
  std::atomic<std::size_t> memory_bytes_{0};

  mutable std::shared_mutex table_mutex_;
  std::vector<std::uint32_t> table_;  // row + 1 or 0, open addressing; the newest row of each id
  std::uint32_t table_used_ = 0;
};

class HeadView final : public Rows {
 public:
  explicit HeadView(std::shared_ptr<const Head> head);

  std::uint32_t size() const override { return size_; }
  Bytes id(std::uint32_t row) const override;
  Bytes document(std::uint32_t row) const override;
  std::uint64_t version(std::uint32_t row) const override;
  std::optional<std::uint32_t> find(Bytes id, std::uint64_t hash) const override;
  std::vector<ColumnSpec> columns() const override;
  std::vector<Chunk> chunks(std::uint32_t slot) const override;
  const Bitmap* presence(std::uint32_t slot) const override;
  const std::uint8_t* vector(std::uint32_t slot, std::uint32_t row) const override;
  std::vector<ValueSpec> values() const override;
  Bytes value(std::uint32_t slot, std::uint32_t row) const override;
  const TermIndex* terms(std::uint32_t slot) const override;
  const MultiIndex* multi_index(std::uint32_t) const override { return nullptr; }
  bool covers(std::uint32_t slot) const override;
  const VectorIndex* vector_index(std::uint32_t) const override { return nullptr; }
  const FieldIndex* index(std::string_view) const override { return nullptr; }
  std::size_t memory_bytes() const override { return head_->memory_bytes(); }
  /// Of the rows of this view; without codes where the slot has none.
  CodesSoFar codes(std::uint32_t slot) const;

 private:
  struct Column {
    ColumnSpec spec;
    std::vector<Head::ColumnChunk> chunks;
    std::unique_ptr<Bitmap> presence;  // null: all rows
    CodesSoFar codes;
  };
  struct Values {
    ValueSpec spec;
    std::vector<std::shared_ptr<Bytes[]>> chunks;
    std::shared_ptr<const TermIndex> terms;
    bool is_complete;
  };
  const Head::RowChunk& chunk_of(std::uint32_t row, std::uint32_t* at) const;
  const Column* column(std::uint32_t slot) const;
  const Values* values_at(std::uint32_t slot) const;

  std::shared_ptr<const Head> head_;
  std::uint32_t size_;
  std::vector<std::shared_ptr<Head::RowChunk>> chunks_;
  std::vector<Column> columns_;
  std::vector<Values> values_;
};

}  // namespace vicino
