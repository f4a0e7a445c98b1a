#include "filter/field_index.h"

#include <algorithm>
#include <concepts>

#include "filter/match_record.h"
#include "filter/postings.h"

namespace vicino {

using namespace field_index;

namespace {

constexpr const char* kWhat = "a field index";

/// The sections of an index, each read where it is needed.
struct Sections {
  const std::array<Bytes, kSectionCount>& bytes;
  std::uint32_t flags;
  std::size_t n_rows;

  bool has(Flag flag) const { return (flags & flag) != 0; }
  FixedPostings<std::int64_t> integers_of(Section id) const { return FixedPostings<std::int64_t>(bytes[id]); }
  FixedPostings<double> floats() const { return FixedPostings<double>(bytes[kFloats]); }
  FixedPostings<Uuid> uuids() const { return FixedPostings<Uuid>(bytes[kUuids]); }
  TextPostings strings() const { return TextPostings(bytes[kStrings]); }
  TextPostings words() const { return TextPostings(bytes[kWords]); }
  RowSet row_set(Section id) const { return RowSet(bytes[id], n_rows); }
  CountSets counts() const { return CountSets(bytes[kCounts], n_rows); }
};

template <class Test>
concept TestsEachString = std::same_as<Test, filter::Substring> || std::same_as<Test, filter::WordMatch>;
template <class Test>
concept NeedsDocument = std::same_as<Test, filter::GeoRadius> || std::same_as<Test, filter::GeoBox> ||
                        std::same_as<Test, filter::GeoPolygon> || std::same_as<Test, filter::Nested>;
template <class Test>
concept NeedsStrings = std::same_as<Test, StringRange> || std::same_as<Test, filter::Prefix> || std::same_as<Test, filter::Substring>;

/// Calls `visit(runs, key run)` for the postings of every key in a set.
template <class Visit>
void each_key_of(const Sections& sections, const ScalarSet& values, Visit&& visit) {
  const auto look_up = [&](const auto& postings, const auto& keys) {
    for (const auto& key : keys) visit(postings.runs, postings.equal(key));
  };
  if (!values.bools().empty()) look_up(sections.integers_of(kBools), values.bools());
  if (!values.integers().empty()) look_up(sections.integers_of(kInts), values.integers());
  if (!values.floats().empty()) look_up(sections.floats(), values.floats());
  if (!values.datetimes().empty()) look_up(sections.integers_of(kDatetimes), values.datetimes());
  if (!values.uuids().empty()) look_up(sections.uuids(), values.uuids());
  if (!values.strings().empty()) look_up(sections.strings(), values.strings());
}

/// Calls `visit(runs, key run)` for the gaps between the keys of a set: all postings of scalars that are not in it.
template <class Visit>
void each_key_outside(const Sections& sections, const ScalarSet& values, Visit&& visit) {
  const auto gaps = [&](const auto& postings, const auto& keys) {
    std::size_t from = 0;
    for (const auto& key : keys) {
      const KeyRun found = postings.equal(key);
      visit(postings.runs, KeyRun{from, found.from});
      from = found.to;
    }
    visit(postings.runs, KeyRun{from, postings.size()});
  };
  gaps(sections.integers_of(kBools), values.bools());
  gaps(sections.integers_of(kInts), values.integers());
  gaps(sections.floats(), values.floats());
  gaps(sections.integers_of(kDatetimes), values.datetimes());
  gaps(sections.uuids(), values.uuids());
  gaps(sections.strings(), values.strings());
}

/// Calls `visit(runs, key run)` for the runs that make up the answer of a range.
template <class Visit>
void each_run(const Sections& sections, const NumberRange& range, Visit&& visit) {
  const auto integers = sections.integers_of(kInts);
  visit(integers.runs, integers.within(range.integers));
  const auto floats = sections.floats();
  visit(floats.runs, floats.within(range.floats));
}

template <class Visit>
void each_run(const Sections& sections, const DatetimeRange& range, Visit&& visit) {
  for (const Section id : {kDatetimes, kStringDatetimes}) {
    const auto datetimes = sections.integers_of(id);
    visit(datetimes.runs, datetimes.within(range.instants));
  }
}

template <class Visit>
void each_run(const Sections& sections, const StringRange& range, Visit&& visit) {
  const auto strings = sections.strings();
  visit(strings.runs, strings.within(range));
}

template <class Visit>
void each_run(const Sections& sections, const filter::Prefix& prefix, Visit&& visit) {
  const auto strings = sections.strings();
  visit(strings.runs, strings.with_prefix(prefix.text));
}

template <class Visit>
void each_run(const Sections& sections, const filter::ScalarIn& test, Visit&& visit) {
  if (test.negated) each_key_outside(sections, test.values, visit);
  else each_key_of(sections, test.values, visit);
}

/// The row sets that are part of a ScalarIn's answer beside its runs.
template <class Visit>
void each_set(const Sections& sections, const filter::ScalarIn& test, Visit&& visit) {
  if (test.negated) visit(sections.row_set(kOther));
  else if (test.values.has_null()) visit(sections.row_set(kNull));
}

/// Every other test is answered by runs alone.
template <class Test, class Visit>
void each_set(const Sections&, const Test&, Visit&&) {}

struct Answering {
  const Sections& sections;
  const Cancel& cancel;
  FieldIndex::Answer& answer;

