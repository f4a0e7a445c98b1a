// Kernels of the nested code: every set gives the bits of the scalar one, over ragged counts, unaligned memory and extreme values.
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

/// Bytes that start one beyond an aligned address.
class Unaligned {
 public:
  Unaligned(std::size_t size, Random& random) : memory_(size + 65) {
    for (std::uint8_t& byte : memory_) byte = static_cast<std::uint8_t>(random.next());
  }
  std::uint8_t* data() { return memory_.data() + 1; }

 private:
  std::vector<std::uint8_t> memory_;
};

/// A query in lines of 128 bytes, as its kernels want it: -127..127, zero beyond the last dimension.
std::vector<std::int8_t> query_codes(std::size_t row_bytes, Random& random, bool extreme) {
  std::vector<std::int8_t> codes((row_bytes + 63) / 64 * 128);
  for (std::size_t i = 0; i < row_bytes; ++i)
    for (std::size_t half = 0; half < 2; ++half) {
      const int value = extreme ? (half ? 127 : -127) : static_cast<int>(random.below(255)) - 127;
      codes[i / 64 * 128 + i % 64 + half * 64] = static_cast<std::int8_t>(value);
    }
  return codes;
}

std::vector<float> random_floats(std::size_t count, Random& random) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(static_cast<double>(random.next() >> 11) * 0x1p-52 - 1);
  return values;
}

std::vector<Kernels> wide_sets() {
  std::vector<Kernels> sets;
  for (const std::string& name : supported_kernel_sets()) sets.push_back(kernels_of(name));
  return sets;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

}  // namespace

TEST(code_scores_are_the_same_bits_on_every_set) {
  Random random(5);
  const Kernels scalar = kernels_of("scalar");
  constexpr std::size_t n_rows = 97;
  for (const std::size_t row_bytes : {32, 64, 96, 160, 192, 384, 4096})
    for (const bool extreme : {false, true}) {
      const std::size_t stride = row_bytes + 5;
      Unaligned high(n_rows * stride, random), low(n_rows * stride, random), factors(n_rows * 8, random);
      if (extreme) std::memset(high.data(), 0xff, n_rows * stride);
      for (std::size_t i = 0; i < n_rows * 2; ++i) {
        const float value = static_cast<float>(random.below(1000)) / 64 - 5;
        std::memcpy(factors.data() + i * 4, &value, 4);
      }
      const std::vector<std::int8_t> codes = query_codes(row_bytes, random, extreme);
      const CodeQuery query{codes.data(), row_bytes, 12345, 0.5f, -1.25f, 0.001f, -3, 0.03f, 0.5f, 0.01f};
      std::vector<std::uint32_t> ids(70);
      for (std::uint32_t& id : ids) id = random.below(n_rows);
      std::vector<std::uint32_t> packed(70);
      for (std::uint32_t& pair : packed) pair = (0x3c00 + random.below(2000)) << 16 | (0x3c00 + random.below(2000));
      for (std::size_t count = 0; count <= ids.size(); ++count)
        for (const bool gathered : {false, true}) {
          const CodeRows rows{high.data(), low.data(), stride, factors.data(), gathered ? ids.data() : nullptr, 3, packed.data()};
          for (const Kernels& set : wide_sets()) {
            for (const auto member : {&Kernels::code_scores_half, &Kernels::code_scores_float, &Kernels::code_scores_byte,
                                      &Kernels::code_scores_packed_half, &Kernels::code_scores_packed_byte}) {
              std::vector<float> found(count), expected(count);
              (set.*member)(query, rows, count, found.data());
              (scalar.*member)(query, rows, count, expected.data());
              CHECK(same_bits(found, expected));
            }
          }
        }
    }
}

TEST(a_code_score_is_the_formula) {
  Random random(6);
  constexpr std::size_t row_bytes = 96;
  Unaligned high(row_bytes, random), low(row_bytes, random);
  const std::vector<std::int8_t> codes = query_codes(row_bytes, random, false);
  const float factors[2] = {3, 0.25f};
  std::int64_t dot = 0;
  for (std::size_t i = 0; i < row_bytes; ++i)
    for (std::size_t half = 0; half < 2; ++half) {
      const int byte = (high.data()[i] >> 4 * half & 15) * 16 + (low.data()[i] >> 4 * half & 15);
      dot += byte * codes[i / 64 * 128 + i % 64 + half * 64];
    }
  const CodeQuery query{codes.data(), row_bytes, 100, 2, 0.5f, 0.125f};
  const CodeRows rows{high.data(), low.data(), row_bytes, reinterpret_cast<const std::uint8_t*>(factors), nullptr, 0};
  float found;
  kernels().code_scores_byte(query, rows, 1, &found);
  CHECK_EQUAL(found, (2 + 0.5f * 3) + (0.125f * 0.25f) * static_cast<float>(2 * dot - 100));
}

