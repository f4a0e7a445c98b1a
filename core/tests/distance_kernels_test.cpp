// The distances of every instruction set of this machine against the portable ones, for short rows of every length, at any address.
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDimsMost = 70;
constexpr std::size_t kRows = 7;  // not a multiple of any tile

/// Rows and a query one byte behind an aligned address.
struct Rows {
  std::vector<std::uint8_t> bytes;
  const std::uint8_t* query;
  const std::uint8_t* rows[kRows];

  /// `fill` writes row i.
  template <class Fill>
  Rows(std::size_t row_bytes, Fill&& fill) : bytes(1 + (kRows + 1) * row_bytes) {
    for (std::size_t i = 0; i <= kRows; ++i) fill(bytes.data() + 1 + i * row_bytes);
    query = bytes.data() + 1 + kRows * row_bytes;
    for (std::size_t i = 0; i < kRows; ++i) rows[i] = bytes.data() + 1 + i * row_bytes;
  }
};

template <class Visit>
void for_each_set(Visit&& visit) {
  for (const std::string& set : supported_kernel_sets()) visit(kernels_of(set));
}

/// Calls compare(found, expected, i) for every row of a kernel and its portable twin.
template <class Compare>
void compare_kernels(Kernel kernel, Kernel portable, const void* query, const Rows& rows, std::uint32_t dim, Compare&& compare) {
  float found[kRows], expected[kRows];
  kernel(query, rows.rows, kRows, dim, found);
  portable(query, rows.rows, kRows, dim, expected);
  for (std::size_t i = 0; i < kRows; ++i) compare(found[i], expected[i]);
}

void expect_equal(float found, float expected) { CHECK_EQUAL(found, expected); }
/// Floats are summed in another order: at most so many summands of at most 16 each.
void expect_near(float found, float expected) { CHECK(std::fabs(found - expected) <= 2e-6f * 16 * kDimsMost); }

/// Calls visit(kernel, portable) for dot, l2 and l1 of one numeric type.
template <class Visit>
void for_each_metric(const Kernels& kernels, const Kernels& portable, std::size_t type, Visit&& visit) {
  visit(kernels.dot[type], portable.dot[type]);
  visit(kernels.l2[type], portable.l2[type]);
  visit(kernels.l1[type], portable.l1[type]);
}

}  // namespace

TEST(distances_of_integers_are_exact_on_every_set) {
  Random random(11);
  const Kernels portable = kernels_of("scalar");
  for_each_set([&](const Kernels& kernels) {
    for (std::uint32_t dim = 0; dim <= kDimsMost; ++dim)
      for (const bool is_extreme : {false, true}) {
        const Rows rows(dim, [&](std::uint8_t* row) {
          for (std::uint32_t i = 0; i < dim; ++i) row[i] = static_cast<std::uint8_t>(is_extreme ? 127 + random.below(2) : random.below(256));
        });
        for (const std::size_t type : {2, 3})
          for_each_metric(kernels, portable, type, [&](Kernel one, Kernel other) { compare_kernels(one, other, rows.query, rows, dim, expect_equal); });
      }
  });
}

TEST(distances_of_bits_are_exact_on_every_set) {
  Random random(12);
  const Kernels portable = kernels_of("scalar");
  for_each_set([&](const Kernels& kernels) {
    for (std::uint32_t size = 0; size <= kDimsMost; ++size) {
      const Rows rows(size, [&](std::uint8_t* row) {
        for (std::uint32_t i = 0; i < size; ++i) row[i] = static_cast<std::uint8_t>(random.below(256));
      });
      compare_kernels(kernels.hamming, portable.hamming, rows.query, rows, 8 * size, expect_equal);
      compare_kernels(kernels.jaccard, portable.jaccard, rows.query, rows, 8 * size, expect_equal);
    }
  });
}

TEST(distances_of_floats_agree_on_every_set) {
  Random random(13);
  const Kernels portable = kernels_of("scalar");
  const auto number = [&] { return static_cast<float>(random.below(4001)) / 1000 - 2; };
  for_each_set([&](const Kernels& kernels) {
    for (std::uint32_t dim = 0; dim <= kDimsMost; ++dim) {
      std::vector<float> query(dim);
      for (float& value : query) value = number();
      const Rows floats(4 * dim, [&](std::uint8_t* row) {
        for (std::uint32_t i = 0; i < dim; ++i) {
          const float value = number();
          std::memcpy(row + 4 * i, &value, 4);
        }
      });
      // Any bits with an exponent of one half or less: numbers below 1, subnormal ones among them.
      const Rows halves(2 * dim, [&](std::uint8_t* row) {
        for (std::uint32_t i = 0; i < dim; ++i) {
          const auto bits = static_cast<std::uint16_t>((random.below(2) << 15) | random.below(15 << 10));
          std::memcpy(row + 2 * i, &bits, 2);
        }
      });
      for_each_metric(kernels, portable, 0, [&](Kernel one, Kernel other) { compare_kernels(one, other, query.data(), floats, dim, expect_near); });
      for_each_metric(kernels, portable, 1, [&](Kernel one, Kernel other) { compare_kernels(one, other, query.data(), halves, dim, expect_near); });
    }
  });
}

TEST(products_of_codes_are_exact_on_every_set) {
  Random random(14);
  for_each_set([&](const Kernels& kernels) {
    for (const std::size_t stride : {64, 128, 448})
      for (std::size_t n_columns = 1; n_columns <= 9; ++n_columns) {
        std::vector<std::int8_t> rows(kRows * stride), columns(n_columns * stride);
        for (auto* codes : {&rows, &columns})
          for (auto& code : *codes) code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
        std::vector<std::int32_t> sums(n_columns), found(kRows * n_columns), expected(kRows * n_columns);
        for (std::size_t i = 0; i < columns.size(); ++i) sums[i / stride] += columns[i];
        for (std::size_t r = 0; r < kRows; ++r)
          for (std::size_t c = 0; c < n_columns; ++c)
            for (std::size_t i = 0; i < stride; ++i) expected[r * n_columns + c] += rows[r * stride + i] * columns[c * stride + i];
        kernels.code_products(rows.data(), kRows, columns.data(), sums.data(), n_columns, stride, found.data());
        CHECK(found == expected);
      }
  });
}

}  // namespace vicino
