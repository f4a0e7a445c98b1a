// Building a field index: one pass that gathers (key, row) pairs, a sort by key and row, and the buffer.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "fields/datetime_text.h"
#include "fields/unicode.h"
#include "filter/field_index.h"
#include "util/byte_io.h"
#include "util/hash.h"

namespace vicino {

using namespace field_index;

namespace {

constexpr std::size_t kRowsPerCheck = 1024;

template <class Key>
struct Posting {
  Key key;
  std::uint32_t row;
};

/// Hands every target, value and word at the path of every row to a sink, and says where rows begin and end.
template <class Sink>
void walk(const RowSource& source, const Path& path, FieldIndexKind kind, const Cancel& cancel, Sink& sink) {
  for (std::size_t row = 0; row < source.rows(); ++row) {
    if (row % kRowsPerCheck == 0) cancel.check();
    const Object document(source.document(row));
    sink.begin_row(static_cast<std::uint32_t>(row));
    path.any_target(document, [&](const Value& target) {
      sink.target(target);
      if (!target.is_list()) {
        sink.value(target);
        return false;
      }
      for (ListCursor element(target); element.next();) sink.value(element.value());
      return false;
    });
    if (kind == FieldIndexKind::text) {
      path.any_value(document, [&](const Value& value) {
        if (value.type() == ValueType::string)
          for (WordCursor cursor(value.as_string()); cursor.next();) sink.word(cursor.word());
        return false;
      });
    }
    sink.end_row();
  }
}

/// How much there is of each kind, to foretell the memory.
struct Counts {
  std::size_t fixed = 0, uuids = 0, strings = 0, string_bytes = 0, words = 0, distinct_words = 0, distinct_word_bytes = 0, targets = 0;
  std::unordered_set<std::uint64_t> seen_words;

  void begin_row(std::uint32_t) {}
  void end_row() {}
  void target(const Value&) { ++targets; }
  void value(const Value& value) {
    if (value.type() == ValueType::string) {
      ++strings;
      string_bytes += value.as_string().size();
    } else if (value.type() == ValueType::uuid) {
      ++uuids;
    } else {
      ++fixed;
    }
  }
  void word(const std::string& word) {
    ++words;
    if (!seen_words.insert(hash_bytes({reinterpret_cast<const std::uint8_t*>(word.data()), word.size()})).second) return;
    ++distinct_words;
    distinct_word_bytes += word.size();
  }
};

template <class Key>
void sort_unique(std::vector<Posting<Key>>& postings) {
  const auto same = [](const auto& a, const auto& b) { return a.key == b.key && a.row == b.row; };
  std::ranges::sort(postings, [](const auto& a, const auto& b) { return a.key != b.key ? a.key < b.key : a.row < b.row; });
  postings.erase(std::unique(postings.begin(), postings.end(), same), postings.end());
}

/// The pairs of all rows. Strings are views into the source.
class Gathering {
 public:
  Gathering(std::size_t n_rows, FieldIndexKind kind)
      : kind_(kind), null(n_rows), empty(n_rows), existing(n_rows), other(n_rows), several_strings(n_rows) {}

  void begin_row(std::uint32_t row) {
    row_ = row;
    n_values_ = n_strings_ = 0;
    is_empty_ = true;
    row_words_.clear();
  }
  void target(const Value& target) {
    existing.set(row_);
    const bool is_empty_list = target.is_list() && target.list_size() == 0;
    if (!target.is_null() && !is_empty_list) is_empty_ = false;
    const std::uint64_t count = target.is_list() ? target.list_size() : target.is_null() ? 0 : 1;
    counts.push_back({static_cast<std::int64_t>(count), row_});
  }
  void value(const Value& value) {
    ++n_values_;
    switch (value.type()) {
      case ValueType::null: null.set(row_); break;
      case ValueType::boolean: bools.push_back({value.as_bool(), row_}); break;
      case ValueType::integer: integers.push_back({value.as_int(), row_}); break;
      case ValueType::number: floats.push_back({value.as_float() + 0.0, row_}); break;  // turns -0.0 into 0.0, its equal
      case ValueType::datetime: datetimes.push_back({value.as_datetime(), row_}); break;
      case ValueType::uuid: uuids.push_back({value.as_uuid(), row_}); break;
      case ValueType::string: string(value.as_string()); break;
      default: other.set(row_);
    }
  }
  void word(const std::string& word) {
    row_words_.push_back(dictionary.try_emplace(word, static_cast<std::uint32_t>(dictionary.size())).first->second);
  }
  void end_row() {
    if (!existing.test(row_)) counts.push_back({0, row_});
    if (is_empty_) empty.set(row_);
    if (n_values_ > 1) has_several_values = true;
    if (n_strings_ > 1) several_strings.set(row_);
    std::ranges::sort(row_words_);
    row_words_.erase(std::unique(row_words_.begin(), row_words_.end()), row_words_.end());
    for (const std::uint32_t id : row_words_) words.push_back({id, row_});
  }

