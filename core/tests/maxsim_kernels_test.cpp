// The kernels of MaxSim of every instruction set of this machine against sums in whole numbers and the portable ones, for short tokens of every
// length, at any address.
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/half.h"
#include "kernels/maxsim.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::size_t kMost = 70;
constexpr float kLow = -3e38f;

template <class Visit>
void for_each_set(Visit&& visit) {
  for (const std::string& set : supported_kernel_sets()) visit(kernels_of(set));
}

std::vector<std::int8_t> codes_of(Random& random, std::size_t count, bool is_extreme) {
  std::vector<std::int8_t> codes(count);
  for (auto& code : codes) code = static_cast<std::int8_t>(is_extreme ? (random.below(2) ? 127 : -127) : static_cast<int>(random.below(255)) - 127);
  return codes;
}

/// Tokens one byte behind an aligned address, their scales and corrections.
struct CodedTokens {
  CodedTokens(Random& random, std::size_t n, std::size_t stride, bool is_extreme)
      : bytes(codes_of(random, 1 + n * stride, is_extreme)), scales(n), corrections(n) {
    for (std::size_t t = 0; t < n; ++t) {
      scales[t] = static_cast<float>(random.below(9)) / 4 - 1;
      for (std::size_t i = 0; i < stride; ++i) corrections[t] -= 128 * code(t, stride, i);
    }
  }
  int code(std::size_t token, std::size_t stride, std::size_t i) const { return bytes[1 + token * stride + i]; }

  std::vector<std::int8_t> bytes;
  std::vector<float> scales;
  std::vector<std::int32_t> corrections;
};

void check_codes(Random& random, std::size_t n_tokens, std::size_t n_query, std::size_t stride, bool is_extreme) {
  const CodedTokens tokens(random, n_tokens, stride, is_extreme);
  const std::vector<std::int8_t> query = codes_of(random, n_query * stride, is_extreme);
  const PackedMaxSimQuery packed = PackedMaxSimQuery::of_codes(query.data(), n_query, stride);
  std::vector<float> expected(n_query, kLow);
  for (std::size_t q = 0; q < n_query; ++q)
    for (std::size_t t = 0; t < n_tokens; ++t) {
      std::int32_t dot = 0;
      for (std::size_t i = 0; i < stride; ++i) dot += query[q * stride + i] * tokens.code(t, stride, i);
      expected[q] = std::max(expected[q], tokens.scales[t] * static_cast<float>(dot));
    }
  for_each_set([&](const Kernels& kernels) {
    std::vector<float> found(packed.n_groups * kMaxSimLanes, kLow);
    kernels.maxsim_codes(tokens.bytes.data() + 1, n_tokens, stride, tokens.scales.data(), tokens.corrections.data(), packed.view(), found.data());
    found.resize(n_query);
    CHECK(found == expected);
  });
}

/// What `make` gives for each element of tokens, factors and query.
template <class Make>
void check_floats(std::size_t n_tokens, std::size_t n_query, std::size_t dim, float tolerance, Make&& make) {
  std::vector<float> tokens(n_tokens * dim), factors(n_tokens), query(n_query * dim);
  for (auto* values : {&tokens, &factors, &query})
    for (float& value : *values) value = make();
  const std::vector<float> packed = pack_maxsim_floats(query.data(), n_query, dim);
  const std::size_t n_groups = (n_query + kMaxSimLanes - 1) / kMaxSimLanes, n_lanes = n_groups * kMaxSimLanes;
  std::vector<float> expected(n_lanes, kLow);
  std::vector<std::uint32_t> expected_tokens(n_lanes, 77);
  kernels_of("scalar").maxsim_floats(tokens.data(), n_tokens, dim, factors.data(), packed.data(), n_groups, expected.data(), expected_tokens.data());
  for_each_set([&](const Kernels& kernels) {
    std::vector<float> found(n_lanes, kLow);
    std::vector<std::uint32_t> found_tokens(n_lanes, 77);
    kernels.maxsim_floats(tokens.data(), n_tokens, dim, factors.data(), packed.data(), n_groups, found.data(), found_tokens.data());
    for (std::size_t lane = 0; lane < n_lanes; ++lane) CHECK(std::fabs(found[lane] - expected[lane]) <= tolerance);
    if (tolerance == 0) CHECK(found_tokens == expected_tokens);
  });
}

}  // namespace

