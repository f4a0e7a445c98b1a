#include "filter/facet.h"

#include <algorithm>
#include <map>
#include <optional>

#include "filter/field_index.h"

namespace vicino {

namespace {

constexpr std::size_t kRowsPerCheck = 256;

/// Reads the documents of the rows, checking for cancellation now and then.
template <class Visit>
void each_document(const RowSource& source, const Bitmap& rows, const Cancel& cancel, Visit&& visit) {
  std::size_t read = 0;
  rows.for_each([&](std::size_t row) {
    if (read++ % kRowsPerCheck == 0) cancel.check();
    visit(row, Object(source.document(row)));
  });
}

std::optional<Scalar> scalar_of(const Value& value) {
  switch (value.type()) {
    case ValueType::boolean: return value.as_bool();
    case ValueType::integer: return value.as_int();
    case ValueType::number: return value.as_float() + 0.0;  // -0.0 is 0.0
    case ValueType::string: return std::string(value.as_string());
    case ValueType::datetime: return Datetime{value.as_datetime()};
    case ValueType::uuid: return value.as_uuid();
    default: return std::nullopt;
  }
}

struct Tally {
  std::uint64_t count = 0;
  std::size_t last_row = std::numeric_limits<std::size_t>::max();
};

/// The tallies of all values met so far. Once they take more than `bytes_max`, further values are dropped and `overflowed` says so.
class Tallies {
 public:
  explicit Tallies(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Where a value is counted; null when there is no room for a value that was not met before.
  Tally* find(Scalar value) {
    const auto found = counts_.lower_bound(value);
    if (found != counts_.end() && !counts_.key_comp()(value, found->first)) return &found->second;
    const auto* text = std::get_if<std::string>(&value);
    const std::size_t bytes = kNodeBytes + (text ? text->capacity() : 0);
    if (bytes > bytes_max_ - bytes_) {
      overflowed_ = true;
      return nullptr;
    }
    bytes_ += bytes;
    return &counts_.emplace_hint(found, std::move(value), Tally{})->second;
  }
  bool overflowed() const { return overflowed_; }
  const std::map<Scalar, Tally>& counts() const { return counts_; }

 private:
  static constexpr std::size_t kNodeBytes = sizeof(std::pair<const Scalar, Tally>) + 48;  // a tree node's links and the allocator's header
  std::map<Scalar, Tally> counts_;
  std::size_t bytes_max_, bytes_ = 0;
  bool overflowed_ = false;
};

void count_in_documents(const Path& path, const RowSource& source, const Bitmap& rows, const Cancel& cancel, Tallies& tallies) {
  each_document(source, rows, cancel, [&](std::size_t row, Object document) {
    if (tallies.overflowed()) return;
    path.any_value(document, [&](const Value& value) {
      auto scalar = scalar_of(value);
      if (!scalar) return false;
      Tally* found = tallies.find(std::move(*scalar));
      if (!found) return true;
      Tally& tally = *found;
      if (tally.last_row != row) ++tally.count;
      tally.last_row = row;
      return false;
    });
  });
}

void count_in_index(const FieldIndex& index, const Bitmap& rows, const Cancel& cancel, Tallies& tallies) {
  std::size_t looked_up = 0;
  index.each_value([&](const Scalar& value, const std::vector<std::uint32_t>& holders) {
    if (looked_up++ % kRowsPerCheck == 0) cancel.check();
    if (tallies.overflowed()) return;
    const auto n = std::ranges::count_if(holders, [&](std::uint32_t row) { return row < rows.size() && rows.test(row); });
    if (n == 0) return;
    if (Tally* tally = tallies.find(value)) tally->count += static_cast<std::uint64_t>(n);
  });
}

int rank(const SortKey& key) { return key.value.index() <= 1 ? 0 : static_cast<int>(key.value.index()); }

std::weak_ordering compare_numbers(const SortKey& a, const SortKey& b) {
  const auto* a_integer = std::get_if<std::int64_t>(&a.value);
  const auto* b_integer = std::get_if<std::int64_t>(&b.value);
  if (a_integer && b_integer) return *a_integer <=> *b_integer;
  std::partial_ordering order = std::partial_ordering::equivalent;
  if (a_integer) order = vicino::compare_numbers(*a_integer, std::get<double>(b.value));
  else if (b_integer) order = 0 <=> vicino::compare_numbers(*b_integer, std::get<double>(a.value));
  else order = std::get<double>(a.value) <=> std::get<double>(b.value);
  return order < 0 ? std::weak_ordering::less : order > 0 ? std::weak_ordering::greater : std::weak_ordering::equivalent;
}

std::optional<SortKey> sort_key_of(const Value& value) {
  switch (value.type()) {
    case ValueType::integer: return SortKey{value.as_int()};
    case ValueType::number: return SortKey{value.as_float()};
    case ValueType::datetime: return SortKey{Datetime{value.as_datetime()}};
    case ValueType::string: return SortKey{value.as_string()};
    default: return std::nullopt;
  }
}

bool precedes(const SortKey& a, const SortKey& b, bool descending) {
  const auto order = compare(a, b);
  return descending ? order > 0 : order < 0;
}

}  // namespace

std::optional<std::vector<std::pair<Scalar, std::uint64_t>>> facet(const Path& path, const RowSource& source, const Bitmap& rows,
                                                                   const Cancel& cancel, std::size_t bytes_max) {
  Tallies tallies(bytes_max);
  const FieldIndex* index = source.index(path.text());
  if (index && index->knows_values()) {
    Bitmap known = rows;
    Bitmap stale(rows.size());
    if (source.stale()) {
      known.and_not(*source.stale());
      stale |= *source.stale();
      stale &= rows;
    }
    count_in_index(*index, known, cancel, tallies);
    count_in_documents(path, source, stale, cancel, tallies);
  } else {
    count_in_documents(path, source, rows, cancel, tallies);
  }
  if (tallies.overflowed()) return std::nullopt;
  std::vector<std::pair<Scalar, std::uint64_t>> counts;
  counts.reserve(tallies.counts().size());
  for (const auto& [value, tally] : tallies.counts()) counts.emplace_back(value, tally.count);
  std::ranges::stable_sort(counts, [](const auto& a, const auto& b) { return a.second > b.second; });
  return counts;
}

std::weak_ordering compare(const SortKey& a, const SortKey& b) {
  if (rank(a) != rank(b)) return rank(a) <=> rank(b);
  if (rank(a) == 0) return compare_numbers(a, b);
  if (const auto* instant = std::get_if<Datetime>(&a.value)) return *instant <=> std::get<Datetime>(b.value);
  return std::get<std::string_view>(a.value) <=> std::get<std::string_view>(b.value);
}

std::vector<OrderedRow> order_by(const Path& path, const RowSource& source, const Bitmap& rows, bool descending, const Cancel& cancel,
                                 std::size_t limit) {
  std::vector<OrderedRow> ordered;
  each_document(source, rows, cancel, [&](std::size_t row, Object document) {
    std::optional<SortKey> first;
    path.any_value(document, [&](const Value& value) {
      const auto key = sort_key_of(value);
      if (key && (!first || precedes(*key, *first, descending))) first = key;
      return false;
    });
    if (first) ordered.push_back({*first, row});
  });
  const auto comes_first = [&](const OrderedRow& a, const OrderedRow& b) {
    if (precedes(a.key, b.key, descending)) return true;
    return !precedes(b.key, a.key, descending) && a.row < b.row;
  };
  if (limit < ordered.size()) {
    std::ranges::partial_sort(ordered, ordered.begin() + static_cast<std::ptrdiff_t>(limit), comes_first);
    ordered.resize(limit);
  } else {
    std::ranges::sort(ordered, comes_first);
  }
  return ordered;
}

}  // namespace vicino
