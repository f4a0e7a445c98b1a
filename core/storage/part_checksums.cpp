// Advancing a state over n zero bytes multiplies it, as a polynomial over GF(2), by x^(8n) modulo the checksum's: a product for each bit of n.
#include <algorithm>
#include <array>

#include "storage/checksum.h"

namespace vicino {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, reflected: the highest bit is the coefficient of x^0
constexpr std::uint32_t kOne = 0x80000000;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = kOne; bit; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ (b & 1 ? kPolynomial : 0);
  }
  return product;
}

/// x^(8 * 2^i).
constexpr std::array<std::uint32_t, 64> make_powers() {
  std::array<std::uint32_t, 64> powers{};
  powers[0] = kOne >> 8;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = multiply(powers[i - 1], powers[i - 1]);
  return powers;
}
constexpr auto kPowers = make_powers();

std::uint32_t advance(std::uint32_t state, std::size_t n) {
  for (std::size_t i = 0; n; ++i, n >>= 1)
    if (n & 1) state = multiply(kPowers[i], state);
  return state;
}

}  // namespace

PartChecksums::PartChecksums(Bytes bytes) : bytes_(bytes), before_{0} {
  before_.reserve(bytes.size() / kStep + 1);
  for (std::size_t end = kStep; end <= bytes.size(); end += kStep) before_.push_back(crc32c(bytes.subspan(end - kStep, kStep), before_.back()));
}

std::uint32_t PartChecksums::before(std::size_t end) const {
  const std::size_t start = end / kStep * kStep;
  return crc32c(bytes_.subspan(start, end - start), before_[end / kStep]);
}

std::uint32_t PartChecksums::of(std::size_t start, std::size_t size, std::uint32_t value) const {
  return before(start + size) ^ advance(value ^ before(start), size);
}

}  // namespace vicino
