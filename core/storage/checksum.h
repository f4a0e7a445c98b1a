// CRC32C (Castagnoli), the checksum of every file: guards against bits that rot and writes that tear, not against attackers.
#pragma once
#include <cstdint>

#include "util/blob.h"

namespace vicino {

/// Checksum of `bytes`, continuing from `value`: crc32c(b, crc32c(a)) is the checksum of a followed by b.
/// Uses the processor's instruction where there is one; all variants give the same value.
std::uint32_t crc32c(Bytes bytes, std::uint32_t value = 0);

/// The reference: one table, one byte at a time. Only tests call it; `crc32c` must equal it.
std::uint32_t crc32c_reference(Bytes bytes, std::uint32_t value = 0);

/// Tables of eight bytes a step, for processors without the instruction.
std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t value = 0);

}  // namespace vicino
