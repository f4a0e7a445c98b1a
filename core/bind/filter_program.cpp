#include "bind/filter_program.h"

#include <cmath>
#include <limits>
#include <map>

#include "bind/ids.h"
#include "bind/values.h"
#include "fields/unicode.h"

namespace nb = nanobind;

namespace vicino::bind {

namespace {

std::string text_of(nb::handle text) { return std::get<std::string>(scalar_of_python(text)); }

Path path_of(const nb::tuple& program) { return Path::parse(text_of(program[1])); }

Condition leaf(const nb::tuple& program, filter::Test test) { return {filter::Leaf{path_of(program), std::move(test)}}; }

std::vector<Condition> conditions_of(nb::handle programs) {
  std::vector<Condition> parts;
  for (nb::handle program : programs) parts.push_back(condition_of(program));
  return parts;
}

Condition scalar_in(const nb::tuple& program, bool negated) {
  filter::ScalarIn test{{}, negated};
  const bool strict = nb::cast<bool>(program[3]);
  for (nb::handle value : nb::borrow(program[2])) test.values.add(scalar_of_python(value), strict);
  return leaf(program, std::move(test));
}

std::variant<std::int64_t, double> number_of(const Scalar& scalar) {
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) return *integer;
  const double number = std::get<double>(scalar);
  if (std::isnan(number)) throw InvalidArgument("a filter compares with NaN, which nothing is equal to, above or below");
  return number;
}

/// Calls `set(bound, is_lower, inclusive)` for each bound that is given.
template <class Set>
void each_bound(const nb::tuple& program, Set&& set) {
  for (std::size_t i = 0; i < 4; ++i) {
    const Scalar bound = scalar_of_python(program[2 + i]);
    if (!std::holds_alternative<std::monostate>(bound)) set(bound, i < 2, i % 2 == 1);
  }
}

Condition number_range(const nb::tuple& program) {
  NumberRange range;
  each_bound(program, [&](const Scalar& bound, bool is_lower, bool inclusive) {
    if (is_lower) range.raise(number_of(bound), inclusive);
    else range.lower(number_of(bound), inclusive);
  });
  return leaf(program, range);
}

/// Of two bounds on the same side, the one that lets less through.
void tighten(std::optional<StringRange::Bound>& bound, StringRange::Bound candidate, bool is_lower) {
  if (bound) {
    const auto order = candidate.text <=> bound->text;
    const bool is_tighter = order == 0 ? !candidate.inclusive : is_lower ? order > 0 : order < 0;
    if (!is_tighter) return;
  }
  bound = std::move(candidate);
}

Condition string_range(const nb::tuple& program) {
  StringRange range;
  each_bound(program, [&](const Scalar& bound, bool is_lower, bool inclusive) {
    tighten(is_lower ? range.from : range.to, {std::get<std::string>(bound), inclusive}, is_lower);
  });
  return leaf(program, std::move(range));
}

Condition datetime_range(const nb::tuple& program) {
  DatetimeRange range;
  // Instants are whole microseconds within years 1 to 9999, so stepping past an excluded bound neither skips anything nor overflows.
  each_bound(program, [&](const Scalar& bound, bool is_lower, bool inclusive) {
    const std::int64_t instant = std::get<Datetime>(bound).microseconds;
    if (is_lower) range.instants.low = std::max(range.instants.low, instant + !inclusive);
    else range.instants.high = std::min(range.instants.high, instant - !inclusive);
  });
  return leaf(program, range);
}

Condition count_range(const nb::tuple& program) {
  filter::CountRange range{{0, std::numeric_limits<std::int64_t>::max()}};
  if (!nb::borrow(program[2]).is_none()) range.counts.low = nb::cast<std::int64_t>(program[2]);
  if (!nb::borrow(program[3]).is_none()) range.counts.high = nb::cast<std::int64_t>(program[3]);
  return leaf(program, range);
}

Condition words(const nb::tuple& program) {
  using Mode = filter::WordMatch::Mode;
  const std::string mode = text_of(program[3]);
  filter::WordMatch match{{}, mode == "all" ? Mode::all : mode == "any" ? Mode::any : Mode::phrase};
  const std::string text = text_of(program[2]);
  for (WordCursor cursor(text); cursor.next();) match.words.push_back(cursor.word());
  return leaf(program, std::move(match));
}

Condition substring(const nb::tuple& program) {
  const bool ignore_case = nb::cast<bool>(program[3]);
  std::string text = text_of(program[2]);
  if (ignore_case) text = fold_case(text);
  return leaf(program, filter::Substring{std::move(text), ignore_case});
}

double number(nb::handle value) { return nb::cast<double>(value); }

Condition radius(const nb::tuple& program) {
  return leaf(program, filter::GeoRadius{{number(program[2]), number(program[3])}, number(program[4])});
}

Condition box(const nb::tuple& program) {
  return leaf(program, filter::GeoBox{{number(program[2]), number(program[3])}, {number(program[4]), number(program[5])}});
}

std::vector<GeoPoint> ring_of(nb::handle corners) {
  std::vector<GeoPoint> ring;
  for (nb::handle corner : corners) ring.push_back({number(corner[0]), number(corner[1])});
  return ring;
}

Condition polygon(const nb::tuple& program) {
  filter::GeoPolygon area{ring_of(nb::borrow(program[2])), {}};
  for (nb::handle interior : nb::borrow(program[3])) area.interiors.push_back(ring_of(interior));
  return leaf(program, std::move(area));
}

Condition nested(const nb::tuple& program) {
  filter::Nested test{std::make_shared<const Condition>(condition_of(program[2]))};
  return {filter::Leaf{path_of(program).without_last_every(), std::move(test)}};
}

Condition has_id(const nb::tuple& program) {
  filter::HasId test;
  for (nb::handle id : nb::borrow(program[1])) test.ids.insert(encode_id(id));
  return {std::move(test)};
}

Condition slice(const nb::tuple& program) {
  const auto total = nb::cast<std::int64_t>(program[1]);
  const auto index = nb::cast<std::int64_t>(program[2]);
  if (index < 0 || index >= total || total > std::numeric_limits<std::uint32_t>::max()) {
    throw InvalidArgument("slice " + std::to_string(index) + " of " + std::to_string(total) +
                          " does not exist; there are at most 2^32 - 1 slices, the first is 0");
  }
  return {filter::Slice{static_cast<std::uint32_t>(total), static_cast<std::uint32_t>(index)}};
}

using Maker = Condition (*)(const nb::tuple&);

const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> table{
      {"and", [](const nb::tuple& p) { return Condition{filter::And{conditions_of(p[1])}}; }},
      {"or", [](const nb::tuple& p) { return Condition{filter::Or{conditions_of(p[1])}}; }},
      {"not", [](const nb::tuple& p) { return Condition{filter::Not{{condition_of(p[1])}}}; }},
      {"at_least", [](const nb::tuple& p) { return Condition{filter::AtLeast{nb::cast<std::uint64_t>(p[1]), conditions_of(p[2])}}; }},
      {"nested", nested},
      {"in", [](const nb::tuple& p) { return scalar_in(p, false); }},
      {"not_in", [](const nb::tuple& p) { return scalar_in(p, true); }},
      {"null", [](const nb::tuple& p) { return leaf(p, filter::IsNull{}); }},
      {"empty", [](const nb::tuple& p) { return leaf(p, filter::IsEmpty{}); }},
      {"exists", [](const nb::tuple& p) { return leaf(p, filter::Exists{}); }},
      {"count", count_range},
      {"numbers", number_range},
      {"strings", string_range},
      {"datetimes", datetime_range},
      {"prefix", [](const nb::tuple& p) { return leaf(p, filter::Prefix{text_of(p[2])}); }},
      {"substring", substring},
      {"words", words},
      {"radius", radius},
      {"box", box},
      {"polygon", polygon},
      {"has_id", has_id},
      {"has_vector", [](const nb::tuple& p) { return Condition{filter::HasVector{text_of(p[1])}}; }},
      {"slice", slice},
  };
  return table;
}

}  // namespace

Condition condition_of(nb::handle program) {
  const auto parts = nb::cast<nb::tuple>(program);
  const auto name = nb::cast<std::string>(parts[0]);
  const auto maker = makers().find(name);
  if (maker == makers().end()) throw nb::value_error(("a filter program has the unknown step " + name).c_str());
  return maker->second(parts);
}

}  // namespace vicino::bind
