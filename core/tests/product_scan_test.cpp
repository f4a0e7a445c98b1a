// Product codes scanned for several queries: every set gives the sums of a plain loop and the bits of the scalar set.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::size_t kRows = 32;

/// Bytes that start one beyond an aligned address.
std::vector<std::uint8_t> random_bytes(std::size_t size, Random& random) {
  std::vector<std::uint8_t> bytes(size + 1);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

std::uint32_t sum_of(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::size_t row) {
  std::uint32_t sum = 0;
  for (std::size_t part = 0; part < 4 * n_groups; ++part) {
    const std::uint8_t byte = block[16 * part + row % 8 * 2 + row / 8 % 2];
    sum += table[16 * part + (row < 16 ? byte & 15 : byte >> 4)];
  }
  return sum;
}

}  // namespace

TEST(products_are_scanned_alike_on_every_set) {
  Random random(3);
  for (std::size_t n_groups = 0; n_groups <= 513; n_groups += n_groups < 70 ? 1 : 443)
    for (const std::uint32_t wanted : {0xffffffffu, 0x0000fff0u, 0x000f0000u, 0x00018000u, 0u})
      for (const bool has_squares : {false, true}) {
        const std::size_t n_queries = 1 + n_groups % kScannedTogether;
        const auto block = random_bytes(64 * n_groups, random);
        std::vector<std::vector<std::uint8_t>> tables;
        ProductScan queries[kScannedTogether];
        for (std::size_t q = 0; q < n_queries; ++q) {
          tables.push_back(random_bytes(64 * n_groups, random));
          if (q == 1) std::memset(tables[q].data(), 0xff, tables[q].size());
          queries[q] = {tables[q].data() + 1, 3.5f - static_cast<float>(q), -0.25f, 2.0f, -100.0f * static_cast<float>(n_groups)};
        }
        float squares[kRows];
        for (std::size_t i = 0; i < kRows; ++i) squares[i] = static_cast<float>(i) / 3;
        for (const std::string& name : supported_kernel_sets()) {
          float estimates[kScannedTogether * kRows];
          std::uint32_t found[kScannedTogether];
          kernels_of(name).scan_products(queries, n_queries, block.data() + 1, has_squares ? squares : nullptr, n_groups, wanted, estimates, found);
          for (std::size_t q = 0; q < n_queries; ++q) {
            std::uint32_t expected = 0;
            for (std::size_t row = 0; row < kRows; ++row) {
              if (!(wanted >> row & 1)) continue;
              const float sum = static_cast<float>(sum_of(block.data() + 1, queries[q].table, n_groups, row));
              const float shift = has_squares ? queries[q].shift + queries[q].square_slope * squares[row] : queries[q].shift;
              const float estimate = shift + queries[q].factor * sum;
              CHECK(std::memcmp(&estimate, estimates + kRows * q + row, sizeof estimate) == 0);
              expected |= static_cast<std::uint32_t>(estimate <= queries[q].limit) << row;
            }
            CHECK(found[q] == expected);
          }
        }
      }
}

TEST(products_of_no_number_are_found_on_every_set) {
  Random random(4);
  const auto block = random_bytes(64, random), table = random_bytes(64, random);
  const float none = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  for (const std::string& name : supported_kernel_sets()) {
    float estimates[2 * kRows];
    std::uint32_t found[2];
    const ProductScan queries[2] = {{table.data(), none, 1, 0, 0}, {table.data(), infinite, 1, 0, infinite}};
    kernels_of(name).scan_products(queries, 2, block.data(), nullptr, 1, 0x00ffff00u, estimates, found);
    CHECK(found[0] == 0x00ffff00u);
    CHECK(found[1] == 0x00ffff00u);
  }
}

}  // namespace vicino
