// What a field can be compared with: single values, sets of them, and ranges as closed intervals.
//
// Whether numbers compare by value or keep their JSON type is settled when a set is made, not when it is asked: a number that compares
// by value enters as an integer and as a float, one that keeps its type enters once. Ranges likewise become one closed interval of
// integers and one of floats, with bounds rounded to the next value that fulfills them. Tests and index lookups are then plain comparisons.
#pragma once
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fields/document.h"

namespace vicino {

struct Datetime {
  std::int64_t microseconds = 0;
  auto operator<=>(const Datetime&) const = default;
};

using Scalar = std::variant<std::monostate, bool, std::int64_t, double, std::string, Datetime, Uuid>;

/// Of int64 and float64, exactly: neither is converted to the other's precision.
std::partial_ordering compare_numbers(std::int64_t a, double b);

/// A set of scalars, sorted by type.
class ScalarSet {
 public:
  /// `strict` keeps the JSON type: 1 is not 1.0. A bool equals only a bool either way.
  void add(const Scalar& scalar, bool strict);
  bool contains(const Value& value) const;

  bool has_null() const { return has_null_; }
  const std::vector<std::int64_t>& bools() const { return bools_; }
  const std::vector<std::int64_t>& integers() const { return integers_; }
  const std::vector<double>& floats() const { return floats_; }
  const std::vector<std::int64_t>& datetimes() const { return datetimes_; }
  const std::vector<Uuid>& uuids() const { return uuids_; }
  const std::vector<std::string>& strings() const { return strings_; }

 private:
  bool has_null_ = false;
  std::vector<std::int64_t> bools_, integers_, datetimes_;
  std::vector<double> floats_;
  std::vector<Uuid> uuids_;
  std::vector<std::string> strings_;
};

/// low <= value <= high; empty when low > high.
template <class Number>
struct Interval {
  Number low;
  Number high;
  bool contains(Number value) const { return value >= low && value <= high; }
};

struct NumberRange {
  Interval<std::int64_t> integers{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  Interval<double> floats{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};

  /// Cuts off what is not greater (greater or equal) than the bound.
  void raise(std::variant<std::int64_t, double> bound, bool inclusive);
  /// Cuts off what is not less (less or equal) than the bound.
  void lower(std::variant<std::int64_t, double> bound, bool inclusive);
};

struct StringRange {
  struct Bound {
    std::string text;
    bool inclusive;
  };
  std::optional<Bound> from, to;
  bool contains(std::string_view text) const {
    const bool is_above = !from || (from->inclusive ? text >= from->text : text > from->text);
    return is_above && (!to || (to->inclusive ? text <= to->text : text < to->text));
  }
};

/// Microseconds. Strings that read as an RFC 3339 date or datetime count as datetimes.
struct DatetimeRange {
  Interval<std::int64_t> instants{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
};

}  // namespace vicino