TEST(a_code_score_saturates_and_is_never_nan) {
  Random random(6);
  Unaligned high(32, random);
  const std::vector<std::int8_t> codes = query_codes(32, random, true);
  for (const Kernels& set : wide_sets())
    for (const float scale : {3e38f, -3e38f}) {
      const float factors[2] = {3e38f, scale};
      const CodeRows rows{high.data(), nullptr, 32, reinterpret_cast<const std::uint8_t*>(factors), nullptr, 0};
      float found;
      set.code_scores_float({codes.data(), 32, 0, 3e38f, 10, 1e30f}, rows, 1, &found);
      CHECK(!std::isnan(found) && found <= 3.40282347e38f);
    }
}

TEST(code_block_sums_are_exact_on_every_set) {
  Random random(7);
  // 513 groups are 8,208 dimensions: sums of 16 bits would have overflowed eight times.
  for (std::size_t n_groups = 0; n_groups <= 513; n_groups += n_groups < 70 ? 1 : 63)
    for (const bool extreme : {false, true}) {
      Unaligned block(n_groups * 64, random), table(n_groups * 64, random);
      if (extreme) std::memset(table.data(), 0xff, n_groups * 64);
      std::uint32_t expected[32] = {};
      for (std::size_t row = 0; row < 32; ++row)
        for (std::size_t part = 0; part < 4 * n_groups; ++part) {
          const std::uint8_t byte = block.data()[16 * part + row % 8 * 2 + row / 8 % 2];
          expected[row] += table.data()[16 * part + (row < 16 ? byte & 15 : byte >> 4)];
        }
      for (const Kernels& set : wide_sets()) {
        std::uint32_t found[32];
        set.code_block_sums(block.data(), table.data(), n_groups, found);
        CHECK(std::memcmp(found, expected, sizeof found) == 0);
      }
    }
}

TEST(block_bounds_are_the_same_bits_on_every_set) {
  Random random(11);
  const Kernels scalar = kernels_of("scalar");
  for (const std::size_t n_groups : {4, 12, 24, 300})
    for (const float scale : {1.0f, 0.0f, 3e38f}) {
      constexpr std::size_t n_blocks = 3;
      const std::size_t bytes = n_groups * 64 + 256;
      Unaligned blocks(n_blocks * bytes, random), table(n_groups * 64, random);
      for (std::size_t block = 0; block < n_blocks; ++block) {
        std::vector<float> factors = random_floats(64, random);
        for (float& factor : factors) factor *= scale;
        for (std::size_t i = 32; i < 64; ++i) factors[i] = std::fabs(factors[i]);  // a scale is never negative
        std::memcpy(blocks.data() + block * bytes + n_groups * 64, factors.data(), 256);
      }
      const CodeBlockQuery query{table.data(), n_groups, 0.5f, -1.5f, -2, 0.25f, -40, 1.25f, 0.125f};
      std::vector<float> least(n_blocks * 32), most(n_blocks * 32);
      scalar.code_block_bounds(query, blocks.data(), n_blocks, least.data(), most.data());
      for (const float value : least) CHECK(value >= -3.40282347e38f && value <= 3.40282347e38f);
      for (const Kernels& set : wide_sets()) {
        std::vector<float> found_least(n_blocks * 32), found_most(n_blocks * 32);
        set.code_block_bounds(query, blocks.data(), n_blocks, found_least.data(), found_most.data());
        CHECK(same_bits(found_least, least) && same_bits(found_most, most));
      }
    }
}

