// What several queries found, in one piece of memory that a search fills from several threads.
//
// Whoever asked mostly looks at all ids next, and does so alone. So the threads that search read the ids as well, while what they found is near,
// and short ids lie beside the hits.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "util/blob.h"
#include "util/top_k.h"

namespace vicino {

/// A copy of an encoded id, if it is short: a number, a UUID, a text of 22 bytes.
class ShortId {
 public:
  void set(Bytes id) {
    size_ = id.size() <= bytes_.size() ? static_cast<std::uint8_t>(id.size()) : 0;
    if (size_) std::memcpy(bytes_.data(), id.data(), size_);
  }
  /// Empty where the id was longer.
  Bytes bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<std::uint8_t, 23> bytes_;
  std::uint8_t size_;
};

class HitLists {
 public:
  static constexpr std::size_t kIdsMax = std::size_t{1} << 22;  // 100 MB; who asks for more takes long to look at them

  HitLists() = default;
  /// No hits yet. width: at most so many of each query will be set. with_ids: with their ids, unless these are more than kIdsMax.
  HitLists(std::size_t n_queries, std::size_t width, bool with_ids);

  std::size_t size() const { return lists_.size(); }
  std::span<const Hit> operator[](std::size_t query) const { return {hits_.get() + lists_[query].first, lists_[query].count}; }
  /// Of the hits of a query; none where none were wanted.
  std::span<const ShortId> ids(std::size_t query) const;
  std::size_t n_hits() const;

  /// Threads may set different queries at once.
  void set(std::size_t query, std::span<const Hit> hits);
  /// Copies the ids of the hits of queries `first` to `last`, exclusive, where ids are wanted. id_of(row): the bytes of one.
  template <class IdOf>
  void read_ids(std::size_t first, std::size_t last, IdOf&& id_of);

  /// Drops the first `n` hits of every query.
  void skip(std::size_t n);
  /// Keeps the first `n` hits of one query.
  void truncate(std::size_t query, std::size_t n);
  /// Adds the queries of another search behind these.
  void append(const HitLists& more);

 private:
  struct List {
    std::size_t first = 0, count = 0;
  };

  static constexpr std::size_t kIdsAhead = 32;

  std::vector<List> lists_;
  std::size_t width_ = 0;
  std::unique_ptr<Hit[]> hits_;
  std::unique_ptr<ShortId[]> ids_;
};

template <class IdOf>
void HitLists::read_ids(std::size_t first, std::size_t last, IdOf&& id_of) {
  if (!ids_ || !width_) return;
  // They lie anywhere in their files: asked for beforehand, all are on their way at once.
  const auto ask = [&](std::size_t query) {
    for (const Hit& hit : (*this)[query]) __builtin_prefetch(id_of(hit.row).data());
  };
  const std::size_t ahead = 1 + kIdsAhead / width_;
  for (std::size_t query = first; query < std::min(first + ahead, last); ++query) ask(query);
  for (std::size_t query = first; query < last; ++query) {
    if (query + ahead < last) ask(query + ahead);
    ShortId* id = ids_.get() + lists_[query].first;
    for (const Hit& hit : (*this)[query]) (id++)->set(id_of(hit.row));
  }
}

}  // namespace vicino
