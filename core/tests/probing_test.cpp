// Which lists are probed, beside all of them put in order.
#include <algorithm>
#include <numeric>

#include "ivf/ivf.h"
#include "ivf/probing.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

/// An index of at least so many lists, over rows drawn at random.
Ivf index_of(std::uint32_t lists) {
  constexpr std::uint32_t dim = 8;
  const std::uint32_t n = 2 * lists;
  Random random(1);
  std::vector<float> values(n * dim);
  for (float& value : values) value = static_cast<float>(random.below(1000));
  const VectorBlock block{reinterpret_cast<const std::uint8_t*>(values.data()), n, dim, Dtype::float32, nullptr};
  std::vector<std::uint32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0u);
  IvfParams params;
  params.nlist = lists;
  params.graph = CentroidGraph::no;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(build_ivf(block, rows, Metric::l2, params, 1, Cancel(), nullptr));
  return Ivf::open(Blob(Bytes(*bytes), bytes), n);
}

}  // namespace

TEST(lists_are_probed_from_the_nearest_on) {
  Random random(2);
  for (const std::uint32_t lists : {300u, 257u}) {
    const Ivf ivf = index_of(lists);
    const std::size_t n = ivf.nlist();
    for (const int kind : {0, 1, 2, 3}) {
      std::vector<float> scored(n);
      for (std::size_t list = 0; list < n; ++list) {
        scored[list] = static_cast<float>(random.below(kind == 1 ? 5 : 1000));           // many are equally near
        if (kind == 2) scored[list] = list % 8 ? 1000 - scored[list] : scored[list] / 8;  // a sample says that all are near
        if (kind == 3) scored[list] = list % 8 ? scored[list] / 8 : 1000;                 // or far
      }
      std::vector<std::uint32_t> order(n);
      std::iota(order.begin(), order.end(), 0u);
      std::ranges::stable_sort(order, {}, [&](std::uint32_t list) { return scored[list]; });
      for (std::size_t wanted : {std::size_t{1}, std::size_t{2}, std::size_t{17}, n / 4, n / 2, n / 2 + 1, n})
        for (const std::size_t missing : {std::size_t{0}, std::size_t{30}}) {
          // The first lists have no row that is allowed, so as many further ones are asked for.
          Probing probing;
          std::vector<std::uint32_t> met;
          probing.run(ivf, wanted, 1, scored, Cancel(), [](auto) {}, [&](std::uint32_t list, std::uint32_t) {
            met.push_back(list);
            return std::size_t{met.size() > missing};
          });
          CHECK(met.size() == std::min(n, wanted + missing));
          CHECK(std::equal(met.begin(), met.end(), order.begin()));
        }
    }
  }
}

}  // namespace vicino
