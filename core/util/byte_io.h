// Bounds-checked reading and plain writing of little-endian bytes.
#pragma once
#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#include "util/blob.h"
#include "util/errors.h"

namespace vicino {

static_assert(std::endian::native == std::endian::little, "the formats are little endian and are read in place");

/// Reads values front to back from untrusted bytes; every overrun is a CorruptionError naming `what`.
class ByteReader {
 public:
  ByteReader(Bytes bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  template <class T>
  T read() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  Bytes take(std::size_t size) {
    if (size > bytes_.size() - position_) [[unlikely]] fail_short(size);
    const Bytes part = bytes_.subspan(position_, size);
    position_ += size;
    return part;
  }
  std::size_t position() const { return position_; }
  Bytes rest() const { return bytes_.subspan(position_); }
  std::size_t remaining() const { return bytes_.size() - position_; }
  [[noreturn]] void fail(const std::string& message) const { throw CorruptionError(what_ + ": " + message); }

 private:
  /// Apart, so that what is read often stays small enough to be inlined.
  [[noreturn, gnu::noinline, gnu::cold]] void fail_short(std::size_t size) const {
    throw CorruptionError(what_ + ": needs " + std::to_string(size) + " bytes at offset " + std::to_string(position_) + ", has " +
                          std::to_string(bytes_.size() - position_));
  }

  Bytes bytes_;
  std::size_t position_ = 0;
  std::string what_;
};

template <class T>
void append_value(std::string& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

inline void append_bytes(std::string& out, Bytes bytes) { out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }

/// A section as an array of T. Throws CorruptionError naming `what` unless it holds exactly `count` aligned elements.
template <class T>
std::span<const T> typed_section(Bytes section, std::size_t count, const std::string& what) {
  if (section.size() != count * sizeof(T))
    throw CorruptionError(what + ": has " + std::to_string(section.size()) + " bytes, expected " + std::to_string(count * sizeof(T)));
  if (reinterpret_cast<std::uintptr_t>(section.data()) % alignof(T)) throw CorruptionError(what + ": is not aligned");
  return {reinterpret_cast<const T*>(section.data()), count};
}

}  // namespace vicino
