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
#include "kernels/dispatch.h"
#include "kernels/walk_keys.h"

namespace vicino {

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
  std::size_t capacity() const { return capacity_; }
  std::span<const WalkKey> keys() const { return {keys_.data(), size_}; }
  /// Keys from here on are not kept.
  WalkKey bound() const { return size_ == capacity_ ? keys_[size_ - 1] : ~WalkKey{0}; }

  /// Distances beyond are not kept.
  float bound_distance() const { return size_ == capacity_ ? walk_distance(keys_[size_ - 1]) : __builtin_inff(); }

  void insert(WalkKey key) {
    if (key >= bound()) return;
    WalkKey* const first = keys_.data();
    WalkKey* const place = first + rank_of_key(key, first, size_);
    std::memmove(place + 1, place, static_cast<std::size_t>(first + size_ - place) * sizeof(WalkKey));
    *place = key;
    size_ = std::min(size_ + 1, capacity_);
    next_ = std::min(next_, static_cast<std::size_t>(place - first));
  }

  /// Makes these the keys of an empty pool, as far as they are kept; sorts them.
  void fill(std::span<WalkKey> keys) {
    if (keys.size() > capacity_) {
      std::ranges::nth_element(keys, keys.begin() + static_cast<std::ptrdiff_t>(capacity_));
      keys = keys.first(capacity_);
    }
    kernels().sort_keys(keys.data(), keys.size());
    std::ranges::copy(keys, keys_.begin());
    size_ = keys.size();
    next_ = 0;
  }

  /// The same as insert of some keys at once; sorts them.
  void insert_all(std::span<WalkKey> keys) {
    if (keys.empty()) return;
    if (keys_.size() < size_ + keys.size() + kKeySlack) keys_.resize(size_ + keys.size() + kKeySlack);
    const std::size_t first = kernels().merge_keys(keys_.data(), size_, keys.data(), keys.size());
    size_ = std::min(size_ + keys.size(), capacity_);
    next_ = std::min(next_, first);
  }

  /// The nearest key that was not taken yet, 0 when there is none.
  WalkKey next() {
    while (next_ < size_ && (keys_[next_] & 1)) ++next_;
    return next_ < size_ ? keys_[next_] : 0;
  }
  /// The same, which then counts as taken.
  WalkKey take_next() { return next() ? keys_[next_++] |= 1 : 0; }

 private:
  std::vector<WalkKey> keys_;
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

  /// Which of its node's links each of them was that insert_links took.
  const std::uint32_t* places(std::size_t first) const { return places_.data() + first; }

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
    const LinksTaken taken = kernels().take_unmet(slots, words_.data(), nodes_.data() + size_, places_.data() + size_);
    size_ += taken.unmet;
    return taken.used;
  }

 private:
  void make_room(std::size_t count) {
    if (nodes_.size() >= size_ + count) return;
    places_.resize(2 * (size_ + count));  // before what tells how much room there is, should memory be short
    nodes_.resize(places_.size());
  }

  std::vector<std::uint32_t> words_, nodes_, places_;
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