  template <class Test>
  void operator()(const Test& test) const {
    each_run(sections, test, [&](const RowRuns& runs, KeyRun keys) { runs.add(keys.from, keys.to, answer.rows); });
    each_set(sections, test, [&](const RowSet& set) { set.add(answer.rows); });
  }
  void operator()(const filter::IsNull&) const { sections.row_set(kNull).add(answer.rows); }
  void operator()(const filter::IsEmpty&) const { sections.row_set(kEmpty).add(answer.rows); }
  void operator()(const filter::Exists&) const { sections.row_set(kExisting).add(answer.rows); }
  void operator()(const filter::CountRange& test) const {
    sections.counts().each_within(test.counts, [&](const RowSet& set) { set.add(answer.rows); });
  }
  void operator()(const filter::WordMatch& test) const {
    if (sections.has(kHasStrings)) each_string(test);
    else by_words(test);
  }
  void operator()(const filter::Substring& test) const { each_string(test); }
  template <NeedsDocument Test>
  void operator()(const Test&) const { fail("asked for a condition that indexes do not answer"); }

 private:
  /// Each distinct string is looked at once, however many rows have it.
  template <TestsEachString Test>
  void each_string(const Test& test) const {
    const TextPostings strings = sections.strings();
    for (std::size_t i = 0; i < strings.size(); ++i) {
      if (i % 1024 == 0) cancel.check();
      if (filter::passes_text(test, strings.key(i))) strings.runs.add(i, i + 1, answer.rows);
    }
  }

  /// Words say in which rows they are, not in which string of the row nor in what order.
  void by_words(const filter::WordMatch& test) const {
    using enum filter::WordMatch::Mode;
    if (test.words.empty()) return;
    const TextPostings words = sections.words();
    const auto add_word = [&](const std::string& word, Bitmap& rows) {
      const KeyRun key = words.equal(word);
      words.runs.add(key.from, key.to, rows);
    };
    if (test.mode == any || test.words.size() == 1) {
      for (const std::string& word : test.words) add_word(word, answer.rows);
      return;
    }
    Bitmap together(sections.n_rows, true);
    for (const std::string& word : test.words) {
      Bitmap rows(sections.n_rows);
      add_word(word, rows);
      together &= rows;
    }
    if (test.mode == phrase) {
      answer.unsure = std::move(together);
      return;
    }
    Bitmap several(sections.n_rows);
    sections.row_set(kSeveralStrings).add(several);
    answer.rows = together;
    answer.rows.and_not(several);
    together &= several;
    answer.unsure = std::move(together);
  }
};

struct Estimating {
  const Sections& sections;

  template <class Test>
  Cardinality operator()(const Test& test) const {
    std::uint64_t total = 0;
    std::uint64_t most = 0;
    const auto add = [&](std::uint64_t n, bool single_set) {
      total += n;
      if (single_set) most = std::max(most, n);
    };
    each_run(sections, test, [&](const RowRuns& runs, KeyRun keys) {
      // The rows of one key are distinct; those of several keys may be the same rows.
      add(runs.count(keys.from, keys.to), keys.to - keys.from <= 1);
    });
    each_set(sections, test, [&](const RowSet& set) { add(set.count(), true); });
    return from_parts(total, most);
  }
  Cardinality operator()(const filter::IsNull&) const { return exactly(sections.row_set(kNull).count()); }
  Cardinality operator()(const filter::IsEmpty&) const { return exactly(sections.row_set(kEmpty).count()); }
  Cardinality operator()(const filter::Exists&) const { return exactly(sections.row_set(kExisting).count()); }
  Cardinality operator()(const filter::CountRange& test) const {
    std::uint64_t total = 0;
    std::uint64_t most = 0;
    sections.counts().each_within(test.counts, [&](const RowSet& set) {
      total += set.count();
      most = std::max<std::uint64_t>(most, set.count());
    });
    return at_most(most, total, total);
  }
  Cardinality operator()(const filter::Substring&) const {
    const std::uint64_t n = sections.strings().runs.n_postings();
    return at_most(0, n / 10, n);
  }
  Cardinality operator()(const filter::WordMatch& test) const {
    if (test.words.empty()) return {};
    if (sections.has(kHasStrings)) {
      const std::uint64_t n = sections.strings().runs.n_postings();
      return at_most(0, n / 10, n);
    }
    return by_words(test);
  }
  template <NeedsDocument Test>
  Cardinality operator()(const Test&) const { return at_most(0, sections.n_rows / 3, sections.n_rows); }

