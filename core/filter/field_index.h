// The field index of one path over the rows of one segment: an immutable buffer that turns a leaf condition into a bitmap.
//
//   buffer  = magic "vicinoix", u32 format, u32 flags, u64 n_rows, u64 n_sections, (u64 offset, u64 size) per section, sections
//   flags   = 1: strings are indexed whole   2: words of strings are indexed   4: some row has several values
//
//   section                     contents
//   0 bools 1 ints 2 datetimes 3 string datetimes    postings of int64 keys; the last holds strings that read as a datetime
//   4 floats                    postings of float64 keys
//   5 uuids                     postings of 16-byte keys
//   6 strings 7 words           postings of text keys
//   8 counts                    postings of int64 keys, each with a row set in place of a list
//   9 null 10 empty 11 existing 12 other 13 several strings    row sets
//
//   postings of fixed keys      u64 n, u64 n_postings, keys[n], u64 ends[n], u32 rows[n_postings]: keys and the rows of each ascend; the
//                               rows of key i end at ends[i]
//   postings of text keys       u64 n, u64 n_postings, u64 key_ends[n], u64 ends[n], u32 rows[n_postings], bytes of all keys
//   counts                      u64 n, i64 keys[n], u64 ends[n] in bytes, row sets
//   row set                     u64 form, u64 n rows in it; then by form 0: u32 rows[n], 1: u32 rows outside it, 2: u64 words of a bitmap
//
// A number or string range is a run of keys, and their rows are one run of the row array. Everything starts at a multiple of eight bytes.
// "Other" are rows with a value that is neither null nor a scalar (object, inner list, geo point): what `NotIn` also counts.
// An index of kind text holds the words of strings in place of the strings, which keeps long texts from being stored twice.
//
// Opening reads the section table and nothing else; every later access checks its bounds and throws CorruptionError.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "filter/condition.h"
#include "filter/evaluate.h"
#include "util/bitmap.h"
#include "util/blob.h"
#include "util/cancel.h"

namespace vicino {

enum class FieldIndexKind : std::uint8_t { scalar, text };

/// Of the kinds users name: "scalar", "text", or "auto", which is scalar. Throws InvalidArgument.
FieldIndexKind index_kind(std::string_view name);

namespace field_index {

enum Section : std::size_t {
  kBools, kInts, kDatetimes, kStringDatetimes, kFloats, kUuids, kStrings, kWords, kCounts, kNull, kEmpty, kExisting, kOther,
  kSeveralStrings, kSectionCount
};

enum Flag : std::uint32_t { kHasStrings = 1, kHasWords = 2, kSeveralValues = 4 };
inline constexpr std::uint32_t kKnownFlags = kHasStrings | kHasWords | kSeveralValues;

inline constexpr std::uint64_t kMagic = 0x78696f6e69636976;  // "vicinoix"
inline constexpr std::uint32_t kFormat = 1;

enum RowSetForm : std::uint64_t { kRowsInside, kRowsOutside, kRowWords };

inline constexpr std::size_t kHeaderBytes = 32;  // before the section table

}  // namespace field_index

class FieldIndex {
 public:
  /// Rows that meet a test, and rows for which the index alone cannot say.
  struct Answer {
    Bitmap rows;
    std::optional<Bitmap> unsure;
  };

  static FieldIndex open(Blob blob);

  std::size_t n_rows() const { return n_rows_; }
  std::size_t size_bytes() const { return blob_.size(); }
  FieldIndexKind kind() const { return knows_values() ? FieldIndexKind::scalar : FieldIndexKind::text; }

  /// Whether `answer` knows this kind of test; cheap.
  bool answers(const filter::Test& test) const;
  /// Exact, but for the rows it is unsure of. `answers(test)` must hold.
  Answer answer(const filter::Test& test, const Cancel& cancel) const;
  /// Over all rows of the segment. `answers(test)` must hold.
  Cardinality estimate(const filter::Test& test) const;

  /// Whether `each_value` visits every scalar value at the path, which an index of kind text does not.
  bool knows_values() const { return (flags_ & field_index::kHasStrings) != 0; }
  /// Calls `visit(value, rows)` for each distinct scalar value; rows ascend.
  void each_value(const std::function<void(const Scalar&, const std::vector<std::uint32_t>&)>& visit) const;

 private:
  explicit FieldIndex(Blob blob) : blob_(std::move(blob)) {}

  Blob blob_;
  std::uint32_t flags_ = 0;
  std::size_t n_rows_ = 0;
  std::array<Bytes, field_index::kSectionCount> sections_;
};

/// The bytes of an index over all rows of the source, the same for the same rows. Reads each document once. Throws Cancelled.
std::vector<std::uint8_t> build_field_index(const RowSource& source, std::string_view path, FieldIndexKind kind, const Cancel& cancel);

/// The anonymous memory that building takes at its peak, the result included, allocator overhead aside. Reads each document once.
std::size_t field_index_build_bytes(const RowSource& source, std::string_view path, FieldIndexKind kind, const Cancel& cancel);

}  // namespace vicino
