// The postings of one term while an index is made, and their form in a `.terms` container (sealed_terms.h).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sparse/term_index.h"

namespace vicino {

/// Postings of one term. Filled, written, cleared, and filled again with the next term's.
struct TermList {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> payloads;  // tf, or the bits of a weight
  std::vector<std::uint32_t> gaps;      // with positions: of every posting its tf gaps, the first from 0

  std::uint32_t df() const { return static_cast<std::uint32_t>(rows.size()); }
  void clear();
  /// Makes rows ascend.
  void sort(bool has_positions);
};

class ListWriter {
 public:
  /// lengths: by row; norm: what bounds are made for.
  ListWriter(TermsKind kind, bool has_positions, std::span<const std::uint32_t> lengths, const LengthNorm& norm)
      : kind_(kind), has_positions_(has_positions), lengths_(lengths), norm_(norm) {}

  /// Appends a list of sorted rows: of a single posting to `entry`, else to `postings`, and its positions, if it is long, to `positions`.
  void write(const TermList& list, std::string& entry, std::string& postings, std::string& positions);

 private:
  struct Part {
    std::size_t begin, end, first_gap;
  };
  void write_single(const TermList& list, std::string& out) const;
  void write_short(const TermList& list, std::string& out);
  void write_long(const TermList& list, std::string& postings, std::string& positions);
  float bound_of(const TermList& list, const Part& part) const;
  void append_block(const TermList& list, const Part& part, std::uint32_t first_row, std::string& out) const;
  void append_positions(const TermList& list, const Part& part, std::string& out) const;
  Part part_of(const TermList& list, std::size_t begin, std::size_t first_gap) const;

  TermsKind kind_;
  bool has_positions_;
  std::span<const std::uint32_t> lengths_;
  const LengthNorm& norm_;
};

}  // namespace vicino
