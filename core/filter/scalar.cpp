#include "filter/scalar.h"

#include <algorithm>
#include <cmath>

namespace vicino {

namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Key>
void insert_sorted(std::vector<Key>& keys, const Key& key) {
  const auto at = std::lower_bound(keys.begin(), keys.end(), key);
  if (at == keys.end() || *at != key) keys.insert(at, key);
}

template <class Key, class Asked>
bool has(const std::vector<Key>& keys, const Asked& asked) {
  return std::binary_search(keys.begin(), keys.end(), asked, std::less<>{});
}

/// The integer a float equals, if there is one within 64 bits.
std::optional<std::int64_t> exact_integer(double number) {
  if (!(number >= -kTwoTo63 && number < kTwoTo63) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

/// The least int64 that is at least `number`; nullopt if there is none.
std::optional<std::int64_t> ceil_to_integer(double number) {
  if (number >= kTwoTo63) return std::nullopt;
  return number < -kTwoTo63 ? kIntMin : static_cast<std::int64_t>(std::ceil(number));
}

std::optional<std::int64_t> floor_to_integer(double number) {
  if (number < -kTwoTo63) return std::nullopt;
  return number >= kTwoTo63 ? kIntMax : static_cast<std::int64_t>(std::floor(number));
}

template <class Number>
constexpr Interval<Number> kNothing{std::numeric_limits<Number>::max(), std::numeric_limits<Number>::lowest()};

template <class Number>
void raise_to(Interval<Number>& interval, std::optional<Number> low) {
  if (low) interval.low = std::max(interval.low, *low);
  else interval = kNothing<Number>;
}

template <class Number>
void lower_to(Interval<Number>& interval, std::optional<Number> high) {
  if (high) interval.high = std::min(interval.high, *high);
  else interval = kNothing<Number>;
}

std::optional<std::int64_t> after(std::int64_t value) { return value == kIntMax ? std::nullopt : std::optional(value + 1); }
std::optional<std::int64_t> before(std::int64_t value) { return value == kIntMin ? std::nullopt : std::optional(value - 1); }

}  // namespace

std::partial_ordering compare_numbers(std::int64_t a, double b) {
  if (b >= kTwoTo63) return std::partial_ordering::less;
  if (b < -kTwoTo63) return std::partial_ordering::greater;
  if (std::isnan(b)) return std::partial_ordering::unordered;
  const double whole = std::floor(b);
  const auto integer = static_cast<std::int64_t>(whole);
  if (a != integer) return a <=> integer;
  return whole < b ? std::partial_ordering::less : std::partial_ordering::equivalent;
}

void ScalarSet::add(const Scalar& scalar, bool strict) {
  if (std::holds_alternative<std::monostate>(scalar)) has_null_ = true;
  if (const auto* value = std::get_if<bool>(&scalar)) insert_sorted(bools_, std::int64_t{*value});
  if (const auto* value = std::get_if<std::string>(&scalar)) insert_sorted(strings_, *value);
  if (const auto* value = std::get_if<Datetime>(&scalar)) insert_sorted(datetimes_, value->microseconds);
  if (const auto* value = std::get_if<Uuid>(&scalar)) insert_sorted(uuids_, *value);
  if (const auto* value = std::get_if<std::int64_t>(&scalar)) {
    insert_sorted(integers_, *value);
    const auto rounded = static_cast<double>(*value);
    if (!strict && compare_numbers(*value, rounded) == 0) insert_sorted(floats_, rounded);
  }
  if (const auto* value = std::get_if<double>(&scalar)) {
    if (!std::isfinite(*value)) return;  // no stored float is infinite or NaN
    insert_sorted(floats_, *value);
    if (!strict)
      if (const auto integer = exact_integer(*value)) insert_sorted(integers_, *integer);
  }
}

bool ScalarSet::contains(const Value& value) const {
  switch (value.type()) {
    case ValueType::null: return has_null_;
    case ValueType::boolean: return has(bools_, std::int64_t{value.as_bool()});
    case ValueType::integer: return has(integers_, value.as_int());
    case ValueType::number: return has(floats_, value.as_float());
    case ValueType::string: return has(strings_, value.as_string());
    case ValueType::datetime: return has(datetimes_, value.as_datetime());
    case ValueType::uuid: return has(uuids_, value.as_uuid());
    default: return false;
  }
}

void NumberRange::raise(std::variant<std::int64_t, double> bound, bool inclusive) {
  if (const auto* integer = std::get_if<std::int64_t>(&bound)) {
    raise_to(integers, inclusive ? std::optional(*integer) : after(*integer));
    auto number = static_cast<double>(*integer);
    const auto order = compare_numbers(*integer, number);
    if (inclusive ? order > 0 : order >= 0) number = std::nextafter(number, kInfinity);
    raise_to(floats, std::optional(number));
    return;
  }
  const double number = std::get<double>(bound);
  raise_to(floats, std::optional(inclusive ? number : std::nextafter(number, kInfinity)));
  auto integer = ceil_to_integer(number);
  if (integer && !inclusive && compare_numbers(*integer, number) == 0) integer = after(*integer);
  // An infinite bound is past every integer even when the bound itself is included.
  raise_to(integers, integer);
}

void NumberRange::lower(std::variant<std::int64_t, double> bound, bool inclusive) {
  if (const auto* integer = std::get_if<std::int64_t>(&bound)) {
    lower_to(integers, inclusive ? std::optional(*integer) : before(*integer));
    auto number = static_cast<double>(*integer);
    const auto order = compare_numbers(*integer, number);
    if (inclusive ? order < 0 : order <= 0) number = std::nextafter(number, -kInfinity);
    lower_to(floats, std::optional(number));
    return;
  }
  const double number = std::get<double>(bound);
  lower_to(floats, std::optional(inclusive ? number : std::nextafter(number, -kInfinity)));
  auto integer = floor_to_integer(number);
  if (integer && !inclusive && compare_numbers(*integer, number) == 0) integer = before(*integer);
  lower_to(integers, integer);
}

}  // namespace vicino
