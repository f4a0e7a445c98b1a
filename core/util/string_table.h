// Distinct strings with the numbers 0, 1, 2 ... in the order they came. Their bytes never move, so a view of one holds as long as the table does.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "util/arena.h"
#include "util/hash.h"

namespace vicino {

class StringTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::size_t size() const { return strings_.size(); }
  /// Memory held, about.
  std::size_t size_bytes() const { return arena_.size_bytes() + strings_.size() * sizeof(std::string_view) + slots_.size() * sizeof(Slot); }
  std::string_view operator[](std::uint32_t id) const { return strings_[id]; }

  /// The number of the string, kNone when it never came.
  std::uint32_t find(std::string_view text) const {
    if (slots_.empty()) return kNone;
    return slots_[place_of(text, hash_of(text))].id;
  }

  /// The number of the string, new or not.
  std::uint32_t add(std::string_view text) {
    if ((strings_.size() + 1) * 2 > slots_.size()) grow();
    const std::uint64_t hash = hash_of(text);
    Slot& slot = slots_[place_of(text, hash)];
    if (slot.id == kNone) {
      slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(strings_.size())};
      strings_.push_back(keep(text));
    }
    return slot.id;
  }

 private:
  struct Slot {
    std::uint32_t tag = 0, id = kNone;
  };

  static std::uint64_t hash_of(std::string_view text) { return hash_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }

  /// The slot of the string, or the free one where it belongs.
  std::size_t place_of(std::string_view text, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.id == kNone || (slot.tag == hash >> 32 && strings_[slot.id] == text)) return at;
    }
  }

  void grow() {
    slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, Slot{});
    for (std::uint32_t id = 0; id < strings_.size(); ++id) {
      const std::uint64_t hash = hash_of(strings_[id]);
      std::size_t at = hash & (slots_.size() - 1);
      while (slots_[at].id != kNone) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {static_cast<std::uint32_t>(hash >> 32), id};
    }
  }

  std::string_view keep(std::string_view text) {
    if (text.empty()) return {};
    auto* const kept = static_cast<char*>(arena_.allocate(text.size()));
    std::memcpy(kept, text.data(), text.size());
    return {kept, text.size()};
  }

  std::vector<std::string_view> strings_;
  std::vector<Slot> slots_;
  Arena arena_;
};

}  // namespace vicino
