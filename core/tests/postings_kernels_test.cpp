// The kernels over postings of every instruction set of this machine against the portable ones.
#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::size_t kMost = 70;

std::vector<std::uint32_t> below(Random& random, std::size_t count, std::uint32_t bound) {
  std::vector<std::uint32_t> numbers(count);
  for (auto& number : numbers) number = random.below(bound);
  return numbers;
}

/// Calls check(kernels of a set, portable ones, count) for every set and count.
template <class Check>
void for_each_set(Check&& check) {
  const Kernels portable = kernels_of("scalar");
  for (const std::string& set : supported_kernel_sets())
    for (std::size_t count = 0; count <= kMost; ++count) check(kernels_of(set), portable, count);
}

template <class Sum, class Take>
void check_taking(Random& random, Take* take) {
  constexpr Sum most = static_cast<Sum>(~Sum{0});
  for (const std::size_t count : {std::size_t{0}, std::size_t{64}, std::size_t{256}, std::size_t{1024}})
    for (const Sum bound : {Sum{1}, Sum{3}, static_cast<Sum>(most / 2 + 1), static_cast<Sum>(most - 1), most})
      for (const bool is_filtered : {false, true}) {
        std::vector<Sum> sums(count), found_sums(count), expected_sums;
        for (auto& sum : sums) sum = static_cast<Sum>(random.below(2) ? random.below(5) : most - random.below(3));
        std::vector<std::uint64_t> allowed(count / 64);
        for (auto& word : allowed) word = std::uint64_t{random.below(0xffffffff)} << 32 | random.below(0xffffffff);
        std::vector<std::uint32_t> found(count), expected;
        for (std::uint32_t i = 0; i < count; ++i)
          if (sums[i] >= bound && (!is_filtered || allowed[i / 64] >> (i % 64) & 1)) {
            expected.push_back(i);
            expected_sums.push_back(sums[i]);
          }
        const std::size_t n = take(sums.data(), count, bound, is_filtered ? allowed.data() : nullptr, found.data(), found_sums.data());
        found.resize(n);
        found_sums.resize(n);
        CHECK(found == expected);
        CHECK(found_sums == expected_sums);
        CHECK(sums == std::vector<Sum>(count));
      }
}

}  // namespace

TEST(shares_of_texts_are_the_same_with_every_instruction_set) {
  Random random(1);
  for_each_set([&](const Kernels& kernels, const Kernels& portable, std::size_t count) {
    const auto frequencies = below(random, count, 9), lengths = below(random, count, 300);
    std::vector<std::uint32_t> found(count), expected(count);
    const TextShare share{1.1e8f, 0.3f, 0.02f};
    kernels.text_shares(frequencies.data(), lengths.data(), count, share, found.data());
    portable.text_shares(frequencies.data(), lengths.data(), count, share, expected.data());
    CHECK(found == expected);
  });
}

TEST(shares_of_weights_are_the_same_with_every_instruction_set) {
  Random random(2);
  for_each_set([&](const Kernels& kernels, const Kernels& portable, std::size_t count) {
    std::vector<float> weights(count);
    for (auto& weight : weights) weight = static_cast<float>(random.below(1000)) / 333;
    std::vector<std::uint32_t> found(count), expected(count);
    kernels.weight_shares(weights.data(), count, 7.7e7f, found.data());
    portable.weight_shares(weights.data(), count, 7.7e7f, expected.data());
    CHECK(found == expected);
  });
}

TEST(taken_are_the_allowed_sums_at_or_above_the_bound_and_all_become_zero) {
  Random random(5);
  for (const std::string& set : supported_kernel_sets()) {
    check_taking<std::uint32_t>(random, kernels_of(set).take_sums);
    check_taking<std::uint16_t>(random, kernels_of(set).take_bounds);
  }
}

TEST(gaps_become_rows_each_behind_the_one_before) {
  Random random(4);
  for_each_set([&](const Kernels& kernels, const Kernels&, std::size_t count) {
    auto rows = below(random, count, 1000);
    std::vector<std::uint32_t> expected;
    std::uint32_t next = 17;
    for (const std::uint32_t gap : rows) {
      expected.push_back(next + gap);
      next = expected.back() + 1;
    }
    kernels.row_sums(rows.data(), count, 17);
    CHECK(rows == expected);
  });
}

}  // namespace vicino
