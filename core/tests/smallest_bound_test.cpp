// The smallest of many keys against sorting them, whatever their order.
#include "index/smallest_bound.h"

#include <algorithm>
#include <vector>

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

void check_left(std::vector<std::uint64_t> keys, std::size_t wanted) {
  std::vector<std::uint64_t> expected = keys;
  std::ranges::sort(expected);
  const SmallestKeys left = leave_smallest(keys, wanted);
  CHECK(left.count >= wanted && left.count <= 2 * wanted);
  std::ranges::sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(left.count));
  CHECK(std::equal(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(left.count), expected.begin()));
  CHECK(left.bound >= expected[left.count - 1] && left.bound <= expected[std::min(left.count, expected.size() - 1)]);
}

}  // namespace

TEST(the_smallest_of_keys_in_any_order_are_left) {
  Random random(1);
  for (const std::size_t n : {2, 3, 31, 32, 33, 64, 150, 214, 5000}) {
    for (std::size_t wanted = 1; wanted < n; wanted += 1 + wanted / 3) {
      std::vector<std::uint64_t> keys(n);
      for (auto& key : keys) key = random.next();
      check_left(keys, wanted);
      std::ranges::sort(keys);
      check_left(keys, wanted);
      std::ranges::reverse(keys);
      check_left(keys, wanted);
    }
  }
}

// What is drawn says nothing about the others there.
TEST(the_smallest_of_keys_are_left_where_those_drawn_are_not_like_the_others) {
  for (const bool drawn_are_large : {false, true}) {
    std::vector<std::uint64_t> keys(320);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = (i % 10 == 0) == drawn_are_large ? 1000 + i : i;
    for (const std::size_t wanted : {1, 20, 50, 160, 319}) check_left(keys, wanted);
  }
}

TEST(of_equal_keys_as_many_are_left_as_are_wanted) {
  std::vector<std::uint64_t> keys(200, 7);
  for (const std::size_t wanted : {1, 50, 199}) check_left(keys, wanted);
  Random random(2);
  for (auto& key : keys) key = random.below(3);
  for (const std::size_t wanted : {1, 50, 199}) check_left(keys, wanted);
}

}  // namespace vicino
