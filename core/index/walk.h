// The walk over a graph: from the nearest entries to ever nearer nodes, until the `ef` nearest nodes met have all been expanded.
//
// The pool of candidates is one sorted array of 64-bit keys: the bits of a distance, made to sort as integers, above the number of the
// node and one bit that says whether it was expanded. Sorted insertion into a few hundred keys in a row is faster than a heap.
//
// What sets the pace is memory: a hop touches about twenty nodes at random. So the loop is staggered: the neighbors of a node are
// collected and their codes requested, and while they travel, those of the node before it are scored. A node is thus chosen without
// knowing the neighbors of the one before; that costs one hop in twenty and is worth it once the first few hops have come near.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "codes/ladder.h"

namespace vicino {

/// A distance and a node, ordered by both; the lowest bit is free for a flag.
using WalkKey = std::uint64_t;

inline WalkKey walk_key(float distance, std::uint32_t node) {
  const auto bits = std::bit_cast<std::uint32_t>(distance + 0.0f);  // -0 becomes 0
  const std::uint32_t ordered = bits ^ (static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31) | 0x80000000u);
  return static_cast<WalkKey>(ordered) << 32 | static_cast<WalkKey>(node) << 1;
}
inline float walk_distance(WalkKey key) {
  const auto ordered = static_cast<std::uint32_t>(key >> 32);
  return std::bit_cast<float>(ordered & 0x80000000u ? ordered ^ 0x80000000u : ~ordered);
}
inline std::uint32_t walk_node(WalkKey key) { return static_cast<std::uint32_t>(key) >> 1; }

/// The nearest keys offered, ascending, at most `capacity`.
class WalkPool {
 public:
  /// Empties the pool; its memory is kept for the thread's next walk.
  void reset(std::size_t capacity) {
    capacity_ = capacity;
    size_ = next_ = 0;
    if (keys_.size() < capacity + 1) keys_.resize(capacity + 1);
  }
  std::size_t size() const { return size_; }
  std::span<const WalkKey> keys() const { return {keys_.data(), size_}; }
  /// Keys from here on are not kept.
  WalkKey bound() const { return size_ == capacity_ ? keys_[size_ - 1] : ~WalkKey{0}; }

  void insert(WalkKey key) {
    if (key >= bound()) return;
    WalkKey* const first = keys_.data();
    WalkKey* const place = std::upper_bound(first, first + size_, key);
    const std::size_t at = static_cast<std::size_t>(place - first);
    std::memmove(place + 1, place, (size_ - at) * sizeof(WalkKey));
    *place = key;
    size_ = std::min(size_ + 1, capacity_);
    next_ = std::min(next_, at);
  }

  /// The nearest key that was not taken yet, 0 when there is none.
  WalkKey take_next() {
    while (next_ < size_ && (keys_[next_] & 1)) ++next_;
    return next_ < size_ ? keys_[next_++] |= 1 : 0;
  }
  /// The key that would be taken next; 0 when there is none.
  WalkKey peek_next() const {
    for (std::size_t i = next_; i < size_; ++i)
      if (!(keys_[i] & 1)) return keys_[i];
    return 0;
  }

 private:
  std::vector<WalkKey> keys_;
  std::size_t capacity_ = 0, size_ = 0, next_ = 0;  // all before next_ were taken
};

/// Which nodes a walk has met. The bits stay allocated for the thread's next walk; only the words touched are cleared.
class VisitedNodes {
 public:
  void reset(std::size_t n_nodes) {
    for (const std::uint32_t word : touched_) words_[word] = 0;
    touched_.clear();
    if (words_.size() < (n_nodes + 63) / 64) words_.resize((n_nodes + 63) / 64);
  }
  /// False when the node was already there.
  bool insert(std::uint32_t node) {
    std::uint64_t& word = words_[node >> 6];
    const std::uint64_t bit = std::uint64_t{1} << (node & 63);
    if (word & bit) return false;
    if (!word) touched_.push_back(node >> 6);
    word |= bit;
    return true;
  }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> touched_;
};

/// What a walk works with; one per thread, kept from query to query.
struct WalkMemory {
  WalkPool pool, accepted;
  VisitedNodes visited;
  std::vector<std::uint32_t> fresh, before;
  std::vector<float> distances;
  std::vector<std::uint32_t> rows, seeds;  // seeds: 0, 1, 2, …
  QueryState query;

  static WalkMemory& of_thread() {
    static thread_local WalkMemory memory;
    return memory;
  }
};

}  // namespace vicino
