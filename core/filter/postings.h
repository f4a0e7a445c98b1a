// Reading the sections of a field index (drawn in field_index.h) from bytes that may hold anything.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "filter/field_index.h"
#include "util/bitmap.h"
#include "util/byte_io.h"

namespace vicino::field_index {

[[noreturn]] inline void fail(const std::string& problem) {
  throw CorruptionError("a field index is damaged: " + problem + "; drop the index and create it anew, or restore from a snapshot");
}

/// Numbers in place, wherever they are aligned.
template <class Number>
class Array {
 public:
  Array() = default;
  explicit Array(Bytes bytes) : data_(bytes.data()), size_(bytes.size() / sizeof(Number)) {}
  std::size_t size() const { return size_; }
  Number operator[](std::size_t i) const {
    Number number;
    std::memcpy(&number, data_ + i * sizeof number, sizeof number);
    return number;
  }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class Number>
Array<Number> read_array(ByteReader& reader, std::uint64_t count) {
  if (count > reader.remaining() / sizeof(Number)) {
    fail("an array of " + std::to_string(count) + " numbers in " + std::to_string(reader.remaining()) + " bytes");
  }
  return Array<Number>(reader.take(static_cast<std::size_t>(count) * sizeof(Number)));
}

/// Adds rows to a bitmap, none past its end.
inline void set_row(Bitmap& rows, std::uint32_t row) {
  if (row >= rows.size()) fail("row " + std::to_string(row) + " of " + std::to_string(rows.size()));
  rows.set(row);
}

/// The row lists of a section's keys, end to end.
class RowRuns {
 public:
  RowRuns() = default;
  RowRuns(Array<std::uint64_t> ends, Array<std::uint32_t> rows) : ends_(ends), rows_(rows) {}

  std::uint64_t begin_of(std::size_t key) const { return key == 0 ? 0 : checked_end(key - 1); }
  /// Number of postings of keys [from, to).
  std::uint64_t count(std::size_t from, std::size_t to) const {
    if (from >= to) return 0;
    const std::uint64_t begin = begin_of(from);
    const std::uint64_t end = checked_end(to - 1);
    if (begin > end) fail("row lists out of order");
    return end - begin;
  }
  void add(std::size_t from, std::size_t to, Bitmap& into) const {
    const std::uint64_t n = count(from, to);
    const std::uint64_t begin = n == 0 ? 0 : begin_of(from);
    for (std::uint64_t i = begin; i < begin + n; ++i) set_row(into, rows_[static_cast<std::size_t>(i)]);
  }
  std::vector<std::uint32_t> rows_of(std::size_t key) const {
    const std::uint64_t n = count(key, key + 1);
    std::vector<std::uint32_t> rows(static_cast<std::size_t>(n));
    const std::uint64_t begin = begin_of(key);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = rows_[static_cast<std::size_t>(begin) + i];
    return rows;
  }
  std::uint64_t n_postings() const { return rows_.size(); }

 private:
  std::uint64_t checked_end(std::size_t key) const {
    const std::uint64_t end = ends_[key];
    if (end > rows_.size()) fail("a row list that ends at " + std::to_string(end) + " of " + std::to_string(rows_.size()));
    return end;
  }

