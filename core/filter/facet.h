// Counting and ordering rows by the values of a path: facets and order_by of one head or segment.
#pragma once
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "filter/evaluate.h"
#include "filter/scalar.h"

namespace vicino {

/// Each distinct scalar value (bool, int, float, string, datetime, UUID; 1 and 1.0 are two) with the number of rows of `rows` that have it;
/// a row with the same value twice counts once. Most frequent first, equal counts by type and value. Nothing when the distinct values take
/// more than about `bytes_max` of memory: how many there are shows only while they are counted.
std::optional<std::vector<std::pair<Scalar, std::uint64_t>>> facet(const Path& path, const RowSource& source, const Bitmap& rows,
                                                                   const Cancel& cancel,
                                                                   std::size_t bytes_max = std::numeric_limits<std::size_t>::max());

/// What a row is ordered by. Numbers come before datetimes before strings; ints and floats compare by value.
struct SortKey {
  std::variant<std::int64_t, double, Datetime, std::string_view> value;  // text lies in the source
};
std::weak_ordering compare(const SortKey& a, const SortKey& b);

struct OrderedRow {
  SortKey key;
  std::size_t row;
};

/// The rows of `rows` with a number, datetime or string at the path, ordered by it, ties by ascending row; at most `limit`. A row with
/// several values appears once, at the one that comes first in this order.
std::vector<OrderedRow> order_by(const Path& path, const RowSource& source, const Bitmap& rows, bool descending, const Cancel& cancel,
                                 std::size_t limit = std::numeric_limits<std::size_t>::max());

}  // namespace vicino
