#include "shard/hit_lists.h"

#include <algorithm>
#include <cassert>

namespace vicino {

HitLists::HitLists(std::size_t n_queries, std::size_t width, bool with_ids)
    : lists_(n_queries), width_(width), hits_(std::make_unique_for_overwrite<Hit[]>(n_queries * width)) {
  for (std::size_t query = 0; query < n_queries; ++query) lists_[query].first = query * width;
  if (with_ids && n_queries * width <= kIdsMax) ids_ = std::make_unique_for_overwrite<ShortId[]>(n_queries * width);
}

void HitLists::set(std::size_t query, std::span<const Hit> hits) {
  assert(hits.size() <= width_);
  List& list = lists_[query];
  list.count = hits.size();
  std::ranges::copy(hits, hits_.get() + list.first);
}

std::span<const ShortId> HitLists::ids(std::size_t query) const {
  if (!ids_) return {};
  return {ids_.get() + lists_[query].first, lists_[query].count};
}

std::size_t HitLists::n_hits() const {
  std::size_t n = 0;
  for (const List& list : lists_) n += list.count;
  return n;
}

void HitLists::skip(std::size_t n) {
  for (List& list : lists_) {
    const std::size_t dropped = std::min(n, list.count);
    list.first += dropped;
    list.count -= dropped;
  }
}

void HitLists::truncate(std::size_t query, std::size_t n) { lists_[query].count = std::min(lists_[query].count, n); }

void HitLists::append(const HitLists& more) {
  const bool with_ids = (ids_ || !size()) && (more.ids_ || !more.size());
  HitLists both(size() + more.size(), std::max(width_, more.width_), with_ids);
  for (std::size_t query = 0; query < both.size(); ++query) {
    const HitLists& source = query < size() ? *this : more;
    const List& from = source.lists_[query < size() ? query : query - size()];
    List& to = both.lists_[query];
    to.count = from.count;
    std::copy_n(source.hits_.get() + from.first, from.count, both.hits_.get() + to.first);
    if (both.ids_) std::copy_n(source.ids_.get() + from.first, from.count, both.ids_.get() + to.first);
  }
  *this = std::move(both);
}

}  // namespace vicino
