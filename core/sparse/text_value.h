// The terms of one record for one text index, as an analyzer made them and the log keeps them:
//
//   u8 flags (1: with positions), varint length, varint n_terms, then per term, ascending by bytes:
//   varint size, the term's bytes, varint tf, with positions tf varint gaps (the first from 0)
//
// length counts the words of the text once, whatever forms each of them was given, and no stop words. varint: 7 bits a byte, the lowest first.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>

#include "util/byte_io.h"

namespace vicino {

constexpr std::uint8_t kTextHasPositions = 1;

inline std::uint32_t read_varint(ByteReader& in) {
  auto byte = in.read<std::uint8_t>();
  if (byte < 0x80) return byte;  // nearly all
  std::uint64_t value = byte & 0x7fu;
  for (int shift = 7; shift < 35; shift += 7) {
    byte = in.read<std::uint8_t>();
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (!(byte & 0x80)) {
      if (value > 0xffffffff) break;
      return static_cast<std::uint32_t>(value);
    }
  }
  in.fail("a number is longer than 32 bits");
}

/// The same off the front of `bytes`; false when they end too early or the number is longer than 32 bits.
inline bool take_varint(Bytes& bytes, std::uint32_t& value) {
  std::uint64_t read = 0;
  for (std::size_t at = 0; at < bytes.size() && at < 5; ++at) {
    read |= std::uint64_t{bytes[at] & 0x7fu} << (7 * at);
    if (bytes[at] & 0x80) continue;
    bytes = bytes.subspan(at + 1);
    value = static_cast<std::uint32_t>(read);
    return read <= 0xffffffff;
  }
  return false;
}

inline void append_varint(std::string& out, std::uint32_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

/// Reads a text value front to back. Throws CorruptionError, naming `what`, when anything is out of bounds or order.
class TextValueReader {
 public:
  TextValueReader(Bytes value, const std::string& what) : in_(value, what) {
    const auto flags = in_.read<std::uint8_t>();
    if (flags > kTextHasPositions) in_.fail("unknown flags " + std::to_string(flags) + " of a text value");
    has_positions_ = flags & kTextHasPositions;
    length_ = read_varint(in_);
    n_terms_ = left_ = read_varint(in_);
  }

  bool has_positions() const { return has_positions_; }
  std::uint32_t length() const { return length_; }
  std::uint32_t n_terms() const { return n_terms_; }

  /// Moves to the next term; false behind the last one, where the value must end.
  bool next() {
    skip_positions();
    if (left_ == 0) {
      if (in_.remaining()) in_.fail(std::to_string(in_.remaining()) + " bytes too many in a text value");
      return false;
    }
    --left_;
    const Bytes term = in_.take(read_varint(in_));
    if (term.empty()) in_.fail("an empty term in a text value");
    const bool first = left_ + 1 == n_terms_;
    if (!first && !std::lexicographical_compare(term_.begin(), term_.end(), term.begin(), term.end())) in_.fail("terms of a text value do not ascend");
    term_ = term;
    tf_ = read_varint(in_);
    if (tf_ == 0) in_.fail("a term of a text value occurs 0 times");
    positions_left_ = has_positions_ ? tf_ : 0;
    position_ = 0;
    return true;
  }
  Bytes term() const { return term_; }
  std::uint32_t tf() const { return tf_; }
  /// Of the value: how many bytes were read. Behind a term its positions begin there.
  std::size_t at() const { return in_.position(); }
  /// The next of tf() ascending positions.
  std::uint32_t next_position() {
    --positions_left_;
    const std::uint64_t position = std::uint64_t{position_} + read_varint(in_);
    if (position > 0xffffffff) in_.fail("a position of a text value is beyond 32 bits");
    return position_ = static_cast<std::uint32_t>(position);
  }

 private:
  void skip_positions() {
    while (positions_left_) next_position();
  }

  ByteReader in_;
  bool has_positions_ = false;
  std::uint32_t length_ = 0, n_terms_ = 0, left_ = 0, tf_ = 0, positions_left_ = 0, position_ = 0;
  Bytes term_;
};

}  // namespace vicino
