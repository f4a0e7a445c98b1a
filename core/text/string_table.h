// Distinct strings with the numbers 0, 1, 2 ... in the order they came: the memo of an analyzer.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "util/hash.h"

namespace vicino::text {

class StringTable {
 public:
  std::size_t size() const { return strings_.size(); }
  std::size_t size_bytes() const { return bytes_ + strings_.size() * (sizeof(std::string) + 2 * sizeof(Slot)); }
  std::string_view operator[](std::uint32_t id) const { return strings_[id]; }

  /// The number of the string, new or not.
  std::uint32_t add(std::string_view text) {
    if ((strings_.size() + 1) * 2 > slots_.size()) grow();
    const std::uint64_t hash = hash_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.id == kEmpty) {
        slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(strings_.size())};
        strings_.emplace_back(text);
        bytes_ += text.size();
        return slot.id;
      }
      if (slot.tag == hash >> 32 && strings_[slot.id] == text) return slot.id;
    }
  }

 private:
  static constexpr std::uint32_t kEmpty = 0xffffffff;
  struct Slot {
    std::uint32_t tag = 0, id = kEmpty;
  };

  void grow() {
    slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, Slot{});
    for (std::uint32_t id = 0; id < strings_.size(); ++id) {
      const std::string& text = strings_[id];
      const std::uint64_t hash = hash_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
      std::size_t at = hash & (slots_.size() - 1);
      while (slots_[at].id != kEmpty) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {static_cast<std::uint32_t>(hash >> 32), id};
    }
  }

  std::deque<std::string> strings_;
  std::vector<Slot> slots_;
  std::size_t bytes_ = 0;
};

}  // namespace vicino::text