 private:
  void string(std::string_view text) {
    ++n_strings_;
    if (kind_ == FieldIndexKind::scalar) strings.push_back({text, row_});
    if (const auto instant = parse_instant(text)) string_datetimes.push_back({*instant, row_});
  }

  FieldIndexKind kind_;
  std::uint32_t row_ = 0;
  std::size_t n_values_ = 0, n_strings_ = 0;
  bool is_empty_ = true;
  std::vector<std::uint32_t> row_words_;

 public:
  bool has_several_values = false;
  std::vector<Posting<std::int64_t>> bools, integers, datetimes, string_datetimes, counts;
  std::vector<Posting<double>> floats;
  std::vector<Posting<Uuid>> uuids;
  std::vector<Posting<std::string_view>> strings;
  std::unordered_map<std::string, std::uint32_t> dictionary;
  std::vector<Posting<std::uint32_t>> words;
  Bitmap null, empty, existing, other, several_strings;
};

/// Writes the sections one after the other, each at a multiple of eight bytes.
class Writer {
 public:
  Writer(std::size_t n_rows, std::uint32_t flags) : n_rows_(n_rows) {
    out_.resize(kHeaderBytes + kSectionCount * 16);
    const std::uint64_t header[] = {kMagic, kFormat | std::uint64_t{flags} << 32, n_rows, kSectionCount};
    std::memcpy(out_.data(), header, sizeof header);
  }

  template <class Key>
  void fixed(Section id, std::vector<Posting<Key>> postings) {
    if (postings.empty()) return;
    sort_unique(postings);
    const auto start = begin();
    const auto ends = ends_of(postings);
    put(std::uint64_t{ends.size()});
    put(std::uint64_t{postings.size()});
    for (const std::uint64_t end : ends) put(postings[end - 1].key);
    rows_of(postings, ends);
    finish(id, start);
  }

  void text(Section id, std::vector<Posting<std::string_view>> postings) {
    if (postings.empty()) return;
    const auto start = begin();
    const auto ends = ends_of(postings);
    put(std::uint64_t{ends.size()});
    put(std::uint64_t{postings.size()});
    std::uint64_t key_end = 0;
    for (const std::uint64_t end : ends) put(key_end += postings[end - 1].key.size());
    rows_of(postings, ends);
    for (const std::uint64_t end : ends) append(postings[end - 1].key.data(), postings[end - 1].key.size());
    finish(id, start);
  }

  void set(Section id, const Bitmap& rows) {
    const auto start = begin();
    row_set(rows);
    finish(id, start);
  }

  void counts(std::vector<Posting<std::int64_t>> postings) {
    sort_unique(postings);
    const auto start = begin();
    const auto ends = ends_of(postings);
    put(std::uint64_t{ends.size()});
    for (const std::uint64_t end : ends) put(postings[end - 1].key);
    const std::size_t set_ends = out_.size();
    out_.resize(out_.size() + ends.size() * 8);
    const std::size_t sets = out_.size();
    std::size_t from = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      Bitmap rows(n_rows_);
      for (; from < ends[i]; ++from) rows.set(postings[from].row);
      row_set(rows);
      const std::uint64_t end = out_.size() - sets;
      std::memcpy(out_.data() + set_ends + i * 8, &end, 8);
    }
    finish(kCounts, start);
  }

  std::vector<std::uint8_t> take() && { return std::move(out_); }

 private:
  template <class Key>
  static std::vector<std::uint64_t> ends_of(const std::vector<Posting<Key>>& postings) {
    std::vector<std::uint64_t> ends;
    for (std::size_t i = 0; i < postings.size(); ++i)
      if (i + 1 == postings.size() || postings[i].key != postings[i + 1].key) ends.push_back(i + 1);
    return ends;
  }
  template <class Key>
  void rows_of(const std::vector<Posting<Key>>& postings, const std::vector<std::uint64_t>& ends) {
    append(ends.data(), ends.size() * 8);
    for (const auto& posting : postings) put(posting.row);
  }