  Array<std::uint64_t> ends_;
  Array<std::uint32_t> rows_;
};

struct KeyRun {
  std::size_t from, to;
};

/// The first position that `reached` holds for, by bisection; once it holds, it holds for the rest.
template <class Reached>
std::size_t first_position(std::size_t size, Reached&& reached) {
  std::size_t low = 0;
  for (std::size_t high = size; low < high;) {
    const std::size_t middle = low + (high - low) / 2;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/// Keys of fixed size.
template <class Key>
class FixedPostings {
 public:
  explicit FixedPostings(Bytes section) {
    if (section.empty()) return;
    ByteReader reader(section, "a field index");
    const auto n = reader.read<std::uint64_t>();
    const auto n_postings = reader.read<std::uint64_t>();
    keys_ = read_array<Key>(reader, n);
    const auto ends = read_array<std::uint64_t>(reader, n);
    runs = RowRuns(ends, read_array<std::uint32_t>(reader, n_postings));
  }
  std::size_t size() const { return keys_.size(); }
  Key key(std::size_t i) const { return keys_[i]; }
  KeyRun all() const { return {0, size()}; }
  KeyRun within(const Interval<Key>& interval) const {
    const std::size_t from = first([&](const Key& key) { return !(key < interval.low); });
    const std::size_t to = first([&](const Key& key) { return interval.high < key; });
    return {from, std::max(from, to)};
  }
  KeyRun equal(const Key& wanted) const {
    const std::size_t from = first([&](const Key& key) { return !(key < wanted); });
    return {from, from < size() && key(from) == wanted ? from + 1 : from};
  }

  RowRuns runs;

 private:
  template <class Reached>
  std::size_t first(Reached&& reached) const { return first_position(size(), [&](std::size_t i) { return reached(key(i)); }); }

  Array<Key> keys_;
};

/// Keys of text.
class TextPostings {
 public:
  explicit TextPostings(Bytes section) {
    if (section.empty()) return;
    ByteReader reader(section, "a field index");
    const auto n = reader.read<std::uint64_t>();
    const auto n_postings = reader.read<std::uint64_t>();
    key_ends_ = read_array<std::uint64_t>(reader, n);
    const auto ends = read_array<std::uint64_t>(reader, n);
    runs = RowRuns(ends, read_array<std::uint32_t>(reader, n_postings));
    text_ = reader.take(reader.remaining());
  }
  std::size_t size() const { return key_ends_.size(); }
  std::string_view key(std::size_t i) const {
    const std::uint64_t begin = i == 0 ? 0 : key_ends_[i - 1];
    const std::uint64_t end = key_ends_[i];
    if (begin > end || end > text_.size()) {
      fail("a text key from " + std::to_string(begin) + " to " + std::to_string(end) + " of " + std::to_string(text_.size()) + " bytes");
    }
    return {reinterpret_cast<const char*>(text_.data()) + begin, static_cast<std::size_t>(end - begin)};
  }
  KeyRun all() const { return {0, size()}; }
  KeyRun within(const StringRange& range) const {
    std::size_t from = 0;
    std::size_t to = size();
    const std::optional<StringRange::Bound>& low = range.from;
    const std::optional<StringRange::Bound>& high = range.to;
    if (low) from = first([&](std::string_view key) { return low->inclusive ? key >= low->text : key > low->text; });
    if (high) to = first([&](std::string_view key) { return high->inclusive ? key > high->text : key >= high->text; });
    return {from, std::max(from, to)};
  }
  KeyRun with_prefix(std::string_view prefix) const {
    const std::size_t from = first([&](std::string_view key) { return key >= prefix; });
    const std::size_t to = first([&](std::string_view key) { return key.substr(0, prefix.size()) > prefix; });
    return {from, std::max(from, to)};
  }
  KeyRun equal(std::string_view wanted) const {
    const std::size_t from = first([&](std::string_view key) { return key >= wanted; });
    return {from, from < size() && key(from) == wanted ? from + 1 : from};
  }

  RowRuns runs;

 private:
  template <class Reached>
  std::size_t first(Reached&& reached) const { return first_position(size(), [&](std::size_t i) { return reached(key(i)); }); }

  Array<std::uint64_t> key_ends_;
  Bytes text_;
};

/// A set of rows in whichever form is smallest.
class RowSet {
 public:
  RowSet(Bytes bytes, std::size_t n_rows) : n_rows_(n_rows) {
    ByteReader reader(bytes, "a field index");
    form_ = reader.read<std::uint64_t>();
    count_ = reader.read<std::uint64_t>();
    if (count_ > n_rows || form_ > kRowWords) fail("a set of " + std::to_string(count_) + " rows in form " + std::to_string(form_));
    if (form_ == kRowWords) words_ = read_array<std::uint64_t>(reader, (n_rows + 63) / 64);
    else listed_ = read_array<std::uint32_t>(reader, form_ == kRowsInside ? count_ : n_rows - count_);
  }
  std::size_t count() const { return static_cast<std::size_t>(count_); }
  void add(Bitmap& into) const {
    if (form_ == kRowsInside) {
      for (std::size_t i = 0; i < listed_.size(); ++i) set_row(into, listed_[i]);
      return;
    }
    Bitmap rows(n_rows_);
    for (std::size_t i = 0; i < words_.size(); ++i) rows.words()[i] = words_[i];
    if (form_ == kRowsOutside) {
      for (std::size_t i = 0; i < listed_.size(); ++i) set_row(rows, listed_[i]);
      rows.flip();
    }
    into |= rows;  // clears what damaged words may hold past the last row
  }

 private:
  std::size_t n_rows_;
  std::uint64_t form_ = kRowsInside;
  std::uint64_t count_ = 0;
  Array<std::uint32_t> listed_;
  Array<std::uint64_t> words_;
};

/// Row sets by number of values; a row with several targets may be in several.
class CountSets {
 public:
  CountSets(Bytes section, std::size_t n_rows) : n_rows_(n_rows) {
    ByteReader reader(section, "a field index");
    const auto n = reader.read<std::uint64_t>();
    keys_ = read_array<std::int64_t>(reader, n);
    ends_ = read_array<std::uint64_t>(reader, n);
    sets_ = reader.take(reader.remaining());
  }
  template <class Visit>
  void each_within(const Interval<std::int64_t>& counts, Visit&& visit) const {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (!counts.contains(keys_[i])) continue;
      const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
      if (begin > ends_[i] || ends_[i] > sets_.size()) fail("a row set that ends at byte " + std::to_string(ends_[i]));
      visit(RowSet(sets_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(ends_[i] - begin)), n_rows_));
    }
  }

 private:
  std::size_t n_rows_;
  Array<std::int64_t> keys_;
  Array<std::uint64_t> ends_;
  Bytes sets_;
};

}  // namespace vicino::field_index
