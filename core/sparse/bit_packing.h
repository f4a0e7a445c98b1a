// 128 numbers of the same number of bits, packed so that four lanes are unpacked at once: number i lies in lane i % 4.
#pragma once
#include <cstdint>
#include <string>

namespace vicino {

constexpr std::size_t packed_bytes(unsigned bits) { return std::size_t{16} * bits; }

inline unsigned bits_of(std::uint32_t value) { return value ? 32 - static_cast<unsigned>(__builtin_clz(value)) : 0; }

/// Appends 128 numbers below 2**bits.
void pack128(const std::uint32_t* values, unsigned bits, std::string& out);
/// Reads them back; `packed` holds packed_bytes(bits) bytes at any alignment, bits at most 32.
void unpack128(const std::uint8_t* packed, unsigned bits, std::uint32_t* values);

}  // namespace vicino
