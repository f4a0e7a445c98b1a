// Runs of packed numbers: what was written is read, and damaged bytes are refused rather than read beyond.
#include "sparse/bit_packing.h"

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

std::vector<std::uint32_t> read(const std::string& packed, std::uint32_t count) {
  Bytes bytes{reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()};
  std::vector<std::uint32_t> numbers(count);
  CHECK(read_run(bytes, count, numbers.data()));
  CHECK(bytes.empty());
  return numbers;
}

/// Numbers of up to `bits` bits, one in eight of them of up to `most` bits.
std::vector<std::uint32_t> numbers_of(Random& random, std::uint32_t count, unsigned bits, unsigned most) {
  std::vector<std::uint32_t> numbers(count);
  for (std::uint32_t& number : numbers) {
    const unsigned width = random.below(8) ? bits : most;
    number = width == 0 ? 0 : random.below(0xffffffff) >> (32 - width);
  }
  return numbers;
}

}  // namespace

TEST(runs_of_any_length_and_width_are_read_as_written) {
  Random random(1);
  for (std::uint32_t count = 1; count <= kRunMax; ++count)
    for (unsigned bits = 0; bits <= 32; bits += 1 + count % 3)
      for (const unsigned most : {bits, std::min(32u, bits + 5), 32u}) {
        const auto numbers = numbers_of(random, count, bits, most);
        std::string packed;
        append_run(numbers, packed);
        CHECK(read(packed, count) == numbers);
        Bytes bytes{reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()};
        CHECK(skip_run(bytes, count) && bytes.empty());
      }
}

TEST(one_large_number_does_not_widen_a_run) {
  std::vector<std::uint32_t> numbers(kRunMax, 1);
  std::string small, with_large;
  append_run(numbers, small);
  numbers[77] = 1u << 31;
  append_run(numbers, with_large);
  CHECK_EQUAL(small.size(), std::size_t{17});
  CHECK(with_large.size() <= small.size() + 8);
  CHECK(read(with_large, kRunMax) == numbers);
}

TEST(runs_that_end_early_are_refused) {
  Random random(2);
  for (const std::uint32_t count : {1u, 7u, 100u, kRunMax}) {
    std::string packed;
    append_run(numbers_of(random, count, 6, 20), packed);
    std::vector<std::uint32_t> numbers(count);
    for (std::size_t size = 0; size < packed.size(); ++size) {
      Bytes bytes{reinterpret_cast<const std::uint8_t*>(packed.data()), size};
      CHECK(!read_run(bytes, count, numbers.data()));
    }
  }
}

TEST(runs_of_random_bytes_are_read_in_bounds_or_refused) {
  Random random(3);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::uint8_t> bytes(random.below(80));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
    const std::uint32_t count = 1 + random.below(kRunMax);
    std::uint32_t numbers[kRunMax];
    Bytes left(bytes);
    if (read_run(left, count, numbers)) CHECK(left.size() < bytes.size());
  }
}

}  // namespace vicino
