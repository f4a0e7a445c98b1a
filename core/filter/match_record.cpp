#include "filter/match_record.h"

#include <algorithm>

#include "fields/datetime_text.h"
#include "fields/unicode.h"
#include "filter/geo.h"
#include "storage/checksum.h"

namespace vicino::filter {

namespace {

// Each overload tells whether one value passes one kind of test.

bool passes_value(const ScalarIn& test, const Value& value) {
  return test.negated ? !value.is_null() && !test.values.contains(value) : test.values.contains(value);
}

bool passes_value(const NumberRange& test, const Value& value) {
  if (value.type() == ValueType::integer) return test.integers.contains(value.as_int());
  return value.type() == ValueType::number && test.floats.contains(value.as_float());
}

bool passes_value(const DatetimeRange& test, const Value& value) {
  if (value.type() == ValueType::datetime) return test.instants.contains(value.as_datetime());
  if (value.type() != ValueType::string) return false;
  const auto instant = parse_instant(value.as_string());
  return instant && test.instants.contains(*instant);
}

template <class Test>
  requires requires(const Test& test, std::string_view text) { passes_text(test, text); }
bool passes_value(const Test& test, const Value& value) {
  return value.type() == ValueType::string && passes_text(test, value.as_string());
}

template <class Area>
  requires requires(const Area& area, GeoPoint place) { contains(area, place); }
bool passes_value(const Area& area, const Value& value) {
  const auto place = place_of(value);
  return place && contains(area, *place);
}

// Each overload tells whether the values, or the targets, at the path of one document pass one kind of test.

template <class Test>
bool passes_path(const Test& test, const Path& path, Object document, const RecordView&) {
  return path.any_value(document, [&](const Value& value) { return passes_value(test, value); });
}

bool passes_path(const IsNull&, const Path& path, Object document, const RecordView&) {
  return path.any_value(document, [](const Value& value) { return value.is_null(); });
}

bool passes_path(const IsEmpty&, const Path& path, Object document, const RecordView&) {
  const auto is_full = [](const Value& target) { return target.is_list() ? target.list_size() != 0 : !target.is_null(); };
  return !path.any_target(document, is_full);
}

bool passes_path(const Exists&, const Path& path, Object document, const RecordView&) {
  return path.any_target(document, [](const Value&) { return true; });
}

bool passes_path(const CountRange& test, const Path& path, Object document, const RecordView&) {
  bool missing = true;
  const bool found = path.any_target(document, [&](const Value& target) {
    missing = false;
    const auto count = target.is_list() ? static_cast<std::int64_t>(target.list_size()) : target.is_null() ? 0 : 1;
    return test.counts.contains(count);
  });
  return found || (missing && test.counts.contains(0));
}

bool passes_path(const Nested& test, const Path& path, Object document, const RecordView& record) {
  return path.any_target(document, [&](const Value& target) {
    if (!target.is_list()) return false;
    for (ListCursor element(target); element.next();)
      if (element.value().is_object() && matches(*test.part, element.value().as_object(), record)) return true;
    return false;
  });
}

}  // namespace

bool passes_text(const StringRange& test, std::string_view text) { return test.contains(text); }

bool passes_text(const Prefix& test, std::string_view text) { return text.starts_with(test.text); }

bool passes_text(const Substring& test, std::string_view text) {
  if (!test.ignore_case) return text.find(test.text) != std::string_view::npos;
  return fold_case(text).find(test.text) != std::string::npos;
}

bool passes_text(const WordMatch& test, std::string_view text) {
  if (test.words.empty()) return false;
  if (test.mode == WordMatch::Mode::phrase) {
    std::vector<std::string> words;
    for (WordCursor cursor(text); cursor.next();) words.push_back(cursor.word());
    return std::search(words.begin(), words.end(), test.words.begin(), test.words.end()) != words.end();
  }
  const bool any = test.mode == WordMatch::Mode::any;
  std::vector<bool> seen(test.words.size());
  std::size_t n_seen = 0;
  for (WordCursor cursor(text); cursor.next();) {
    for (std::size_t i = 0; i < test.words.size(); ++i) {
      if (seen[i] || test.words[i] != cursor.word()) continue;
      seen[i] = true;
      if (any || ++n_seen == test.words.size()) return true;
    }
  }
  return false;
}

bool in_slice(const Slice& slice, Bytes id) { return crc32c(id) % slice.total == slice.index; }

bool passes(const Leaf& leaf, Object document, const RecordView& record) {
  return std::visit([&](const auto& test) { return passes_path(test, leaf.path, document, record); }, leaf.test);
}

bool matches(const Condition& condition, Object document, const RecordView& record) {
  const auto holds = [&](const Condition& part) { return matches(part, document, record); };
  struct Visitor {
    const decltype(holds)& part_holds;
    Object document;
    const RecordView& record;

    bool operator()(const And& all) const { return std::ranges::all_of(all.parts, part_holds); }
    bool operator()(const Or& any) const { return std::ranges::any_of(any.parts, part_holds); }
    bool operator()(const Not& negation) const { return !part_holds(negation.part.front()); }
    bool operator()(const AtLeast& at_least) const {
      std::uint64_t missing = at_least.n;
      for (const Condition& part : at_least.parts) {
        if (missing == 0) break;
        if (part_holds(part)) --missing;
      }
      return missing == 0;
    }
    bool operator()(const Leaf& leaf) const { return passes(leaf, document, record); }
    bool operator()(const HasId& has_id) const {
      const Bytes id = record.id();
      return has_id.ids.contains(std::string(reinterpret_cast<const char*>(id.data()), id.size()));
    }
    bool operator()(const HasVector& vector) const { return record.has_vector(vector.name); }
    bool operator()(const Slice& slice) const { return in_slice(slice, record.id()); }
  };
  return std::visit(Visitor{holds, document, record}, condition.node);
}

}  // namespace vicino::filter
