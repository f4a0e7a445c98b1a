// From the terms of documents to the values a text index stores (sparse/text_value.h).
//
// The terms of a value ascend by bytes. Documents come in slices: the distinct terms of a slice are put in order once, and those of a document by their
// places in that order, which are numbers. Sorting each document's terms by their bytes took as long as all else that is done to them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "util/string_table.h"

namespace vicino::text {

class ValueWriter {
 public:
  /// Begins a slice of documents, whose terms are numbers of the table.
  void begin(const StringTable& terms);
  /// Adds a term to the document that is being added. Positions come in any order.
  void add(std::uint32_t term, std::uint32_t position) {
    std::uint32_t& number = number_of_[term];
    if (number == kNone) {
      number = static_cast<std::uint32_t>(distinct_.size());
      distinct_.push_back(term);
    }
    occurrences_.push_back(std::uint64_t{number} << 32 | position);
  }
  /// Ends the document, of so many words; one that is not present has no value.
  void end_document(bool is_present, std::uint32_t length) { documents_.push_back({occurrences_.size(), length, is_present}); }
  /// Appends the values of the slice's documents, and where each ends.
  void write(bool positions, std::string& data, std::vector<std::uint64_t>& offsets);

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Document {
    std::size_t end;  // of its occurrences
    std::uint32_t length;
    bool is_present;
  };
  /// A distinct term of the slice.
  struct Term {
    std::uint64_t begins;  // first_bytes of it
    const char* bytes;
    std::uint32_t size, number;
  };
  struct Group {
    std::uint32_t place, first, last;  // of the document's occurrences
  };

  void order_terms();
  void write_document(std::uint64_t* begin, std::uint64_t* end, std::uint32_t length, bool positions, std::string& data);

  const StringTable* terms_ = nullptr;
  std::vector<std::uint32_t> number_of_;  // by term: its number in the slice
  std::vector<std::uint32_t> distinct_;   // by number
  std::vector<std::uint64_t> occurrences_;  // number and position
  std::vector<Document> documents_;
  std::vector<Term> ordered_;
  std::vector<std::uint32_t> places_;  // by number: in ordered_
  std::vector<Group> groups_;
  std::vector<char> value_;
};

}  // namespace vicino::text
