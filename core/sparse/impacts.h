// The longer lists of a sparse column once more, in the form from which sums are made fastest: section `impacts` of a `.terms` container.
//
// Vectors such as SPLADE's leave little to prune: a query has dozens of terms, none of which decides, and the rows of nearly every posting have to
// be added up. What is read for that is where a row lies in its window, 16 bits, and how large its weight is, 8 bits, rounded up: three bytes that
// need no unpacking. What comes out is an upper bound close to the sum; the few rows it leaves are scored with the weights themselves.
//
//   u64 n, then per list u64 offset in `postings` (which says whose it is, ascending), u64 offset in this section
//   per list, at a multiple of 4:
//     u32 end of every window's postings, u16[df] row within its window, u8[df] weight in 255ths of the list's bound
//
// A window is 8,192 rows. Only lists with four postings a window and more have this form. The section is absent where no list is so long, where a
// weight is below 0, and from files of versions that did not write it: such an index is searched by its postings alone.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sparse/sealed_list.h"
#include "sparse/term_index.h"

namespace vicino {

constexpr std::uint32_t kImpactWindow = 1u << 13;

/// A weight in 255ths of `whole`, rounded up, so that what is read is no less.
std::uint8_t bound_code(float bound, float whole);

/// One list in this form, and where the weights themselves are.
struct ImpactList {
  std::span<const std::uint32_t> ends;  // by window
  const std::uint16_t* places = nullptr;
  const std::uint8_t* codes = nullptr;
  SealedList postings;
  std::uint32_t df = 0;

  std::uint32_t begin(std::uint32_t window) const { return window ? ends[window - 1] : 0; }
  /// Of the posting of a row; nothing when the term is not in it. Throws CorruptionError, naming `what`, when there are fewer weights than postings.
  std::optional<float> weight(std::uint32_t row, const std::string& what) const;
};

class Impacts {
 public:
  Impacts() = default;
  /// `section` is aligned; `name` is what errors call it. Both outlive this. Throws CorruptionError when the table does not fit.
  Impacts(Bytes section, Bytes postings, std::uint32_t n_rows, const std::string& name);

  /// Whether there are any at all.
  explicit operator bool() const { return !section_.empty(); }
  /// Of a term of this index; nothing when its list is too short to have one. Throws CorruptionError when it does not fit.
  std::optional<ImpactList> find(const TermInfo& term) const;
  const std::string& name() const { return name_; }
  Bytes bytes() const { return section_; }

 private:
  struct Place {
    std::uint64_t postings, impacts;
  };

  Bytes section_, postings_;
  std::span<const Place> places_;
  std::uint32_t n_windows_ = 0;
  std::string name_;
};

class ImpactsWriter {
 public:
  explicit ImpactsWriter(std::uint32_t n_rows) : n_windows_((n_rows + kImpactWindow - 1) / kImpactWindow) {}
  /// The list whose postings are at this offset; lists come in their order. Rows ascend, payloads are the bits of weights of at least 0.
  void add(std::uint64_t postings_offset, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> payloads);
  /// The section; empty when no list was long enough.
  std::string finish() &&;

 private:
  std::uint32_t n_windows_;
  std::vector<std::uint64_t> places_;
  std::string lists_;
};

}  // namespace vicino
