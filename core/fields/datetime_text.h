// Instants as microseconds since 1970-01-01T00:00:00Z, in the proleptic Gregorian calendar, and the text forms that name them.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace vicino {

struct CivilTime {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, microsecond = 0;
};

std::int64_t instant_of(const CivilTime& time);
CivilTime civil_time(std::int64_t instant);

/// The instant a text names in full, if it is, without anything around it,
///   YYYY-MM-DD [ ("T" | "t" | " ") HH:MM [ :SS [ "." digit+ ] ] [ "Z" | "z" | ("+" | "-") HH [[":"] MM] ] ]
/// with a year from 0001, a day of the calendar, hours to 23, minutes and seconds to 59. No zone means UTC; digits of the second beyond
/// the sixth are cut off.
std::optional<std::int64_t> parse_instant(std::string_view text);

}  // namespace vicino
