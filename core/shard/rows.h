// What head and segment have in common: numbered rows with an id, a version, a document and vectors. Everything that reads a shard
// (search, filters, merges) goes through this interface, so codes and planners slot in without touching the callers.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "filter/field_index.h"
#include "index/chunk.h"
#include "kernels/vectors.h"
#include "maxsim/index.h"
#include "shard/batch.h"
#include "shard/value_column.h"
#include "shard/vector_index.h"
#include "sparse/term_index.h"
#include "util/bitmap.h"
#include "util/blob.h"

namespace vicino {

class Rows {
 public:
  explicit Rows(std::uint64_t key) : key_(key) {}
  virtual ~Rows() = default;

  /// Identity of the head or segment these rows belong to, for the life of the process.
  std::uint64_t key() const { return key_; }
  virtual std::uint32_t size() const = 0;
  virtual Bytes id(std::uint32_t row) const = 0;
  virtual Bytes document(std::uint32_t row) const = 0;
  virtual std::uint64_t version(std::uint32_t row) const = 0;
  /// The last row that was written under this id, dead or not.
  virtual std::optional<std::uint32_t> find(Bytes id, std::uint64_t hash) const = 0;

  virtual std::vector<ColumnSpec> columns() const = 0;
  /// Empty when no row has a vector in this slot.
  virtual std::vector<Chunk> chunks(std::uint32_t slot) const = 0;
  /// The same for a search: with codes, where there are any.
  virtual std::vector<Chunk> coded_chunks(std::uint32_t slot) const { return chunks(slot); }
  /// After a search that read so many rows of a slot without an index: makes codes of a share of the rows, so that later searches need not.
  virtual void code_rows(std::uint32_t, std::uint64_t) const {}
  /// Rows that have a vector in the slot; null: all of them. Only meaningful when chunks() is not empty.
  virtual const Bitmap* presence(std::uint32_t slot) const = 0;
  /// Whether vectors of the slot are kept as coded rows (kernels/coded_rows.h) instead of as they were written.
  virtual bool is_coded(std::uint32_t) const { return false; }
  /// The stored bytes of one vector, null when the row has none.
  virtual const std::uint8_t* vector(std::uint32_t slot, std::uint32_t row) const = 0;

  virtual std::vector<ValueSpec> values() const = 0;
  /// Empty when the row has none, and for text in a sealed segment, which keeps the terms alone.
  virtual Bytes value(std::uint32_t slot, std::uint32_t row) const = 0;
  /// The inverted form of a text or sparse column; null when there is none.
  virtual const TermIndex* terms(std::uint32_t slot) const = 0;
  /// What makes a multi-vector fast; null when there is none.
  virtual const MultiIndex* multi_index(std::uint32_t slot) const = 0;
  /// Whether every row that could have a value in the slot has had the chance: a text index that was made later covers rows once it is built.
  virtual bool covers(std::uint32_t slot) const = 0;

  /// Null: the column is scanned.
  virtual const VectorIndex* vector_index(std::uint32_t slot) const = 0;
  virtual const FieldIndex* index(std::string_view path) const = 0;
  /// Anonymous memory held, in bytes; mapped files do not count.
  virtual std::size_t memory_bytes() const = 0;

 private:
  std::uint64_t key_;
};

}  // namespace vicino
