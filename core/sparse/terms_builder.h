// Makes the inverted index of a segment: from the values of single rows, or from the indexes of the segments and heads it replaces.
//
// Values of rows are taken apart as they come, their postings grouped by term at the end. Indexes are read at the end, all side by side, each term
// once: what is held of them is one term's list.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sparse/list_writer.h"
#include "sparse/sealed_terms.h"
#include "sparse/term_index.h"
#include "util/cancel.h"
#include "util/string_table.h"

namespace vicino {

class TermsBuilder {
 public:
  /// Sections of a `.terms` container, see sealed_terms.h.
  using Image = std::vector<std::pair<std::string, std::string>>;

  /// norm: its k1 and b are those the bounds are made for; the average is that of the rows themselves.
  TermsBuilder(TermsKind kind, std::uint32_t n_rows, LengthNorm norm = {});
  TermsBuilder(const TermsBuilder&) = delete;
  TermsBuilder& operator=(const TermsBuilder&) = delete;

  /// Adds the value of one row. Rows come in any order, each once.
  void add(std::uint32_t row, Bytes value);
  /// Adds rows of another index: its row i becomes mapping[i], RowMapping::kDropped leaves it out. Both must live until finish.
  void add(const TermIndex& index, std::span<const std::uint32_t> mapping);
  /// The same rows and values give the same bytes, whatever way they came.
  Image finish(const Cancel& cancel);

  /// Upper bound of the memory that adding an index and finishing takes.
  static std::size_t working_bytes(const TermIndex& index);

 private:
  struct Posting {
    std::uint32_t term, row, payload;
  };
  /// Postings of rows added one by one, in the order of their terms.
  class RowTerms;
  struct Input {
    const TermIndex* index;
    RowMapping mapping;
    std::unique_ptr<TermStream> terms;
  };
  void add_posting(std::string_view term, std::uint32_t row, std::uint32_t payload);
  void set_length(std::uint32_t row, std::uint32_t length);
  void append_dictionary(const Cancel& cancel, Image& image, std::uint32_t& n_terms, std::uint64_t& n_postings);
  void append_lengths(Image& image, TermsStats& stats) const;
  void append_presence(Image& image) const;

  TermsKind kind_;
  LengthNorm norm_;
  bool has_positions_ = false, lacks_positions_ = false, has_negative_ = false;
  std::uint32_t n_valued_ = 0;
  std::uint64_t total_length_ = 0;
  std::vector<std::uint32_t> lengths_;
  StringTable names_;
  std::vector<Posting> postings_;
  std::vector<std::uint32_t> gaps_;  // of all postings, in their order
  std::vector<Input> inputs_;
};

}  // namespace vicino
