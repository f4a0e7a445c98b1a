// Sealing and merging: the live rows of some entries, in order, as the sections of new files. One code path for both: a seal is a merge of
// one frozen head.
//
// Rows stand as they stood in the inputs, or in the order of inverted lists over one of their vectors, which are decided first then: every list
// is one run of the new file.
//
// Nothing is written here. Ids are built at once (a few bytes a row); documents and vectors are handed out in slices, so that the memory a
// rewrite takes does not grow with the size of its output beyond the id map and the row mapping.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shard/id_map.h"
#include "shard/snapshot.h"
#include "shard/vector_index.h"
#include "sparse/terms_builder.h"

namespace vicino {

class Segment;

class Rewrite {
 public:
  static constexpr std::uint32_t kDropped = ~std::uint32_t{0};

  /// inputs: positions of entries in `snapshot`, in the order their rows shall have. With keep_rows dead rows stay, with empty documents,
  /// so that new documents fit the old vectors.
  Rewrite(std::shared_ptr<const Snapshot> snapshot, std::vector<std::size_t> inputs, bool keep_rows = false);

  /// Puts the rows into the order of lists over a vector, those without one last. Before any section is asked for. coded: how the rows will be kept.
  void order_by_lists(const ColumnSpec& column, const VectorIndexParams& params, bool coded, unsigned threads, const Cancel& cancel);
  /// Writes the index of these lists over the rows as they were written. Once, after order_by_lists.
  void write_lists(const Segment& written, const ColumnSpec& column, const VectorIndexParams& params, unsigned threads, const Cancel& cancel,
                   PieceWriter& out);

  std::uint32_t n_rows() const { return static_cast<std::uint32_t>(sources_.size()); }
  const Snapshot& snapshot() const { return *snapshot_; }
  const std::vector<std::size_t>& inputs() const { return inputs_; }
  /// Output row of an input's row, or kDropped. `input` counts through inputs().
  std::uint32_t output_row(std::size_t input, std::uint32_t row) const { return mapping_[input][row]; }

  /// Codes of a frozen head that is the only input serve the rows as they were written too, in the slots that have no index to wait for
  /// the segment: what it holds by then is as fast to search as it was. Those of rows that now stand elsewhere are made by finish_codes.
  void carry_codes(const Segment& written, std::span<const std::uint32_t> slots) const;

  /// Upper bound of the memory that writing the sections takes, with documents and vectors in slices of `slice_bytes` or one row.
  std::size_t working_bytes(std::size_t slice_bytes) const;
  IdMap::Image ids() const;
  std::string versions() const;
  std::string document_offsets() const;
  std::string documents(std::uint32_t first, std::uint32_t count) const;

  /// False when no row of the output has this vector: then no file is written for it.
  bool has_column(const ColumnSpec& column) const;
  /// coded: rows are written as kernels/coded_rows.h draws them. Those that are coded already are copied.
  std::string column_meta(const ColumnSpec& column, bool coded = false) const;
  std::string vectors(const ColumnSpec& column, std::uint32_t first, std::uint32_t count, bool coded = false) const;
  std::string norms(const ColumnSpec& column, std::uint32_t first, std::uint32_t count, bool coded = false) const;
  /// Presence words, empty when every row has the vector.
  std::string presence(const ColumnSpec& column) const;

  /// Whether any row of the output has a value; for text, whether every input covers its rows, so that the terms are complete.
  bool has_values(const ValueSpec& column) const;
  std::string value_meta(const ValueSpec& column) const;
  std::string value_offsets(const ValueSpec& column) const;
  std::string values(const ValueSpec& column, std::uint32_t first, std::uint32_t count) const;
  /// The inverted index of a text or sparse column, as sections of a file.
  TermsBuilder::Image terms(const ValueSpec& column, const Cancel& cancel) const;
  /// The index of a multi column.
  std::vector<std::uint8_t> multi_index(const ValueSpec& column, unsigned threads, const Cancel& cancel) const;
  /// Upper bound of the memory that making the terms or the index takes.
  std::size_t terms_bytes(const ValueSpec& column) const;

 private:
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::size_t> inputs_;
  /// The lists of the input that has most of the rows.
  ListsBefore lists_before(const ColumnSpec& column, Dtype stored) const;
  void reorder(const std::vector<std::uint32_t>& order);
  Bytes document(Locator at) const;
  Bytes value(const ValueSpec& column, Locator at) const;
  void code_vector(const ColumnSpec& column, Locator at, std::uint8_t* out) const;

  std::vector<Locator> sources_;                     // per output row
  std::vector<std::vector<std::uint32_t>> mapping_;  // per input, per row
  std::optional<ListPlan> plan_;                     // of order_by_lists
};

}  // namespace vicino
