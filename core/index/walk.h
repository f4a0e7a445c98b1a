// The walk over a graph: from the nearest entries to ever nearer nodes, until the `ef` nearest nodes met have all been expanded, or the next
// one lies where no more is to be expected (growth.h).
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
#include "index/graph_layout.h"

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
  /// Keeps more keys from now on.
  void widen(std::size_t capacity) {
    capacity_ = std::max(capacity, capacity_);
    if (keys_.size() < capacity_ + 1) keys_.resize(capacity_ + 1);
  }
  std::size_t size() const { return size_; }
  std::span<const WalkKey> keys() const { return {keys_.data(), size_}; }
  /// Keys from here on are not kept.
  WalkKey bound() const { return size_ == capacity_ ? keys_[size_ - 1] : ~WalkKey{0}; }

  /// Distances beyond are not kept.
  float bound_distance() const { return size_ == capacity_ ? walk_distance(keys_[size_ - 1]) : __builtin_inff(); }

  void insert(WalkKey key) {
    if (key >= bound()) return;
    WalkKey* const first = keys_.data();
    WalkKey* const place = first + rank_of(key);
    std::memmove(place + 1, place, static_cast<std::size_t>(first + size_ - place) * sizeof(WalkKey));
    *place = key;
    size_ = std::min(size_ + 1, capacity_);
    next_ = std::min(next_, static_cast<std::size_t>(place - first));
  }

  /// The same of a few keys at once; sorts them. Their ranks are found side by side and what lies behind them moves only once.
  void insert_all(std::span<WalkKey> keys) {
    if (keys.empty()) return;
    sort_few(keys);
    ranks_.resize(std::max(ranks_.size(), keys.size()));
    for (std::size_t i = 0; i < keys.size(); ++i) ranks_[i] = rank_of(keys[i]);
    if (keys_.size() < size_ + keys.size()) keys_.resize(size_ + keys.size());
    WalkKey* const first = keys_.data();
    std::size_t end = size_;  // of what has not moved yet
    for (std::size_t i = keys.size(); i-- > 0;) {
      const std::size_t rank = ranks_[i];
      move_up(first + rank, end - rank, i + 1);
      first[rank + i] = keys[i];
      end = rank;
    }
    size_ = std::min(size_ + keys.size(), capacity_);
    next_ = std::min(next_, ranks_[0]);
  }

  /// The nearest key that was not taken yet, 0 when there is none.
  WalkKey next() {
    while (next_ < size_ && (keys_[next_] & 1)) ++next_;
    return next_ < size_ ? keys_[next_] : 0;
  }
  /// The same, which then counts as taken.
  WalkKey take_next() { return next() ? keys_[next_++] |= 1 : 0; }

 private:
  /// How many keys are smaller: halving without branches, since nobody could predict them. A mask, as compilers make a branch of a choice.
  std::size_t rank_of(WalkKey key) const {
    const WalkKey* at = keys_.data();
    for (std::size_t n = size_; n > 0;) {
      const std::size_t half = (n + 1) / 2;
      at += half & (std::size_t{0} - static_cast<std::size_t>(at[half - 1] < key));
      n -= half;
    }
    return static_cast<std::size_t>(at - keys_.data());
  }

  /// Few keys a few places on: a call of memmove would take longer than its work.
  static void move_up(WalkKey* keys, std::size_t count, std::size_t by) {
    constexpr std::size_t at_once = 8;
    for (; count >= at_once; count -= at_once) {
      WalkKey moved[at_once];
      std::memcpy(moved, keys + count - at_once, sizeof moved);
      std::memcpy(keys + count - at_once + by, moved, sizeof moved);
    }
    while (count-- > 0) keys[count + by] = keys[count];
  }

  static void sort_few(std::span<WalkKey> keys) {
    if (keys.size() > kGraphLinksMax) {
      std::ranges::sort(keys);
      return;
    }
    for (std::size_t i = 1; i < keys.size(); ++i) {
      const WalkKey key = keys[i];
      std::size_t at = i;
      for (; at > 0 && keys[at - 1] > key; --at) keys[at] = keys[at - 1];
      keys[at] = key;
    }
  }

  std::vector<WalkKey> keys_;
  std::vector<std::size_t> ranks_;
  std::size_t capacity_ = 0, size_ = 0, next_ = 0;  // all before next_ were taken
};

/// Which nodes a walk has met, in the order it met them. The memory stays for the thread's next walk; only bits that were set are cleared.
class MetNodes {
 public:
  void reset(std::size_t n_nodes) {
    for (const std::uint32_t node : part(0, size_)) words_[node >> 5] = 0;
    size_ = 0;
    n_nodes_ = static_cast<std::uint32_t>(n_nodes);
    if (words_.size() < (n_nodes + 31) / 32) words_.resize((n_nodes + 31) / 32);
  }
  std::size_t size() const { return size_; }
  /// Valid until more are inserted.
  std::span<const std::uint32_t> part(std::size_t first, std::size_t end) const { return {nodes_.data() + first, end - first}; }

  /// What came with each of them, of the last insert_links.
  const std::uint32_t* factors(std::size_t first) const { return factors_.data() + first; }

  /// False when the node, one of the graph, was already there.
  bool insert(std::uint32_t node) {
    std::uint32_t& word = words_[node >> 5];
    const std::uint32_t bit = std::uint32_t{1} << (node & 31);
    if (word & bit) return false;
    make_room(1);
    nodes_[size_++] = node;
    word |= bit;
    return true;
  }
  /// Inserts nodes up to the first number that is none, and returns how many there were.
  std::size_t insert_links(LinkSlots slots) {
    make_room(slots.count + 1);
    slots.n_nodes = n_nodes_;
    const LinksTaken taken = kernels().take_unmet(slots, words_.data(), nodes_.data() + size_, factors_.data() + size_);
    size_ += taken.unmet;
    return taken.used;
  }

 private:
  void make_room(std::size_t count) {
    if (nodes_.size() >= size_ + count) return;
    nodes_.resize(2 * (size_ + count));
    factors_.resize(nodes_.size());
  }

  std::vector<std::uint32_t> words_, nodes_, factors_;
  std::size_t size_ = 0;
  std::uint32_t n_nodes_ = 0;
};

/// What a walk works with; one per thread, kept from query to query.
struct WalkMemory {
  WalkPool pool, accepted;
  MetNodes met;
  std::vector<std::uint32_t> rows, survivors;
  std::vector<WalkKey> keys;
  std::vector<float> distances;
  QueryState query;

  static WalkMemory& of_thread() {
    static thread_local WalkMemory memory;
    return memory;
  }
};

}  // namespace vicino
