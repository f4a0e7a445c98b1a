#include "sparse/term_list.h"

#include <algorithm>
#include <numeric>

namespace vicino {

void TermList::clear() {
  rows.clear();
  payloads.clear();
  firsts.clear();
  others.clear();
}

void TermList::sort(bool has_positions) {
  if (std::ranges::is_sorted(rows)) return;
  std::vector<std::size_t> order(rows.size()), first_others(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = 1; i < rows.size(); ++i) first_others[i] = first_others[i - 1] + (payloads[i - 1] - 1);
  std::ranges::sort(order, {}, [&](std::size_t i) { return rows[i]; });
  TermList sorted;
  for (const std::size_t i : order) {
    sorted.rows.push_back(rows[i]);
    sorted.payloads.push_back(payloads[i]);
    if (!has_positions) continue;
    sorted.firsts.push_back(firsts[i]);
    const auto first = others.begin() + static_cast<std::ptrdiff_t>(first_others[i]);
    sorted.others.insert(sorted.others.end(), first, first + (payloads[i] - 1));
  }
  *this = std::move(sorted);
}

RowMapping::RowMapping(std::span<const std::uint32_t> rows) : rows_(rows) {
  for (std::size_t i = 0; i < rows.size() && is_shift_; ++i) is_shift_ = rows[i] != kDropped && rows[i] == rows[0] + i;
}

}  // namespace vicino
