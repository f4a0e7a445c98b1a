#include "fields/datetime_text.h"

#include <algorithm>

namespace vicino {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;
constexpr std::int64_t kDaysPer400Years = 146'097;

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int days_of_month(int year, int month) {
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/// Days before January 1 of the year, counted from 0001-01-01.
std::int64_t days_before_year(std::int64_t year) {
  const std::int64_t past = year - 1;
  return past * 365 + past / 4 - past / 100 + past / 400;
}

constexpr std::int64_t kDaysBefore1970 = 719'162;

/// Reads the pieces of a datetime; after the first piece that is not there, `ok` stays false.
struct Scanner {
  std::string_view text;
  std::size_t at = 0;
  bool ok = true;

  bool done() const { return at == text.size(); }
  bool accept(char wanted) {
    if (done() || text[at] != wanted) return false;
    ++at;
    return true;
  }
  void require(char wanted) { ok = accept(wanted) && ok; }
  bool at_digit() const { return !done() && text[at] >= '0' && text[at] <= '9'; }
  int number(int digits, int low, int high) {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      if (!at_digit()) return ok = false, low;
      value = value * 10 + (text[at++] - '0');
    }
    if (value < low || value > high) ok = false;
    return value;
  }
  int fraction_microseconds() {
    if (!at_digit()) ok = false;
    int value = 0;
    for (int scale = 100'000; at_digit(); ++at, scale /= 10) value += (text[at] - '0') * scale;
    return value;
  }
  /// Minutes east of UTC.
  int zone() {
    if (done() || accept('Z') || accept('z')) return 0;
    const int sign = accept('-') ? -1 : 1;
    if (sign > 0) require('+');
    int minutes = number(2, 0, 23) * 60;
    if (accept(':') || at_digit()) minutes += number(2, 0, 59);
    return sign * minutes;
  }
};

}  // namespace

std::int64_t instant_of(const CivilTime& time) {
  std::int64_t days = days_before_year(time.year) - kDaysBefore1970 + time.day - 1;
  for (int month = 1; month < time.month; ++month) days += days_of_month(time.year, month);
  return days * kDay + ((time.hour * 60 + time.minute) * 60 + time.second) * kSecond + time.microsecond;
}

CivilTime civil_time(std::int64_t instant) {
  const std::int64_t days_since_1970 = instant >= 0 ? instant / kDay : -((kDay - 1 - instant) / kDay);
  std::int64_t of_day = instant - days_since_1970 * kDay;
  const std::int64_t days = days_since_1970 + kDaysBefore1970;
  // The mean year of a 400-year cycle is off by at most one.
  CivilTime time;
  time.year = static_cast<int>(days * 400 / kDaysPer400Years) + 1;
  if (days < days_before_year(time.year)) --time.year;
  if (days >= days_before_year(time.year + 1)) ++time.year;
  int of_year = static_cast<int>(days - days_before_year(time.year));
  for (time.month = 1; of_year >= days_of_month(time.year, time.month); ++time.month) of_year -= days_of_month(time.year, time.month);
  time.day = of_year + 1;
  time.microsecond = static_cast<int>(of_day % kSecond);
  of_day /= kSecond;
  time.second = static_cast<int>(of_day % 60);
  time.minute = static_cast<int>(of_day / 60 % 60);
  time.hour = static_cast<int>(of_day / 3600);
  return time;
}

std::optional<std::int64_t> parse_instant(std::string_view text) {
  Scanner scan{text};
  CivilTime time;
  time.year = scan.number(4, 1, 9999);
  scan.require('-');
  time.month = scan.number(2, 1, 12);
  scan.require('-');
  if (!scan.ok) return std::nullopt;
  time.day = scan.number(2, 1, days_of_month(time.year, time.month));
  int zone = 0;
  if (scan.ok && !scan.done()) {
    scan.ok = scan.accept('T') || scan.accept('t') || scan.accept(' ');
    time.hour = scan.number(2, 0, 23);
    scan.require(':');
    time.minute = scan.number(2, 0, 59);
    if (scan.accept(':')) {
      time.second = scan.number(2, 0, 59);
      if (scan.accept('.')) time.microsecond = scan.fraction_microseconds();
    }
    zone = scan.zone();
  }
  if (!scan.ok || !scan.done()) return std::nullopt;
  return instant_of(time) - zone * 60 * kSecond;
}

}  // namespace vicino