TEST(the_largest_products_of_codes_are_exact_on_every_set) {
  Random random(21);
  for (std::size_t stride = 0; stride <= 72; stride += 4)
    for (const bool is_extreme : {false, true})
      for (const std::size_t n_query : {1, 15, 16, 17, 33, 50}) check_codes(random, 7, n_query, stride, is_extreme);
  for (std::size_t n_tokens = 0; n_tokens <= kMost; ++n_tokens) check_codes(random, n_tokens, 20, 12, false);
  check_codes(random, 3, 5, 4096, true);
}

TEST(the_first_of_equal_tokens_is_kept_on_every_set) {
  Random random(22);
  // Small whole numbers: every sum is exact in a float, and many are equal.
  const auto whole = [&] { return static_cast<float>(random.below(5)) - 2; };
  for (std::size_t dim = 0; dim <= kMost; ++dim) check_floats(9, 18, dim, 0, whole);
  for (std::size_t n_tokens = 0; n_tokens <= kMost; ++n_tokens) check_floats(n_tokens, 33, 3, 0, whole);
}

TEST(the_largest_products_of_floats_agree_on_every_set) {
  Random random(23);
  const auto number = [&] { return static_cast<float>(random.below(4001)) / 1000 - 2; };
  // So many summands of at most 8 each, in another order.
  for (const std::size_t dim : {1, 7, 70, 127, 128, 129, 300}) check_floats(11, 17, dim, 1e-6f * 8 * static_cast<float>(dim), number);
}

TEST(floats_beyond_the_largest_are_infinite_on_every_set) {
  for_each_set([](const Kernels& kernels) {
    const std::vector<float> query = pack_maxsim_floats(std::vector<float>{3e38f, -3e38f}.data(), 2, 1);
    const float tokens[] = {1, 3e38f}, factors[] = {1, 1};
    float best[kMaxSimLanes] = {kLow, kLow};
    std::uint32_t best_token[kMaxSimLanes] = {};
    kernels.maxsim_floats(tokens, 2, 1, factors, query.data(), 1, best, best_token);
    CHECK(std::isinf(best[0]) && best[0] > 0);
    CHECK_EQUAL(best_token[0], 1u);
    CHECK_EQUAL(best[1], -3e38f);
  });
}

TEST(halves_of_every_kind_are_widened_exactly_on_every_set) {
  std::vector<std::uint8_t> halves(1 + 2 * 65536);
  std::vector<float> expected(65536);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    std::memcpy(halves.data() + 1 + 2 * i, &half, 2);
    expected[i] = half_to_float(half);
  }
  const auto agree = [](float found, float wanted) { return std::isnan(wanted) ? std::isnan(found) : std::memcmp(&found, &wanted, 4) == 0; };
  for_each_set([&](const Kernels& kernels) {
    std::vector<float> found(65536);
    kernels.widen_halves(halves.data() + 1, 65536, found.data());
    for (std::size_t i = 0; i < 65536; ++i) CHECK(agree(found[i], expected[i]));
    for (std::size_t count = 0; count <= kMost; ++count) {
      std::vector<float> few(count + 1, -7);
      kernels.widen_halves(halves.data() + 1 + 2 * 15000, count, few.data());
      for (std::size_t i = 0; i < count; ++i) CHECK(agree(few[i], expected[15000 + i]));
      CHECK_EQUAL(few[count], -7.0f);
    }
  });
}

}  // namespace vicino
