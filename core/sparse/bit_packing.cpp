#include "sparse/bit_packing.h"

#include <array>
#include <cstring>
#include <utility>

namespace vicino {

namespace {

using Unpack = void (*)(const std::uint8_t*, std::uint32_t*);

/// Steps i = 0 … 31 are known at compile time, so every shift is a constant and the four lanes become one vector operation.
template <unsigned bits>
void unpack_lanes(const std::uint8_t* in, std::uint32_t* out) {
  if constexpr (bits == 0) {
    std::memset(out, 0, 128 * sizeof(std::uint32_t));
  } else {
    constexpr std::uint32_t mask = bits == 32 ? 0xffffffffu : (1u << (bits % 32)) - 1;
    [&]<std::size_t... step>(std::index_sequence<step...>) {
      (
          [&] {
            constexpr unsigned at = step * bits, word = at / 32, shift = at % 32;
            std::uint32_t low[4], high[4];
            std::memcpy(low, in + 16 * word, 16);
            if constexpr (shift + bits > 32) std::memcpy(high, in + 16 * (word + 1), 16);
            for (unsigned lane = 0; lane < 4; ++lane) {
              std::uint32_t value = low[lane] >> shift;
              if constexpr (shift + bits > 32) value |= high[lane] << (32 - shift);
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

constexpr std::uint8_t kBitsMask = 63, kHasExceptions = 64;

constexpr std::size_t packed_bytes(std::uint32_t count, unsigned bits) { return (std::size_t{count} * bits + 7) / 8; }

using Pack = void (*)(const std::uint32_t*, std::uint8_t*);

/// The inverse of unpack_lanes: 128 numbers, of which the lower `bits` bits count.
template <unsigned bits>
void pack_lanes(const std::uint32_t* numbers, std::uint8_t* out) {
  if constexpr (bits > 0) {
    constexpr std::uint32_t mask = bits == 32 ? 0xffffffffu : (1u << (bits % 32)) - 1;
    std::uint32_t words[4 * bits] = {};
    [&]<std::size_t... step>(std::index_sequence<step...>) {
      (
          [&] {
            constexpr unsigned at = step * bits, word = at / 32, shift = at % 32;
            for (unsigned lane = 0; lane < 4; ++lane) {
              const std::uint32_t value = numbers[step * 4 + lane] & mask;
              words[word * 4 + lane] |= value << shift;
              if constexpr (shift + bits > 32) words[(word + 1) * 4 + lane] |= value >> (32 - shift);
            }
          }(),
          ...);
    }(std::make_index_sequence<32>());
    std::memcpy(out, words, sizeof words);
  }
}

template <std::size_t... bits>
constexpr std::array<Pack, sizeof...(bits)> pack_table(std::index_sequence<bits...>) {
  return {&pack_lanes<bits>...};
}

constexpr auto kPack = pack_table(std::make_index_sequence<33>());

/// Returns the end of what it wrote. Up to seven bytes behind it are overwritten.
std::uint8_t* pack(const std::uint32_t* numbers, std::uint32_t count, unsigned bits, std::uint8_t* out) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t word = 0;
  unsigned filled = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    word |= (numbers[i] & mask) << filled;
    filled += bits;
    std::memcpy(out, &word, 8);
    out += filled / 8;
    word >>= filled & ~7u;  // at most 39 bits are held
    filled %= 8;
  }
  if (filled) *out++ = static_cast<std::uint8_t>(word);
  return out;
}

/// `packed` holds exactly what `count` numbers take.
void unpack(Bytes packed, std::uint32_t count, unsigned bits, std::uint32_t* numbers) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::size_t bit = 0;
  for (std::uint32_t i = 0; i < count; ++i, bit += bits) {
    const std::size_t at = bit / 8;
    std::uint64_t word = 0;
    if (packed.size() - at >= 8) std::memcpy(&word, packed.data() + at, 8);
    else for (std::size_t k = at; k < packed.size(); ++k) word |= std::uint64_t{packed[k]} << (8 * (k - at));
    numbers[i] = static_cast<std::uint32_t>(word >> (bit % 8) & mask);
  }
}

/// The bits of a packed number that make the run shortest.
unsigned best_bits(const std::uint32_t* numbers, std::uint32_t count, unsigned most) {
  unsigned best = most;
  std::size_t best_size = packed_bytes(count, most);
  for (unsigned bits = most; bits-- > 0;) {
    std::uint32_t exceptions = 0;
    for (std::uint32_t i = 0; i < count; ++i) exceptions += numbers[i] >> bits != 0;
    const std::size_t outside = 2 + exceptions + packed_bytes(exceptions, most - bits), size = packed_bytes(count, bits) + outside;
    if (size < best_size) {
      best = bits;
      best_size = size;
    } else if (outside >= best_size) {
      break;  // fewer bits only leave more outside
    }
  }
  return best;
}

/// What stands before the numbers of a run.
struct RunHeader {
  unsigned bits = 0, upper_bits = 0;
  std::uint32_t exceptions = 0;

  /// Takes it off the front; false when it cannot be, or when the run does not fit into what is left.
  bool read(Bytes& bytes, std::uint32_t count) {
    if (bytes.empty()) return false;
    bits = bytes[0] & kBitsMask;
    const bool has_exceptions = bytes[0] & kHasExceptions;
    if (bits > 32 || bytes[0] > (kBitsMask | kHasExceptions) || (has_exceptions && bytes.size() < 3)) return false;
    if (has_exceptions) {
      exceptions = bytes[1];
      upper_bits = bytes[2];
      if (upper_bits == 0 || upper_bits > 32 - bits) return false;
    }
    bytes = bytes.subspan(has_exceptions ? 3 : 1);
    return body_bytes(count) <= bytes.size();
  }
  std::size_t body_bytes(std::uint32_t count) const { return packed_bytes(count, bits) + exceptions + packed_bytes(exceptions, upper_bits); }
};

}  // namespace

void append_run(std::span<const std::uint32_t> numbers, std::string& out) {
  const auto count = static_cast<std::uint32_t>(numbers.size());
  std::uint32_t all = 0;
  for (const std::uint32_t number : numbers) all |= number;
  const unsigned most = bits_of(all), bits = best_bits(numbers.data(), count, most);
  // A header, all numbers of 32 bits, or fewer and what does not fit, which is shorter; and what `pack` writes too much.
  std::uint8_t run[3 + 4 * kRunMax + kRunMax + 8];
  std::uint8_t* end = run + (bits < most ? 3 : 1);
  run[0] = static_cast<std::uint8_t>(bits | (bits < most ? kHasExceptions : 0));
  if (count == kRunMax) {
    kPack[bits](numbers.data(), end);
    end += packed_bytes(count, bits);
  } else {
    end = pack(numbers.data(), count, bits, end);
  }
  if (bits < most) {
    std::uint32_t upper[kRunMax], n_upper = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (numbers[i] >> bits == 0) continue;
      *end++ = static_cast<std::uint8_t>(i);
      upper[n_upper++] = numbers[i] >> bits;
    }
    run[1] = static_cast<std::uint8_t>(n_upper);
    run[2] = static_cast<std::uint8_t>(most - bits);
    end = pack(upper, n_upper, most - bits, end);
  }
  out.append(reinterpret_cast<const char*>(run), static_cast<std::size_t>(end - run));
}

bool read_run(Bytes& bytes, std::uint32_t count, std::uint32_t* numbers) {
  unsigned bits;
  return read_run(bytes, count, numbers, bits);
}

bool read_run(Bytes& bytes, std::uint32_t count, std::uint32_t* numbers, unsigned& bits) {
  RunHeader header;
  if (!header.read(bytes, count)) return false;
  bits = header.bits + header.upper_bits;
  const std::size_t size = packed_bytes(count, header.bits);
  if (count == kRunMax) {
    kUnpack[header.bits](bytes.data(), numbers);
  } else {
    unpack(bytes.first(size), count, header.bits, numbers);
  }
  if (header.exceptions) {
    const Bytes places = bytes.subspan(size, header.exceptions);
    std::uint32_t upper[256];
    unpack(bytes.subspan(size + header.exceptions, packed_bytes(header.exceptions, header.upper_bits)), header.exceptions, header.upper_bits, upper);
    for (std::uint32_t i = 0; i < header.exceptions; ++i) {
      if (places[i] >= count) return false;
      numbers[places[i]] |= upper[i] << header.bits;
    }
  }
  bytes = bytes.subspan(header.body_bytes(count));
  return true;
}

bool skip_run(Bytes& bytes, std::uint32_t count) {
  RunHeader header;
  if (!header.read(bytes, count)) return false;
  bytes = bytes.subspan(header.body_bytes(count));
  return true;
}

}  // namespace vicino
