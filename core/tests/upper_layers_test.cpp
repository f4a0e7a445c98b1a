// Descents through layers whose links and distances are given by hand.
#include "index/upper_layers.h"

#include <cmath>

#include "tests/check.h"

namespace vicino {

namespace {

constexpr std::uint32_t kNone = UpperLayers::kNone;
// Node i lies at position i on a line. Layer 1 is the chain 0-1-2-3; layer 2 has 0 and 1.
const std::vector<std::uint32_t> kCounts{4, 2};
const std::vector<std::uint32_t> kLinks{1, kNone, 0, 2, 1, 3, 2, kNone, 1, kNone, 0, kNone};

std::uint32_t descend(float query, std::uint32_t hidden, const std::vector<std::uint32_t>& links = kLinks) {
  return UpperLayers(kCounts, links, 2).descend(hidden, [&](std::span<const std::uint32_t> nodes, float* out) {
    for (const std::uint32_t node : nodes) *out++ = std::fabs(static_cast<float>(node) - query);
  });
}

}  // namespace

TEST(a_descent_goes_on_as_long_as_links_lead_nearer) {
  CHECK_EQUAL(descend(2.9f, kNone), 3u);
  CHECK_EQUAL(descend(1.1f, kNone), 1u);
  CHECK_EQUAL(descend(-5, kNone), 0u);
}

TEST(a_descent_neither_ends_at_a_hidden_node_nor_goes_through_it) {
  CHECK_EQUAL(descend(3, 3), 2u);
  CHECK_EQUAL(descend(3, 2), 1u);
  CHECK_EQUAL(descend(0, 0), 1u);
}

TEST(a_descent_that_meets_only_a_hidden_node_ends_nowhere) {
  CHECK_EQUAL(UpperLayers().descend(0, [](std::span<const std::uint32_t>, float* out) { *out = 0; }), kNone);
  CHECK_EQUAL(UpperLayers().descend(kNone, [](std::span<const std::uint32_t>, float* out) { *out = 0; }), 0u);
}

TEST(a_descent_refuses_links_out_of_their_layer) {
  std::vector<std::uint32_t> links = kLinks;
  links[8] = 2;  // of layer 2, which has two nodes
  bool is_refused = false;
  try {
    descend(3, kNone, links);
  } catch (const CorruptionError&) {
    is_refused = true;
  }
  CHECK(is_refused);
}

}  // namespace vicino
