// The postings of one term while an index is made, and their form in a `.terms` container (sealed_terms.h).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sparse/term_index.h"

namespace vicino {

class ListWriter {
 public:
  /// lengths: by row; norm: what bounds are made for.
  ListWriter(TermsKind kind, bool has_positions, std::span<const std::uint32_t> lengths, const LengthNorm& norm)
      : kind_(kind), has_positions_(has_positions), lengths_(lengths), norm_(norm) {}

  /// Appends a list of sorted rows: of a single posting to `entry`, else to `postings`, and its positions, if it is long, to `positions`.
  void write(const TermList& list, std::string& entry, std::string& postings, std::string& positions);

 private:
  struct Part {
    std::size_t begin, end, first_other;
    std::size_t size() const { return end - begin; }
  };
  void write_single(const TermList& list, std::string& out) const;
  void write_short(const TermList& list, std::string& out);
  void write_long(const TermList& list, std::string& postings, std::string& positions);
  float bound_of(const TermList& list, const Part& part) const;
  void append_block(const TermList& list, const Part& part, std::uint32_t first_row, std::string& out) const;
  /// Returns where the others of the part end.
  std::size_t append_positions(const TermList& list, const Part& part, std::string& out) const;

  TermsKind kind_;
  bool has_positions_;
  std::span<const std::uint32_t> lengths_;
  const LengthNorm& norm_;
  // Of the long list being written.
  std::vector<std::uint32_t> last_rows_, ends_, ends_of_positions_;
  std::vector<float> bounds_;
  std::string bodies_, bodies_of_positions_;
};

}  // namespace vicino
