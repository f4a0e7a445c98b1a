#include "sparse/bit_packing.h"

#include <array>
#include <cstring>
#include <utility>

namespace vicino {

namespace {

using Unpack = void (*)(const std::uint32_t*, std::uint32_t*);

/// Steps i = 0 … 31 are known at compile time, so every shift is a constant and the four lanes become one vector operation.
template <unsigned bits>
void unpack_lanes(const std::uint32_t* in, std::uint32_t* out) {
  if constexpr (bits == 0) {
    std::memset(out, 0, 128 * sizeof(std::uint32_t));
  } else {
    constexpr std::uint32_t mask = bits == 32 ? 0xffffffffu : (1u << (bits % 32)) - 1;
    [&]<std::size_t... step>(std::index_sequence<step...>) {
      (
          [&] {
            constexpr unsigned at = step * bits, word = at / 32, shift = at % 32;
            for (unsigned lane = 0; lane < 4; ++lane) {
              std::uint32_t value = in[word * 4 + lane] >> shift;
              if constexpr (shift + bits > 32) value |= in[(word + 1) * 4 + lane] << (32 - shift);
              out[step * 4 + lane] = value & mask;
            }
          }(),
          ...);
    }(std::make_index_sequence<32>());
  }
}

template <std::size_t... bits>
constexpr std::array<Unpack, sizeof...(bits)> unpack_table(std::index_sequence<bits...>) {
  return {&unpack_lanes<bits>...};
}

constexpr auto kUnpack = unpack_table(std::make_index_sequence<33>());

}  // namespace

void pack128(const std::uint32_t* values, unsigned bits, std::string& out) {
  std::uint32_t words[128] = {};
  for (unsigned step = 0; step < 32 && bits; ++step)
    for (unsigned lane = 0; lane < 4; ++lane) {
      const unsigned at = step * bits, word = at / 32, shift = at % 32;
      const std::uint32_t value = values[step * 4 + lane];
      words[word * 4 + lane] |= value << shift;
      if (shift + bits > 32) words[(word + 1) * 4 + lane] |= value >> (32 - shift);
    }
  out.append(reinterpret_cast<const char*>(words), packed_bytes(bits));
}

void unpack128(const std::uint8_t* packed, unsigned bits, std::uint32_t* values) {
  std::uint32_t words[128];
  std::memcpy(words, packed, packed_bytes(bits));
  kUnpack[bits](words, values);
}

}  // namespace vicino