TEST(signs_are_the_same_bits_on_every_set) {
  Random random(12);
  for (const std::size_t dims : {64, 192, 384, 4096})
    for (const float scale : {1.0f, 1e-30f, 1e30f}) {
      std::vector<float> values = random_floats(dims, random);
      for (float& value : values) value *= scale;
      values[3] = 0.0f;
      values[7] = -0.0f;
      std::vector<std::uint8_t> expected(dims / 8), found(dims / 8);
      double magnitudes = 0;
      for (std::size_t i = 0; i < dims; ++i) {
        expected[i / 8] = static_cast<std::uint8_t>(expected[i / 8] | (values[i] >= 0) << i % 8);
        magnitudes += std::fabs(values[i]);
      }
      CodeFit scalar_fit, fit;
      kernels_of("scalar").encode_signs(values.data(), dims, found.data(), &scalar_fit);
      CHECK(found == expected);
      if (scale == 1.0f) CHECK(std::fabs(scalar_fit.along1 / (0.5 * magnitudes) - 1) < 1e-5);
      else CHECK_EQUAL(scalar_fit.along1, 0.0f);  // its squares are no floats
      for (const Kernels& set : wide_sets()) {
        set.encode_signs(values.data(), dims, found.data(), &fit);
        CHECK(found == expected);
        CHECK(std::memcmp(&fit, &scalar_fit, sizeof fit) == 0);
      }
    }
}

TEST(rotations_keep_lengths_and_are_the_same_bits_on_every_set) {
  Random random(8);
  const Kernels scalar = kernels_of("scalar");
  for (const RotationShape shape : {RotationShape{64, 64, 2}, RotationShape{128, 128, 2}, RotationShape{192, 64, 2}, RotationShape{384, 128, 2},
                                    RotationShape{832, 64, 3}, RotationShape{1024, 1024, 2}}) {
    std::vector<float> signs(shape.dims * shape.rounds);
    for (float& sign : signs) sign = (random.next() >> 63 ? 1.0f : -1.0f) / std::sqrt(static_cast<float>(shape.block));
    const std::vector<float> values = random_floats(shape.dims, random);
    std::vector<float> expected = values, scratch(shape.dims);
    scalar.rotate(shape, signs.data(), expected.data(), scratch.data());
    double before = 0, after = 0;
    for (const float value : values) before += static_cast<double>(value) * value;
    for (const float value : expected) after += static_cast<double>(value) * value;
    CHECK(std::fabs(after / before - 1) < 1e-5);
    for (const Kernels& set : wide_sets()) {
      std::vector<float> found = values;
      set.rotate(shape, signs.data(), found.data(), scratch.data());
      CHECK(same_bits(found, expected));
    }
  }
}

TEST(a_rotation_spreads_one_coordinate_over_all) {
  const RotationShape shape{384, 128, 2};
  std::vector<float> signs(768, 1 / std::sqrt(128.0f)), values(384), scratch(384);
  Random random(9);
  for (float& sign : signs) sign *= random.next() >> 63 ? 1.0f : -1.0f;
  values[5] = 1;
  kernels().rotate(shape, signs.data(), values.data(), scratch.data());
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  CHECK(largest < 0.3f);
}

TEST(codes_and_vector_sums_are_the_same_bits_on_every_set) {
  Random random(10);
  const Kernels scalar = kernels_of("scalar");
  for (const std::size_t dims : {64, 128, 192, 384, 1024})
    for (const float size : {1.0f, 1e-12f, 1e12f, 0.0f}) {
      std::vector<float> values = random_floats(dims, random);
      const std::vector<float> other = random_floats(dims, random);
      for (float& value : values) value *= size;
      for (const bool fine : {false, true}) {
        std::vector<std::uint8_t> expected(dims), found(dims);
        CodeFit fit, expected_fit;
        scalar.encode_code(values.data(), dims, fine, expected.data(), &expected_fit);
        for (const Kernels& set : wide_sets()) {
          set.encode_code(values.data(), dims, fine, found.data(), &fit);
          CHECK(found == expected);
          CHECK(std::memcmp(&fit, &expected_fit, sizeof fit) == 0);
          const VectorSums a = set.sum_vectors(values.data(), other.data(), dims), b = scalar.sum_vectors(values.data(), other.data(), dims);
          CHECK(std::memcmp(&a, &b, sizeof a) == 0);
        }
      }
    }
}

TEST(rounding_a_vector_goes_to_the_nearest_even_and_stays_within_127) {
  const std::vector<float> values = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.6f, 1e30f, -1e30f, 0, 1, -1, 3.4f, -3.4f, 0.49f, 127.4f, INFINITY};
  const std::vector<std::int8_t> expected = {0, 2, 2, 0, -2, 127, 127, -127, 0, 1, -1, 3, -3, 0, 127, 127};
  for (const Kernels& set : wide_sets()) {
    std::vector<std::int8_t> found(16);
    CHECK_EQUAL(set.round_vector(values.data(), 1.0f, 16, found.data()), 383);
    CHECK(found == expected);
  }
}

}  // namespace vicino
