// What a walk over a graph is made of: taking links, and the pool of candidates.
#include <algorithm>
#include <cstring>

#include "index/walk.h"
#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::uint32_t kNodes = 300, kNone = 0xffffffff;

struct Links {
  Links(std::size_t count, std::size_t n_links, Random& random) : slots(count, kNone) {
    // Few enough numbers that some come twice.
    for (std::size_t i = 0; i < std::min(n_links, count); ++i) slots[i] = random.below(kNodes);
  }
  std::vector<std::uint32_t> slots;
};

std::vector<WalkKey> random_keys(std::size_t count, std::uint32_t range, Random& random) {
  std::vector<WalkKey> keys(count);
  for (WalkKey& key : keys) key = walk_key(static_cast<float>(random.below(range)), random.below(1 << 20));
  return keys;
}

}  // namespace

TEST(every_kernel_set_takes_the_links_that_were_not_met_in_order_and_once) {
  Random random(3);
  for (const std::string& set : supported_kernel_sets())
    for (const std::size_t count : {0, 1, 15, 16, 17, 32, 48, 61})
      for (const std::size_t n_links : {0, 1, 16, 20, 61}) {
        const Links links(count, n_links, random);
        std::vector<std::uint32_t> met((kNodes + 31) / 32), nodes(count + 1), places(count + 1), expected, expected_places;
        for (std::uint32_t& word : met) word = static_cast<std::uint32_t>(random.next()) & static_cast<std::uint32_t>(random.next());
        std::vector<std::uint32_t> met_after = met;
        for (std::uint32_t i = 0; i < std::min(n_links, count); ++i) {
          const std::uint32_t node = links.slots[i];
          if (met_after[node / 32] >> (node % 32) & 1) continue;
          met_after[node / 32] |= std::uint32_t{1} << (node % 32);
          expected.push_back(node);
          expected_places.push_back(i);
        }
        const LinkSlots slots{.nodes = links.slots.data(), .count = count, .n_nodes = kNodes};
        const LinksTaken taken = kernels_of(set).take_unmet(slots, met.data(), nodes.data(), places.data());
        CHECK(taken.used == std::min(n_links, count));
        CHECK(taken.unmet == expected.size());
        CHECK(std::equal(expected.begin(), expected.end(), nodes.begin()));
        CHECK(std::equal(expected_places.begin(), expected_places.end(), places.begin()));
        CHECK(met == met_after);
      }
}

TEST(links_end_at_the_first_number_that_is_no_node) {
  for (const std::string& set : supported_kernel_sets()) {
    std::vector<std::uint32_t> slots(32), met(10), nodes(33), places(33);
    for (std::uint32_t i = 0; i < 32; ++i) slots[i] = i;
    slots[19] = kNodes;
    const LinksTaken taken = kernels_of(set).take_unmet({.nodes = slots.data(), .count = 32, .n_nodes = kNodes}, met.data(), nodes.data(), places.data());
    CHECK(taken.used == 19);
    CHECK(taken.unmet == 19);
  }
}

TEST(every_kernel_set_makes_the_same_keys_of_what_is_near_enough) {
  Random random(5);
  for (const std::string& set : supported_kernel_sets())
    for (const std::size_t count : {0, 1, 7, 15, 16, 17, 33, 64, 65})
      for (const float bound : {-3.0f, 0.0f, 4.0f, __builtin_inff()}) {
        std::vector<float> distances(count);
        std::vector<std::uint32_t> nodes(count);
        for (float& distance : distances) distance = static_cast<float>(random.below(20)) - 10;
        for (std::uint32_t& node : nodes) node = random.below(kGraphNodesMax);
        if (count > 3) {
          distances[1] = -0.0f;
          distances[2] = __builtin_nanf("");
          distances[3] = __builtin_inff();
        }
        for (const bool are_named : {true, false}) {
          std::vector<WalkKey> expected, keys(count + kKeySlack);
          for (std::size_t i = 0; i < count; ++i)
            if (distances[i] <= bound) expected.push_back(walk_key(distances[i], are_named ? nodes[i] : static_cast<std::uint32_t>(i)));
          keys.resize(kernels_of(set).collect_keys(distances.data(), are_named ? nodes.data() : nullptr, count, bound, keys.data()));
          CHECK(keys == expected);
        }
      }
}

TEST(every_kernel_set_merges_keys_into_a_pool_of_any_size) {
  Random random(6);
  for (const std::string& set : supported_kernel_sets())
    for (const std::size_t size : {0, 1, 7, 8, 9, 30, 63, 64, 65, 129, 500, 990, 1022, 1030})
      for (const std::size_t count : {1, 2, 7, 8, 9, 16, 17, 32, 33, 65, 200}) {
        std::vector<WalkKey> pool = random_keys(size, 300, random), keys = random_keys(count, 300, random);
        std::ranges::sort(pool);
        std::vector<WalkKey> expected = pool;
        expected.insert(expected.end(), keys.begin(), keys.end());
        std::ranges::sort(expected);
        const WalkKey smallest = std::ranges::min(keys);
        const auto place = static_cast<std::size_t>(std::ranges::lower_bound(pool, smallest) - pool.begin());
        pool.resize(size + count + kKeySlack);
        CHECK_EQUAL(kernels_of(set).merge_keys(pool.data(), size, keys.data(), count), place);
        pool.resize(size + count);
        CHECK(pool == expected);
      }
}

TEST(a_pool_is_filled_with_the_nearest_and_goes_on_from_there) {
  Random random(7);
  for (const std::size_t count : {0, 1, 5, 40, 129, 500})
    for (const std::size_t capacity : {1, 8, 40, 300}) {
      WalkPool pool;
      pool.reset(capacity);
      std::vector<WalkKey> keys = random_keys(count, 1000, random), more = random_keys(20, 1000, random), expected = keys;
      pool.fill(keys);
      pool.widen(2 * capacity);
      std::ranges::sort(expected);
      expected.resize(std::min(count, capacity));
      CHECK(std::ranges::equal(pool.keys(), expected));
      expected.insert(expected.end(), more.begin(), more.end());
      std::ranges::sort(expected);
      expected.resize(std::min(expected.size(), 2 * capacity));
      pool.insert_all(more);
      CHECK(std::ranges::equal(pool.keys(), expected));
      CHECK(pool.next() == expected.front());
    }
}

TEST(a_pool_keeps_the_nearest_of_what_came_together) {
  Random random(4);
  for (std::size_t round = 0; round < 200; ++round) {
    const std::size_t capacity = 1 + random.below(80);
    WalkPool pool;
    pool.reset(capacity);
    std::vector<WalkKey> all;
    for (std::size_t batch = 0; batch < 12; ++batch) {
      std::vector<WalkKey> keys = random_keys(random.below(40), 1 + random.below(1000), random);
      all.insert(all.end(), keys.begin(), keys.end());
      pool.insert_all(keys);
    }
    std::ranges::sort(all);
    all.resize(std::min(all.size(), capacity));
    CHECK(std::ranges::equal(pool.keys(), all));
    for (const WalkKey key : all) CHECK(pool.take_next() == (key | 1));
    CHECK(pool.take_next() == 0);
  }
}

}  // namespace vicino
