// CRC32C (Castagnoli), the checksum of every file: guards against bits that rot and writes that tear, not against attackers.
#pragma once
#include <cstdint>
#include <vector>

#include "util/blob.h"

namespace vicino {

/// Checksum of `bytes`, continuing from `value`: crc32c(b, crc32c(a)) is the checksum of a followed by b.
/// Uses the processor's instruction where there is one; all variants give the same value.
std::uint32_t crc32c(Bytes bytes, std::uint32_t value = 0);

/// Checksums of any part of `bytes` at nearly the same small cost, after one pass over all of them; `bytes` must outlive it.
///
/// The state is linear over GF(2): the checksum of the bytes from a to b continuing from s is that of everything before b, xor (s xor
/// that of everything before a) advanced over b - a zero bytes. Those of everything before each kibibyte are kept.
class PartChecksums {
 public:
  explicit PartChecksums(Bytes bytes);
  /// crc32c(bytes.subspan(start, size), value).
  std::uint32_t of(std::size_t start, std::size_t size, std::uint32_t value) const;

 private:
  static constexpr std::size_t kStep = 1024;
  std::uint32_t before(std::size_t end) const;

  Bytes bytes_;
  std::vector<std::uint32_t> before_;  // of the first i * kStep bytes
};

/// The reference: one table, one byte at a time. Only tests call it; `crc32c` must equal it.
std::uint32_t crc32c_reference(Bytes bytes, std::uint32_t value = 0);

/// Tables of eight bytes a step, for processors without the instruction.
std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t value = 0);

}  // namespace vicino