 private:
  Cardinality at_most(std::uint64_t low, std::uint64_t likely, std::uint64_t high) const {
    const auto bound = std::min<std::uint64_t>(high, sections.n_rows);
    return {std::min(low, bound), std::clamp(likely, std::min(low, bound), bound), bound};
  }
  Cardinality exactly(std::uint64_t n) const { return at_most(n, n, n); }
  Cardinality from_parts(std::uint64_t total, std::uint64_t most) const {
    return sections.has(kSeveralValues) ? at_most(most, total, total) : exactly(total);
  }
  Cardinality by_words(const filter::WordMatch& test) const {
    const TextPostings words = sections.words();
    std::uint64_t least = sections.n_rows;
    std::uint64_t most = 0;
    std::uint64_t total = 0;
    for (const std::string& word : test.words) {
      const KeyRun key = words.equal(word);
      const std::uint64_t n = words.runs.count(key.from, key.to);
      least = std::min(least, n);
      most = std::max(most, n);
      total += n;
    }
    if (test.words.size() == 1) return exactly(least);
    if (test.mode == filter::WordMatch::Mode::any) return at_most(most, total, total);
    return at_most(0, least / 2, least);
  }
};

}  // namespace

FieldIndexKind index_kind(std::string_view name) {
  if (name == "text") return FieldIndexKind::text;
  if (name == "scalar" || name == "auto") return FieldIndexKind::scalar;
  throw InvalidArgument("a field index has kind scalar, text or auto, got \"" + std::string(name) + "\"");
}

FieldIndex FieldIndex::open(Blob blob) {
  ByteReader reader(blob.bytes(), kWhat);
  if (reader.read<std::uint64_t>() != kMagic) fail("its first eight bytes are not those of a field index");
  const auto format = reader.read<std::uint32_t>();
  if (format > kFormat) {
    throw FormatError("a field index has format " + std::to_string(format) + ", this version reads up to " + std::to_string(kFormat) +
                      "; open it with a newer version");
  }
  FieldIndex index(std::move(blob));
  index.flags_ = reader.read<std::uint32_t>();
  if (index.flags_ & ~kKnownFlags) fail("unknown flags " + std::to_string(index.flags_));
  const auto n_rows = reader.read<std::uint64_t>();
  if (n_rows > std::uint64_t{1} << 32) fail(std::to_string(n_rows) + " rows");
  index.n_rows_ = static_cast<std::size_t>(n_rows);
  if (const auto n = reader.read<std::uint64_t>(); n != kSectionCount) fail(std::to_string(n) + " sections");
  for (Bytes& section : index.sections_) {
    const auto offset = reader.read<std::uint64_t>();
    const auto size = reader.read<std::uint64_t>();
    const std::size_t available = index.blob_.size();
    if (offset > available || size > available - offset) {
      fail("a section at " + std::to_string(offset) + " of " + std::to_string(size) + " bytes in " + std::to_string(available));
    }
    section = index.blob_.bytes().subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }
  return index;
}

bool FieldIndex::answers(const filter::Test& test) const {
  return std::visit(
      [&]<class T>(const T& kind) {
        if constexpr (NeedsDocument<T>) return false;
        else if constexpr (NeedsStrings<T>) return knows_values();
        else if constexpr (std::same_as<T, filter::ScalarIn>) return knows_values() || (!kind.negated && kind.values.strings().empty());
        else return true;
      },
      test);
}

FieldIndex::Answer FieldIndex::answer(const filter::Test& test, const Cancel& cancel) const {
  Answer answer{Bitmap(n_rows_), std::nullopt};
  const Sections sections{sections_, flags_, n_rows_};
  std::visit(Answering{sections, cancel, answer}, test);
  return answer;
}

Cardinality FieldIndex::estimate(const filter::Test& test) const {
  const Sections sections{sections_, flags_, n_rows_};
  return std::visit(Estimating{sections}, test);
}

void FieldIndex::each_value(const std::function<void(const Scalar&, const std::vector<std::uint32_t>&)>& visit) const {
  const Sections sections{sections_, flags_, n_rows_};
  const auto each = [&](const auto& postings, auto&& to_scalar) {
    for (std::size_t i = 0; i < postings.size(); ++i) visit(to_scalar(postings.key(i)), postings.runs.rows_of(i));
  };
  each(sections.integers_of(kBools), [](std::int64_t key) { return Scalar(key != 0); });
  each(sections.integers_of(kInts), [](std::int64_t key) { return Scalar(key); });
  each(sections.floats(), [](double key) { return Scalar(key); });
  each(sections.strings(), [](std::string_view key) { return Scalar(std::string(key)); });
  each(sections.integers_of(kDatetimes), [](std::int64_t key) { return Scalar(Datetime{key}); });
  each(sections.uuids(), [](const Uuid& key) { return Scalar(key); });
}

}  // namespace vicino
