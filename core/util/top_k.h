// The k nearest hits so far. Equal distances are ordered by row, so the order of offers does not matter.
#pragma once
#include <algorithm>
#include <cassert>
#include <functional>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicino {

struct Hit {
  float distance;
  std::uint64_t row;
  friend bool operator<(const Hit& a, const Hit& b) { return a.distance != b.distance ? a.distance < b.distance : a.row < b.row; }
  friend bool operator==(const Hit&, const Hit&) = default;
};

class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) { assert(k > 0); heap_.reserve(std::min<std::size_t>(k, 1024)); }
  std::size_t k() const { return k_; }
  bool full() const { return heap_.size() == k_; }
  bool rejects(Hit hit) const { return full() && !(hit < heap_.front()); }
  /// Distance a hit must beat to be kept; +inf while there is room.
  float bound() const { return full() ? heap_.front().distance : __builtin_inff(); }

  void offer(Hit hit) {
    if (rejects(hit)) return;
    if (full()) { std::pop_heap(heap_.begin(), heap_.end(), std::less<>{}); heap_.pop_back(); }
    heap_.push_back(hit);
    std::push_heap(heap_.begin(), heap_.end(), std::less<>{});
  }
  std::vector<Hit> take_sorted() && { std::sort_heap(heap_.begin(), heap_.end(), std::less<>{}); return std::move(heap_); }

 private:
  std::size_t k_;
  std::vector<Hit> heap_;  // max-heap: the worst kept hit is at the front
};

}  // namespace vicino
