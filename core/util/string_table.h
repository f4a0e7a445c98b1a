// Distinct strings with the numbers 0, 1, 2 ... in the order they came. Their bytes never move, so a view of one holds as long as the table does.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
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
  std::uint32_t find(std::string_view text) const { return find(text, hash_of(text)); }
  std::uint32_t find(std::string_view text, std::uint64_t hash) const {
    if (slots_.empty()) return kNone;
    return slots_[place_of(text, hash)].id;
  }
  /// Asks for the memory that `find` looks at first.
  void prefetch(std::uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }
  static std::uint64_t hash_of(std::string_view text) { return hash_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }

  /// The number of the string, new or not.
  std::uint32_t add(std::string_view text) {
    if ((strings_.size() + 1) * 2 > slots_.size()) grow();
    const std::uint64_t hash = hash_of(text);
    Slot& slot = slots_[place_of(text, hash)];
    if (slot.id == kNone) {
      slot = {hash, static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(strings_.size())};
      strings_.push_back(keep(text));
    }
    return slot.id;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t size = 0, id = kNone;
  };
  /// Of strings of one such size no two have the same hash: every step of it can be undone. They need not be looked at, which saves waiting for two
  /// places in memory.
  static constexpr std::size_t kToldByHash = 8;

  /// The slot of the string, or the free one where it belongs.
  std::size_t place_of(std::string_view text, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.id == kNone) return at;
      if (slot.hash == hash && slot.size == text.size() && (text.size() <= kToldByHash || strings_[slot.id] == text)) return at;
    }
  }

  void grow() {
    std::vector<Slot> grown(slots_.empty() ? 1024 : slots_.size() * 2);
    for (const Slot& slot : slots_) {
      if (slot.id == kNone) continue;
      std::size_t at = slot.hash & (grown.size() - 1);
      while (grown[at].id != kNone) at = (at + 1) & (grown.size() - 1);
      grown[at] = slot;
    }
    slots_ = std::move(grown);
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
