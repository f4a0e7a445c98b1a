// Lists of words as searches read them fastest: a posting is four bytes that need no unpacking. Kept in memory, as much of it as there is room for, made
// from the packed lists when a word is first asked for.
//
// The file keeps lists packed, at a byte a posting; unpacking them costs as much as adding them up. Stored in this form they would double the index, so
// common words are kept in memory instead: a collection is asked for some words again and again. What is kept is bounded by the rows of the segment. Where
// there is no more room, words that were not asked for lately make room, and others are searched packed: more words than there is room for must not push out
// each other. Nothing is kept where memory is limited (`SealedTerms::keep_in_memory`).
//
//   u32 a posting: bits 0-12 the row in its window of 8,192, bits 16-23 the length of the row's text, bits 24-26 the frequency less 1
//
// A posting whose frequency or length does not fit says so by a length that no text has here, and stands in full among the exceptions. Frequency and length
// are kept rather than a share of the score, so that the form holds for any constants of BM25 and any average length.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "sparse/term_index.h"

namespace vicino {

constexpr std::uint32_t kUnpackedWindow = 1u << 13;

struct UnpackedList {
  static constexpr std::uint32_t kFrequencies = 8, kLengths = 256, kCodes = kFrequencies * kLengths;
  static constexpr std::uint32_t kOther = TermIndex::kByteLengths;  // the code of exceptions: a length of the first frequency

  struct Exception {
    std::uint32_t row, frequency, length;
  };
  std::vector<std::uint32_t> ends;  // by window
  std::vector<std::uint32_t> postings;
  std::vector<Exception> exceptions;  // rows ascend
  std::uint32_t frequency_max = 0, length_max = 0;  // of the codes

  static std::uint32_t place(std::uint32_t posting) { return posting & (kUnpackedWindow - 1); }
  static std::uint32_t code(std::uint32_t posting) { return posting >> 16; }
  std::uint32_t begin(std::uint32_t window) const { return window ? ends[window - 1] : 0; }
  std::uint32_t count(std::uint32_t window) const { return ends[window] - begin(window); }
  /// The posting of a row; null when the word is not in it.
  const std::uint32_t* find(std::uint32_t row) const;
  /// The frequency and length of a posting of a row.
  Exception of(std::uint32_t row, std::uint32_t posting) const;
  std::size_t memory_bytes() const;
};

/// Whether an index has lists that can be unpacked: lengths of a byte.
inline bool can_unpack(const TermIndex& index) { return index.byte_lengths() != nullptr; }
/// Makes `out` the list of a term. False when too many of its postings would be exceptions. Throws CorruptionError as reading the list does.
bool unpack(const TermIndex& index, const TermInfo& term, UnpackedList& out);

/// The unpacked lists of one index that are kept. Safe to use from several threads.
class UnpackedLists {
 public:
  /// Shorter lists are unpacked as fast as they are found here.
  static constexpr std::uint32_t kShortest = 256;
  explicit UnpackedLists(std::uint32_t n_rows);
  /// The list of a term of kShortest postings and more; null when it cannot be kept.
  std::shared_ptr<const UnpackedList> get(const TermIndex& index, const TermInfo& term);
  std::size_t memory_bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Kept {
    std::shared_ptr<const UnpackedList> list;  // null: has too many exceptions
    std::atomic<std::uint64_t> asked{0};
  };
  void keep(const std::uint8_t* where, std::shared_ptr<const UnpackedList> list, std::uint64_t now);
  void make_room(std::size_t size, std::uint64_t now);

  const std::size_t bytes_max_;
  std::shared_mutex mutex_;
  std::unordered_map<const std::uint8_t*, Kept> kept_;  // by where the packed list begins
  std::atomic<std::uint64_t> clock_{0};    // lists asked for
  std::atomic<std::uint64_t> full_until_{0};  // nothing can be given up before
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace vicino
