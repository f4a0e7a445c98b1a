// Encoded record id -> row, in a head (growing) and in a sealed segment (mapped, nothing is built at opening).
//
// Sealed: sections of the .ids container
//   meta     u32 n, u32 stride (9 when every id is a 64-bit integer: no offsets are kept), u64 capacity (n + n / 3 + 1)
//   bytes    the encoded ids in row order
//   offsets  u64[n + 1], absent when stride is not 0
//   table    u32[capacity]: row + 1, or 0; open addressing with linear probing from (high half of the hash) * capacity >> 32
//   tags     u8[capacity]: low byte of the hash, so that a probe rarely touches the ids
// For 64-bit integers that is 9 + 4/3 * 5 = 15.7 bytes a record, for strings 14.7 and the text.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/container.h"
#include "util/blob.h"
#include "util/errors.h"

namespace vicino {

class IdMap {
 public:
  /// Sections of a new id map, in the order they are written.
  struct Image {
    std::string meta, bytes, offsets, table, tags;  // offsets is empty when all ids have one width
  };
  static Image build(std::span<const Bytes> ids);
  /// Opens without touching the table: bounds are checked here, entries where they are used. Throws CorruptionError.
  static IdMap open(const Container& container);

  std::uint32_t size() const { return n_; }
  Bytes operator[](std::uint32_t row) const {
    if (stride_) return bytes_.subspan(std::size_t{row} * stride_, stride_);
    const std::uint64_t begin = offsets_[row], end = offsets_[row + 1];
    if (begin > end || end > bytes_.size()) throw CorruptionError(name_ + ": id offsets of row " + std::to_string(row) + " are out of bounds");
    return bytes_.subspan(begin, end - begin);
  }
  std::optional<std::uint32_t> find(Bytes id, std::uint64_t hash) const;
  /// Every row is found under its own id and no id is there twice.
  void verify() const;

 private:
  std::string name_;
  std::uint32_t n_ = 0, stride_ = 0;
  std::uint64_t capacity_ = 1;
  Bytes bytes_, tags_;
  std::span<const std::uint64_t> offsets_;
  std::span<const std::uint32_t> table_;
};

}  // namespace vicino
