// Codes packed for scans: the same distances as from the plane, and no more memory than they may take.
#include <cstring>
#include <numeric>

#include "index/packed_codes.h"
#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

std::vector<float> random_rows(std::size_t n, std::size_t dim, Random& random) {
  std::vector<float> values(n * dim);
  for (float& value : values) value = static_cast<float>(random.below(2001)) / 1000 - 1;
  return values;
}

/// Codes of random rows, as a graph holds them.
struct Coded {
  Coded(std::uint32_t n, std::uint32_t dim, Metric metric) {
    Random random(n + dim);
    values = random_rows(n, dim, random);
    const VectorBlock block{reinterpret_cast<const std::uint8_t*>(values.data()), n, dim, Dtype::float32, nullptr};
    std::vector<std::uint32_t> rows(n);
    std::iota(rows.begin(), rows.end(), 0u);
    bytes = GraphCodes::build(block, rows, metric, NodeCodes::bits4, 1, 1, Cancel());
    codes = GraphCodes::open({bytes.data(), bytes.size()}, n);
  }
  std::vector<float> values;
  std::vector<std::uint8_t> bytes;
  std::shared_ptr<const GraphCodes> codes;
};

}  // namespace

TEST(codes_in_columns_score_as_rows_do_on_every_set) {
  Random random(8);
  const Kernels scalar = kernels_of("scalar");
  constexpr std::size_t n_groups = 3, n_rows = n_groups * kCodeColumnRows;
  for (const std::size_t row_bytes : {32, 64, 96, 160, 192, 384, 4096})
    for (const bool extreme : {false, true}) {
      std::vector<std::uint8_t> plane(n_rows * row_bytes);
      for (std::uint8_t& byte : plane) byte = extreme ? 0xff : static_cast<std::uint8_t>(random.next());
      const std::vector<float> factors = random_rows(n_rows, 2, random);
      std::vector<std::int8_t> codes((row_bytes + 63) / 64 * 128);
      for (std::size_t i = 0; i < row_bytes; ++i)
        for (std::size_t half = 0; half < 2; ++half)
          codes[i / 64 * 128 + i % 64 + half * 64] = static_cast<std::int8_t>(extreme ? -127 : static_cast<int>(random.below(255)) - 127);
      // One byte more, so that groups lie at any address.
      const std::size_t group_bytes = kCodeColumnRows * (row_bytes + 8);
      std::vector<std::uint8_t> memory(n_groups * group_bytes + 1);
      std::uint8_t* const groups = memory.data() + 1;
      for (std::size_t row = 0; row < n_rows; ++row) {
        std::uint8_t* const group = groups + row / kCodeColumnRows * group_bytes;
        const std::size_t place = row % kCodeColumnRows * 4;
        for (std::size_t at = 0; at < row_bytes; at += 4) std::memcpy(group + at * kCodeColumnRows + place, plane.data() + row * row_bytes + at, 4);
        std::memcpy(group + row_bytes * kCodeColumnRows + place, &factors[2 * row], 4);
        std::memcpy(group + (row_bytes + 4) * kCodeColumnRows + place, &factors[2 * row + 1], 4);
      }
      const CodeQuery query{codes.data(), row_bytes, 12345, 0.5f, -1.25f, 0.001f};
      const CodeRows rows{plane.data(), nullptr, row_bytes, reinterpret_cast<const std::uint8_t*>(factors.data()), nullptr, 0};
      std::vector<float> expected(n_rows);
      scalar.code_scores_float(query, rows, n_rows, expected.data());
      for (const std::string& name : supported_kernel_sets()) {
        std::vector<float> found(n_rows);
        kernels_of(name).code_column_scores(query, groups, n_groups, 0, found.data());
        CHECK(std::memcmp(found.data(), expected.data(), n_rows * sizeof(float)) == 0);
      }
    }
}

TEST(packed_codes_give_the_distances_of_the_nodes_they_were_made_of) {
  for (const Metric metric : {Metric::cosine, Metric::dot, Metric::l2})
    for (const std::uint32_t dim : {64u, 192u, 200u}) {
      const Coded coded(300, dim, metric);
      Random random(dim);
      std::vector<std::uint32_t> nodes;
      for (std::uint32_t node = 0; node < 300; ++node)
        if (random.below(3) == 0) nodes.push_back(node);
      const auto packed = PackedCodes::make(coded.codes, nodes);
      CHECK(packed != nullptr);
      const Ladder& ladder = coded.codes->ladder();
      QueryState query;
      ladder.prepare(coded.values.data() + 17 * dim, query);
      const std::size_t n_groups = (nodes.size() + kCodeColumnRows - 1) / kCodeColumnRows;
      std::vector<float> expected(nodes.size()), found(n_groups * kCodeColumnRows);
      ladder.score4(query, coded.codes->view(), nodes.data(), nodes.size(), expected.data());
      ladder.score4_columns(query, packed->groups(), n_groups, 0, found.data());
      CHECK(std::memcmp(found.data(), expected.data(), nodes.size() * sizeof(float)) == 0);
    }
}

TEST(packed_codes_take_a_bounded_share_of_memory_and_give_it_back) {
  const Coded coded(600, 128, Metric::l2);
  std::vector<std::uint32_t> all(600);
  std::iota(all.begin(), all.end(), 0u);
  CHECK_EQUAL(coded.codes->packed_bytes(), std::size_t{0});
  auto first = PackedCodes::make(coded.codes, all);
  CHECK(first != nullptr);
  const std::size_t taken = coded.codes->packed_bytes();
  CHECK(taken >= 600 * coded.codes->ladder().stride());
  CHECK(PackedCodes::make(coded.codes, all) == nullptr);
  CHECK_EQUAL(coded.codes->packed_bytes(), taken);
  first = nullptr;
  CHECK_EQUAL(coded.codes->packed_bytes(), std::size_t{0});
  CHECK(PackedCodes::make(coded.codes, all) != nullptr);
}

}  // namespace vicino
