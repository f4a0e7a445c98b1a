// Keys sorted with every instruction set of this machine against the standard library.
#include <algorithm>
#include <vector>

#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

void check_sorted(const std::vector<std::uint64_t>& keys) {
  std::vector<std::uint64_t> expected = keys;
  std::ranges::sort(expected);
  for (const std::string& set : supported_kernel_sets()) {
    std::vector<std::uint64_t> found = keys;
    found.push_back(7);  // behind the last key, not to be touched
    kernels_of(set).sort_keys(found.data(), keys.size());
    CHECK(found.back() == 7);
    found.pop_back();
    CHECK(found == expected);
  }
}

}  // namespace

TEST(keys_are_sorted_with_every_instruction_set_and_count) {
  Random random(1);
  for (std::size_t count = 0; count <= 140; ++count) {
    std::vector<std::uint64_t> keys(count);
    for (auto& key : keys) key = random.next();
    check_sorted(keys);
  }
}

TEST(equal_keys_and_the_largest_number_are_sorted) {
  Random random(2);
  for (const std::size_t count : {1, 7, 16, 17, 33, 70, 128}) {
    std::vector<std::uint64_t> keys(count);
    for (auto& key : keys) key = random.below(3) ? random.below(4) : ~std::uint64_t{0} - random.below(2);
    check_sorted(keys);
  }
}

}  // namespace vicino
