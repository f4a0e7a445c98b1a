// A fixed 64-bit hash of short byte strings. It is part of the file format (id tables), so it never changes.
//
// Eight bytes at a time through a multiply and a rotate, then an avalanche of two multiplies with shifts; the constants are odd numbers with
// well-spread bits. It resists accidents, not attackers, and every table that uses it compares the full key.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "util/blob.h"

namespace vicino {

/// One to eight bytes as a number, the first the lowest. Loads of fixed sizes that overlap: one of a size known only now is a call.
inline std::uint64_t hash_word(const std::uint8_t* data, std::size_t size) {
  if (size == 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    return word;
  }
  if (size >= 4) {
    std::uint32_t low, high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + size - 4, 4);
    return std::uint64_t{high} << (8 * (size - 4)) | low;
  }
  return std::uint64_t{data[0]} | std::uint64_t{data[size / 2]} << (8 * (size / 2)) | std::uint64_t{data[size - 1]} << (8 * (size - 1));
}

inline std::uint64_t hash_bytes(Bytes bytes) {
  constexpr std::uint64_t k1 = 0x9E3779B97F4A7C15, k2 = 0xD6E8FEB86659FD93;
  std::uint64_t state = bytes.size() * k1;
  const std::uint8_t* data = bytes.data();
  std::size_t left = bytes.size();
  while (left) {
    const std::size_t step = left < 8 ? left : 8;
    state = std::rotl((state ^ hash_word(data, step)) * k2, 29) + k1;
    data += step;
    left -= step;
  }
  state = (state ^ (state >> 32)) * k2;
  state = (state ^ (state >> 29)) * k1;
  return state ^ (state >> 32);
}

}  // namespace vicino
