// Bitmap against a plain vector of bools, at the sizes around its words.
#include "util/bitmap.h"

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

using Bools = std::vector<bool>;

Bitmap bitmap_of(const Bools& bools) {
  Bitmap bitmap(bools.size());
  for (std::size_t i = 0; i < bools.size(); ++i)
    if (bools[i]) bitmap.set(i);
  return bitmap;
}

Bools some_bools(std::size_t size, Random& random) {
  Bools bools(size);
  for (std::size_t i = 0; i < size; ++i) bools[i] = random.below(2) != 0;
  return bools;
}

/// Same bits, same count, and nothing set past the end.
void check_same(const Bitmap& bitmap, const Bools& bools) {
  CHECK_EQUAL(bitmap.size(), bools.size());
  CHECK_EQUAL(bitmap.n_words(), (bools.size() + 63) / 64);
  std::vector<std::size_t> expected, visited;
  for (std::size_t i = 0; i < bools.size(); ++i) {
    CHECK_EQUAL(bitmap.test(i), bools[i]);
    if (bools[i]) expected.push_back(i);
  }
  bitmap.for_each([&](std::size_t row) { visited.push_back(row); });
  CHECK(visited == expected);
  CHECK_EQUAL(bitmap.count(), expected.size());
  CHECK_EQUAL(bitmap.none(), expected.empty());
}

constexpr std::size_t kSizes[] = {0, 1, 63, 64, 65, 127, 128, 129, 200};

}  // namespace

TEST(bitmap_operations_agree_with_bools) {
  Random random(1);
  for (const std::size_t size : kSizes)
    for (const std::size_t other_size : kSizes) {
      const Bools a = some_bools(size, random), b = some_bools(other_size, random);
      Bools both(size), either(size), without(size), flipped(size);
      for (std::size_t i = 0; i < size; ++i) {
        const bool other = i < other_size && b[i];
        both[i] = a[i] && other;
        either[i] = a[i] || other;
        without[i] = a[i] && !other;
        flipped[i] = !a[i];
      }
      check_same(bitmap_of(a) &= bitmap_of(b), both);
      check_same(bitmap_of(a) |= bitmap_of(b), either);
      check_same(bitmap_of(a).and_not(bitmap_of(b)), without);
      check_same(bitmap_of(a).flip(), flipped);
    }
}

TEST(bitmap_resizes_with_either_value) {
  Random random(2);
  for (const std::size_t from : kSizes)
    for (const std::size_t to : kSizes)
      for (const bool value : {false, true}) {
        Bools bools = some_bools(from, random);
        Bitmap bitmap = bitmap_of(bools);
        bools.resize(to, value);
        bitmap.resize(to, value);
        check_same(bitmap, bools);
      }
}

}  // namespace vicino
