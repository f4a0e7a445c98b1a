// Plain words, told apart by their letters: one to sixteen letters and digits of ASCII, which nearly all words of most texts are.
//
// What a plain word becomes does not depend on its case, so a word and its capitalized forms are one entry. The letters lie in the table itself: a word is
// found with one look into memory, and two words are compared as two numbers each.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicino::text {

class PlainWords {
 public:
  static constexpr std::size_t kBytesMax = 16;
  static constexpr std::uint32_t kNone = 0xffffffff;

  /// The letters of a word in lower case, the first the lowest byte; 0 behind the last.
  struct Key {
    std::uint64_t low = 0, high = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };

  /// Of a piece of a text that is a plain word; `text` begins with it.
  static Key key_of(std::string_view text, std::size_t size) {
    constexpr std::uint64_t kLower = 0x2020202020202020;  // digits have this bit as they are
    Key key;
    if (text.size() >= kBytesMax) {
      std::memcpy(&key, text.data(), kBytesMax);
    } else {
      std::memcpy(&key, text.data(), size);
    }
    key.low = (key.low | kLower) & first_bytes_of(size);
    key.high = size > 8 ? (key.high | kLower) & first_bytes_of(size - 8) : 0;
    return key;
  }
  static std::uint64_t hash_of(const Key& key) {
    const std::uint64_t mixed = (key.low ^ std::rotl(key.high * 0xD6E8FEB86659FD93, 32)) * 0x9E3779B97F4A7C15;
    return mixed ^ mixed >> 32;
  }
  static std::string text_of(const Key& key) {
    char bytes[kBytesMax];
    std::memcpy(bytes, &key, kBytesMax);
    return {bytes, strnlen(bytes, kBytesMax)};
  }

  /// Asks for the memory that `find` looks at first.
  void prefetch(std::uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }
  /// The number that the word was added with, kNone when it never was.
  std::uint32_t find(const Key& key, std::uint64_t hash) const { return slots_.empty() ? kNone : slots_[place_of(key, hash)].number; }
  /// Adds a word that is not there.
  void add(const Key& key, std::uint64_t hash, std::uint32_t number) {
    if ((n_ + 1) * 2 > slots_.size()) grow();
    slots_[place_of(key, hash)] = {key, number};
    ++n_;
  }
  std::size_t size_bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    Key key;
    std::uint32_t number = kNone;
  };

  static std::uint64_t first_bytes_of(std::size_t size) { return size < 8 ? (std::uint64_t{1} << (8 * size)) - 1 : ~std::uint64_t{0}; }

  /// The slot of the word, or the free one where it belongs.
  std::size_t place_of(const Key& key, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].number != kNone && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(slots_.empty() ? 1024 : 2 * slots_.size()));
    for (const Slot& slot : before)
      if (slot.number != kNone) slots_[place_of(slot.key, hash_of(slot.key))] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t n_ = 0;
};

}  // namespace vicino::text
