// The instruction has a latency of three cycles and a throughput of one, so one chain of it runs at a third of what the processor can do.
// Long inputs are therefore cut into three equal lanes, computed side by side and joined: the checksum of A followed by n more bytes is
// the checksum of A advanced over n zero bytes, xor the checksum of those bytes alone. Advancing over a fixed n is linear over GF(2), so
// four tables of 256 entries do it in four look-ups.
#include "storage/checksum.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace vicino {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, reflected
// Two lane sizes: the long one keeps the joins rare, the short one picks up what remains.
constexpr std::size_t kLongLane = 4096;
constexpr std::size_t kShortLane = 256;

using ByteTable = std::array<std::uint32_t, 256>;
using SliceTables = std::array<ByteTable, 8>;
using AdvanceTables = std::array<ByteTable, 4>;

constexpr SliceTables make_slice_tables() {
  SliceTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? kPolynomial : 0);
    tables[0][i] = value;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
  return tables;
}
constexpr SliceTables kSlice = make_slice_tables();

std::uint64_t load64(const std::uint8_t* data) {
  std::uint64_t word;
  std::memcpy(&word, data, 8);
  return word;
}

#if defined(__x86_64__)
#define VICINO_CRC_TARGET __attribute__((target("sse4.2")))
VICINO_CRC_TARGET inline std::uint32_t step8(std::uint32_t state, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(state, word));
}
VICINO_CRC_TARGET inline std::uint32_t step1(std::uint32_t state, std::uint8_t byte) { return _mm_crc32_u8(state, byte); }
bool has_instruction() { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#define VICINO_CRC_TARGET
inline std::uint32_t step8(std::uint32_t state, std::uint64_t word) { return __crc32cd(state, word); }
inline std::uint32_t step1(std::uint32_t state, std::uint8_t byte) { return __crc32cb(state, byte); }
bool has_instruction() { return true; }
#endif

#if defined(VICINO_CRC_TARGET)
/// The state after `n` zero bytes, for each value of each byte of the state before.
AdvanceTables make_advance_tables(std::size_t n) {
  std::array<std::uint32_t, 32> column{};
  for (std::size_t bit = 0; bit < 32; ++bit) {
    std::uint32_t state = std::uint32_t{1} << bit;
    for (std::size_t i = 0; i < n; ++i) state = (state >> 8) ^ kSlice[0][state & 0xFF];
    column[bit] = state;
  }
  AdvanceTables tables{};
  for (std::size_t byte = 0; byte < 4; ++byte)
    for (std::size_t value = 0; value < 256; ++value)
      for (std::size_t bit = 0; bit < 8; ++bit)
        if (value >> bit & 1) tables[byte][value] ^= column[byte * 8 + bit];
  return tables;
}

std::uint32_t advance(const AdvanceTables& tables, std::uint32_t state) {
  return tables[0][state & 0xFF] ^ tables[1][state >> 8 & 0xFF] ^ tables[2][state >> 16 & 0xFF] ^ tables[3][state >> 24];
}

template <std::size_t Lane>
VICINO_CRC_TARGET std::uint32_t three_lanes(const std::uint8_t*& data, std::size_t& size, std::uint32_t state) {
  static const AdvanceTables tables = make_advance_tables(Lane);
  while (size >= 3 * Lane) {
    std::uint32_t second = 0, third = 0;
    for (std::size_t i = 0; i < Lane; i += 8) {
      state = step8(state, load64(data + i));
      second = step8(second, load64(data + Lane + i));
      third = step8(third, load64(data + 2 * Lane + i));
    }
    state = advance(tables, advance(tables, state) ^ second) ^ third;
    data += 3 * Lane;
    size -= 3 * Lane;
  }
  return state;
}

VICINO_CRC_TARGET std::uint32_t crc32c_instruction(Bytes bytes, std::uint32_t value) {
  const std::uint8_t* data = bytes.data();
  std::size_t size = bytes.size();
  std::uint32_t state = ~value;
  state = three_lanes<kLongLane>(data, size, state);
  state = three_lanes<kShortLane>(data, size, state);
  for (; size >= 8; data += 8, size -= 8) state = step8(state, load64(data));
  for (; size; ++data, --size) state = step1(state, *data);
  return ~state;
}
#endif

}  // namespace

std::uint32_t crc32c_reference(Bytes bytes, std::uint32_t value) {
  std::uint32_t state = ~value;
  for (const std::uint8_t byte : bytes) state = (state >> 8) ^ kSlice[0][(state ^ byte) & 0xFF];
  return ~state;
}

std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t value) {
  static_assert(std::endian::native == std::endian::little);
  const std::uint8_t* data = bytes.data();
  std::size_t size = bytes.size();
  std::uint32_t state = ~value;
  for (; size >= 8; data += 8, size -= 8) {
    const std::uint64_t word = load64(data) ^ state;
    state = 0;
    for (std::size_t byte = 0; byte < 8; ++byte) state ^= kSlice[7 - byte][word >> (8 * byte) & 0xFF];
  }
  return crc32c_reference({data, size}, ~state);
}

std::uint32_t crc32c(Bytes bytes, std::uint32_t value) {
#if defined(VICINO_CRC_TARGET)
  static const bool fast = has_instruction();
  if (fast) return crc32c_instruction(bytes, value);
#endif
  return crc32c_portable(bytes, value);
}

}  // namespace vicino
