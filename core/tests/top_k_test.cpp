// TopK against sorting everything, with distances that are often equal.
#include "util/top_k.h"

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

TEST(top_k_keeps_the_nearest_whatever_the_order) {
  Random random(3);
  for (std::size_t k = 1; k < 12; ++k)
    for (std::size_t n : {0, 1, 5, 40}) {
      std::vector<Hit> hits;
      for (std::size_t i = 0; i < n; ++i) hits.push_back({static_cast<float>(random.below(4)), i});
      for (std::size_t i = n; i > 1; --i) std::swap(hits[i - 1], hits[random.below(static_cast<std::uint32_t>(i))]);
      TopK top(k);
      for (const Hit& hit : hits) {
        const bool was_rejected = top.rejects(hit);
        CHECK(!was_rejected || hit.distance >= top.bound());
        top.offer(hit);
      }
      CHECK_EQUAL(top.full(), n >= k);
      std::sort(hits.begin(), hits.end());
      hits.resize(std::min(k, n));
      CHECK(std::move(top).take_sorted() == hits);
    }
}

}  // namespace vicino
