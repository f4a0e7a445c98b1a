// Steps of building a graph beside their definitions, one distance at a time.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "index/candidates.h"
#include "index/graph_network.h"
#include "index/prune.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDim = 70;

/// Rows around a few centers, every seventh a copy of the one before.
struct Rows {
  Rows(std::uint32_t n, std::uint64_t seed) : values(std::size_t{n} * kDim) {
    Random random(seed);
    for (std::uint32_t i = 0; i < n; ++i)
      for (std::uint32_t j = 0; j < kDim; ++j) {
        float& value = values[std::size_t{i} * kDim + j];
        value = static_cast<float>((i % 5) * (j % 3)) + static_cast<float>(random.below(1000)) / 500;
        if (i % 7 == 6) value = values[std::size_t{i - 1} * kDim + j];
      }
    block = {reinterpret_cast<const std::uint8_t*>(values.data()), n, kDim, Dtype::float32, nullptr};
    numbers.resize(n);
    std::iota(numbers.begin(), numbers.end(), 0u);
  }
  std::vector<float> values;
  VectorBlock block;
  std::vector<std::uint32_t> numbers;
};

BuildSpace space_of(const Rows& rows, Metric metric) { return BuildSpace(rows.block, rows.numbers, metric, 1, Cancel()); }

float distance(const BuildSpace& space, std::uint32_t a, std::uint32_t b) {
  float found;
  space.distances_at(a, {&b, 1}, &found);
  return found;
}

std::vector<CandidateKey> nearest_of(const BuildSpace& space, std::uint32_t node, std::size_t limit) {
  std::vector<CandidateKey> keys;
  for (std::uint32_t other = 0; other < space.size(); ++other)
    if (other != node) keys.push_back(candidate_key(distance(space, node, other), node, other));
  std::ranges::sort(keys);
  keys.resize(std::min(limit, keys.size()));
  return keys;
}

/// Two passes over all candidates, each compared with every link there is.
std::vector<std::uint32_t> links_by_definition(const BuildSpace& space, std::uint32_t node, const std::vector<CandidateKey>& candidates,
                                               std::size_t limit, float alpha) {
  std::vector<std::size_t> kept;
  for (const float allowed : {1.0f, alpha})
    for (std::size_t i = 0; i < candidates.size() && kept.size() < limit; ++i) {
      const float to_node = candidate_distance(candidates[i]);
      const auto occludes = [&](std::size_t link) {
        const float to_link = distance(space, candidate_node(candidates[link], node), candidate_node(candidates[i], node));
        return to_link > 0 ? to_node / to_link > allowed : to_node > 0;
      };
      if (std::ranges::find(kept, i) == kept.end() && std::ranges::none_of(kept, occludes)) kept.push_back(i);
    }
  std::ranges::sort(kept);
  std::vector<std::uint32_t> links;
  for (const std::size_t i : kept) links.push_back(candidate_node(candidates[i], node));
  return links;
}

}  // namespace

TEST(entries_are_the_root_of_the_nodes_up_to_five_hundred) {
  CHECK_EQUAL(n_entries_for(1), 1u);
  CHECK_EQUAL(n_entries_for(10'000), 100u);
  CHECK_EQUAL(n_entries_for(1'000'000), 500u);
}

TEST(distances_are_the_same_bits_by_panels_and_one_by_one) {
  const Rows rows(150, 1);
  for (const Metric metric : {Metric::cosine, Metric::dot, Metric::l2}) {
    const BuildSpace space = space_of(rows, metric);
    Panel panel;
    space.gather(rows.numbers, panel);
    std::vector<std::int32_t> dots;
    std::vector<float> all(150 * 150), one(150);
    space.distances(panel, 0, 150, panel, dots, all.data());
    for (std::uint32_t node = 0; node < 150; ++node) {
      space.distances_at(node, rows.numbers, one.data());
      CHECK(std::memcmp(one.data(), all.data() + std::size_t{node} * 150, 150 * sizeof(float)) == 0);
      for (std::uint32_t other = 0; other < 150; ++other) CHECK(all[node * 150 + other] == all[other * 150 + node]);
    }
  }
}

TEST(a_leaf_gives_every_node_its_nearest_whatever_part_of_it_is_asked_for) {
  const Rows rows(300, 2);
  const BuildSpace space = space_of(rows, Metric::l2);
  Leaves leaf;
  leaf.members = rows.numbers;
  leaf.starts.push_back(300);
  for (const auto& [first, count] : {std::pair{0u, 300u}, std::pair{0u, 1u}, std::pair{37u, 130u}, std::pair{236u, 64u}}) {
    const auto nodes = std::span(rows.numbers).subspan(first, count);
    Candidates candidates(count);
    collect_candidates(space, {&leaf, 1}, nodes, 12, 1, Cancel(), candidates);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto found = candidates.nearest(i);
      CHECK(std::vector<CandidateKey>(found.begin(), found.end()) == nearest_of(space, first + i, 12));
    }
  }
}

TEST(pruning_keeps_what_its_definition_keeps) {
  const Rows rows(120, 3);
  const BuildSpace space = space_of(rows, Metric::l2);
  for (const float alpha : {1.0f, 1.2f, 2.0f})
    for (const std::uint32_t limit : {1u, 5u, 32u}) {
      Pruner pruner(space, limit, alpha);
      for (std::uint32_t node = 0; node < space.size(); ++node) {
        const auto candidates = nearest_of(space, node, 64);
        const auto found = pruner.select(node, candidates);
        CHECK(std::vector<std::uint32_t>(found.begin(), found.end()) == links_by_definition(space, node, candidates, limit, alpha));
      }
    }
}

}  // namespace vicino
