// Numbers in as few bits as they need: a **run** of 1 to 128 numbers.
//
//   u8  bits b of each packed number, 0 to 32; 64 more when some do not fit
//   if some do not: u8 how many, u8 bits h of what they have above b
//   the lower b bits of all numbers: of 128 in four lanes (number i lies in lane i % 4, so that vectors unpack them), of fewer one after the other,
//   padded to a whole byte
//   of those that do not fit: u8 place each; then their upper bits, h each, padded to a whole byte
//
// One large number among many small ones would otherwise widen them all: b is what makes the run shortest.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "util/blob.h"

namespace vicino {

constexpr std::uint32_t kRunMax = 128;

inline unsigned bits_of(std::uint32_t value) { return value ? 32 - static_cast<unsigned>(__builtin_clz(value)) : 0; }

/// Appends a run of 1 to kRunMax numbers.
void append_run(std::span<const std::uint32_t> numbers, std::string& out);
/// Reads a run of `count` numbers off the front of `bytes`. False when the bytes are damaged or end too early; `numbers` is then undefined.
bool read_run(Bytes& bytes, std::uint32_t count, std::uint32_t* numbers);
/// The same; `bits` becomes how many no number has more of.
bool read_run(Bytes& bytes, std::uint32_t count, std::uint32_t* numbers, unsigned& bits);
/// Passes over a run as read_run reads it.
bool skip_run(Bytes& bytes, std::uint32_t count);

}  // namespace vicino
