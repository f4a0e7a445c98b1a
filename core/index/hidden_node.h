// Keeps the walks of a thread from one node, as if its row had never been indexed.
//
// How well a graph serves queries from outside is measured with rows of its own, and a row that meets itself has all its neighbors at
// hand. Bound to the thread, not handed through every call: only measurements use it.
#pragma once
#include <cstdint>

namespace vicino {

class HiddenNode {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;
  explicit HiddenNode(std::uint32_t node) { of_thread() = node; }
  ~HiddenNode() { of_thread() = kNone; }
  HiddenNode(const HiddenNode&) = delete;
  HiddenNode& operator=(const HiddenNode&) = delete;

  /// kNone unless one is hidden.
  static std::uint32_t& of_thread() {
    static thread_local std::uint32_t node = kNone;
    return node;
  }
};

}  // namespace vicino
