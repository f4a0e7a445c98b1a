// A sealed segment: rows in immutable files, read in place. Opening checks headers and bounds and touches no data page.
//
// Containers, each a file of its own so that each can be replaced alone:
//   .ids      id_map.h
//   .fields   versions u64[n], offsets u64[n + 1], documents
//   .vectors  meta (u32 slot, u32 dim, u8 dtype, u8 metric, u8 how rows are kept, u8 0, u32 n), rows, norms f32[n] (cosine), presence u64[] (when a row lacks it)
//             rows are kept as they were written (0), or coded (1, kernels/coded_rows.h); norms are those of the rows as they are kept
//   .values   meta (u32 slot, u32 dim, u8 kind, u8 dtype, u8 metric, u8 0, u32 n), offsets u64[n + 1], bytes (value_column.h); not for text
//   .terms    meta (the same), sections of sparse/sealed_terms.h; for text and sparse
//   .multi    meta (the same), index (maxsim/index.h)
//   .graph    vector_index.h
//   .index    path (UTF-8), index (filter/field_index.h)
#pragma once
#include <map>
#include <optional>
#include <string>

#include "index/held_graph.h"
#include "shard/id_map.h"
#include "shard/rows.h"
#include "shard/sealed_codes.h"
#include "sparse/sealed_terms.h"
#include "storage/container.h"

namespace vicino {

class Segment final : public Rows {
 public:
  /// Throws CorruptionError when the containers do not fit together.
  static std::shared_ptr<const Segment> open(std::uint64_t key, const Container& ids, const Container& fields, const std::vector<Container>& vectors,
                                             const std::vector<Container>& vector_indexes, const std::vector<Container>& indexes,
                                             const std::vector<Container>& values = {}, const std::vector<Container>& terms = {},
                                             const std::vector<Container>& multis = {});
  /// The same rows with one part replaced or added; parts not named are shared.
  std::shared_ptr<const Segment> with_fields(const Container& fields) const;
  std::shared_ptr<const Segment> with_vector_index(const Container& index) const;
  std::shared_ptr<const Segment> without_vector_index(std::uint32_t slot) const;
  std::shared_ptr<const Segment> with_terms(const Container& terms) const;
  std::shared_ptr<const Segment> with_index(const Container& index) const;
  std::shared_ptr<const Segment> without_indexes(const std::string& path) const;
  std::shared_ptr<const Segment> without_column(std::uint32_t slot) const;
  /// Every checksum, offset, id and document.
  void verify() const;

  std::uint32_t size() const override { return ids_.size(); }
  Bytes id(std::uint32_t row) const override { return ids_[row]; }
  Bytes document(std::uint32_t row) const override;
  std::uint64_t version(std::uint32_t row) const override { return versions_[row]; }
  std::optional<std::uint32_t> find(Bytes id, std::uint64_t hash) const override { return ids_.find(id, hash); }
  std::vector<ColumnSpec> columns() const override;
  std::vector<Chunk> chunks(std::uint32_t slot) const override;
  std::vector<Chunk> coded_chunks(std::uint32_t slot) const override;
  void code_rows(std::uint32_t slot, std::uint64_t n_read) const override;
  const Bitmap* presence(std::uint32_t slot) const override;
  bool is_coded(std::uint32_t slot) const override;
  const std::uint8_t* vector(std::uint32_t slot, std::uint32_t row) const override;
  std::vector<ValueSpec> values() const override;
  Bytes value(std::uint32_t slot, std::uint32_t row) const override;
  const TermIndex* terms(std::uint32_t slot) const override;
  const MultiIndex* multi_index(std::uint32_t slot) const override;
  bool covers(std::uint32_t slot) const override { return terms(slot) != nullptr; }
  const VectorIndex* vector_index(std::uint32_t slot) const override;
  /// Graphs are copied into memory when they are first searched.
  void keep_graphs_in_memory() const;
  const FieldIndex* index(std::string_view path) const override;
  std::size_t memory_bytes() const override;
  /// Codes of a slot without an index; null where it has one, or its rows no use for codes. As long as these rows are there.
  SealedCodes* codes(std::uint32_t slot) const;
  /// Whom all codes of these rows ask for room; and that those of one slot (none: of all) are given up, until they are made anew.
  void ask_for_codes(const HasRoom& has_room) const;
  void give_up_codes(std::optional<std::uint32_t> slot) const;
  /// Goes on from the codes of the same segment that was opened before.
  void take_codes(const Segment& before) const;
  /// Codes what codes that were taken over do not reach.
  void finish_codes(const Cancel& cancel) const;

 private:
  struct Column {
    ColumnSpec spec;
    VectorBlock block;
    std::shared_ptr<const Bitmap> presence;  // null: all rows
    std::shared_ptr<const VectorIndex> index;  // null: scanned
    std::shared_ptr<SealedCodes> codes;        // to scan by; null: where there is an index, or none pay
    std::vector<Container> containers;
  };
  struct Values {
    ValueSpec spec;
    std::span<const std::uint64_t> offsets;  // empty for text
    Bytes bytes;
    std::shared_ptr<const SealedTerms> terms;
    std::shared_ptr<const MultiIndex> multi;
    std::vector<Container> containers;
  };
  explicit Segment(std::uint64_t key) : Rows(key) {}
  Segment(const Segment&) = default;
  void set_fields(const Container& container);
  void add_vectors(const Container& container);
  void set_vector_index(const Container& container);
  static void scan_by_codes(Column& column);
  void add_index(const Container& container);
  void add_values(const Container& container);
  void set_terms(const Container& container);
  void set_multi(const Container& container);
  Values& values_of(const Container& container);

  IdMap ids_;
  Container ids_container_, fields_container_;
  std::span<const std::uint64_t> versions_, offsets_;
  Bytes documents_;
  std::map<std::uint32_t, Column> columns_;
  std::map<std::uint32_t, Values> values_;
  struct Index {
    Container container;
    std::shared_ptr<const FieldIndex> index;
  };
  std::map<std::string, Index, std::less<>> indexes_;
};

}  // namespace vicino
