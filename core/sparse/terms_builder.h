// Makes the inverted index of a segment: from the values of single rows, or from the indexes of the segments and heads it replaces.
#pragma once
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sparse/term_index.h"
#include "util/cancel.h"

namespace vicino {

class TermsBuilder {
 public:
  static constexpr std::uint32_t kDropped = 0xffffffff;
  /// Sections of a `.terms` container, see sealed_terms.h.
  using Image = std::vector<std::pair<std::string, std::string>>;

  /// norm: its k1 and b are those the bounds are made for; the average is that of the rows themselves.
  TermsBuilder(TermsKind kind, std::uint32_t n_rows, LengthNorm norm = {});

  /// Adds the value of one row. Rows come in any order, each once.
  void add(std::uint32_t row, Bytes value);
  /// Adds rows of another index: its row i becomes mapping[i], kDropped leaves it out.
  void add(const TermIndex& index, std::span<const std::uint32_t> mapping, const Cancel& cancel);
  /// The same rows and values give the same bytes, whatever way they came.
  Image finish(const Cancel& cancel);

  /// Upper bound of the memory that adding an index and finishing takes.
  static std::size_t working_bytes(const TermIndex& index);

 private:
  struct Posting {
    std::uint32_t row, payload, positions;  // positions: where the first of `payload` gaps begins in gaps_
  };
  struct List {
    std::vector<Posting> postings;
  };
  List& list_of(std::string_view term);
  void set_length(std::uint32_t row, std::uint32_t length);
  void write_list(List& list, std::string& postings, std::string& positions) const;
  void write_short(const List& list, std::string& out) const;
  void write_long(const List& list, std::string& out) const;
  float bound_of(std::span<const Posting> postings) const;
  std::string positions_of(std::span<const Posting> postings) const;

  TermsKind kind_;
  LengthNorm norm_;
  bool has_positions_ = false, lacks_positions_ = false, has_negative_ = false;
  std::uint32_t n_valued_ = 0;
  std::uint64_t total_length_ = 0;
  std::vector<std::uint32_t> lengths_;
  std::unordered_map<std::string, List> lists_;
  std::string gaps_;  // varint gaps of all positions
};

}  // namespace vicino