  void row_set(const Bitmap& rows) {
    const std::size_t n = rows.count();
    const std::size_t n_outside = n_rows_ - n;
    const std::size_t words_bytes = rows.n_words() * 8;
    const RowSetForm form = std::min(n, n_outside) * 4 >= words_bytes ? kRowWords : n <= n_outside ? kRowsInside : kRowsOutside;
    put(std::uint64_t{form});
    put(std::uint64_t{n});
    if (form == kRowWords) return append(rows.words(), words_bytes);
    Bitmap listed = rows;
    if (form == kRowsOutside) listed.flip();
    listed.for_each([&](std::size_t row) { put(static_cast<std::uint32_t>(row)); });
  }

  template <class Number>
  void put(const Number& number) { append(&number, sizeof number); }
  void append(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }
  std::size_t begin() {
    out_.resize((out_.size() + 7) / 8 * 8);
    return out_.size();
  }
  void finish(Section id, std::size_t start) {
    const std::uint64_t place[] = {start, out_.size() - start};
    std::memcpy(out_.data() + kHeaderBytes + id * 16, place, sizeof place);
  }

  std::size_t n_rows_;
  std::vector<std::uint8_t> out_;
};

/// Words in the order of their text. They are sorted as numbers: comparing each posting's text would take most of the build.
std::vector<Posting<std::string_view>> word_postings(const Gathering& all) {
  std::vector<std::pair<std::string_view, std::uint32_t>> words(all.dictionary.begin(), all.dictionary.end());
  std::ranges::sort(words);
  std::vector<std::uint32_t> rank(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) rank[words[i].second] = static_cast<std::uint32_t>(i);
  std::vector<Posting<std::uint32_t>> ranked;
  ranked.reserve(all.words.size());
  for (const auto& [id, row] : all.words) ranked.push_back({rank[id], row});
  sort_unique(ranked);
  std::vector<Posting<std::string_view>> postings;
  postings.reserve(ranked.size());
  for (const auto& [id, row] : ranked) postings.push_back({words[id].first, row});
  return postings;
}

}  // namespace

std::vector<std::uint8_t> build_field_index(const RowSource& source, std::string_view path, FieldIndexKind kind, const Cancel& cancel) {
  const bool is_text = kind == FieldIndexKind::text;
  Gathering all(source.rows(), kind);
  walk(source, Path::parse(path), kind, cancel, all);
  const std::uint32_t flags = (is_text ? kHasWords : kHasStrings) | (all.has_several_values ? std::uint32_t{kSeveralValues} : 0);
  Writer writer(source.rows(), flags);
  writer.fixed(kBools, std::move(all.bools));
  cancel.check();
  writer.fixed(kInts, std::move(all.integers));
  cancel.check();
  writer.fixed(kDatetimes, std::move(all.datetimes));
  writer.fixed(kStringDatetimes, std::move(all.string_datetimes));
  cancel.check();
  writer.fixed(kFloats, std::move(all.floats));
  writer.fixed(kUuids, std::move(all.uuids));
  cancel.check();
  sort_unique(all.strings);
  writer.text(kStrings, std::move(all.strings));
  cancel.check();
  if (is_text) writer.text(kWords, word_postings(all));
  writer.counts(std::move(all.counts));
  writer.set(kNull, all.null);
  writer.set(kEmpty, all.empty);
  writer.set(kExisting, all.existing);
  writer.set(kOther, all.other);
  writer.set(kSeveralStrings, all.several_strings);
  return std::move(writer).take();
}

std::size_t field_index_build_bytes(const RowSource& source, std::string_view path, FieldIndexKind kind, const Cancel& cancel) {
  Counts counts;
  walk(source, Path::parse(path), kind, cancel, counts);
  // Pairs in growing vectors (up to twice what they hold), then one key, one end and one row each in the growing result. A string may also
  // be a datetime. A word of the dictionary costs its text and about 100 bytes of node, bucket and views.
  const std::size_t pairs = (counts.fixed + counts.targets + source.rows()) * sizeof(Posting<std::int64_t>) +
                            counts.uuids * sizeof(Posting<Uuid>) +
                            counts.strings * (sizeof(Posting<std::string_view>) + sizeof(Posting<std::int64_t>)) +
                            counts.words * (2 * sizeof(Posting<std::uint32_t>) + sizeof(Posting<std::string_view>));
  const std::size_t dictionary = counts.distinct_words * 100 + counts.distinct_word_bytes;
  const std::size_t result = (counts.fixed + counts.uuids + 2 * counts.strings) * 28 + counts.string_bytes + counts.words * 4 +
                             counts.distinct_words * 16 + counts.distinct_word_bytes + source.rows();
  return 2 * pairs + dictionary + 2 * result + 4096;
}

}  // namespace vicino
