// Products of codes of every instruction set of this machine against the portable ones.
#include "kernels/dispatch.h"
#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

/// Codes of full range, the extremes more often than chance would have them; zero beyond `dim`.
struct Codes {
  Codes(Random& random, std::size_t n, std::size_t dim, std::size_t stride) : bytes(n * stride), sums(n) {
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < dim; ++j) {
        const int value = random.below(4) ? static_cast<int>(random.below(255)) - 127 : (random.below(2) ? 127 : -127);
        bytes[i * stride + j] = static_cast<std::int8_t>(value);
        sums[i] += value;
      }
    for (std::size_t i = 0; i < n; ++i) pointers.push_back(bytes.data() + i * stride);
  }
  std::vector<std::int8_t> bytes;
  std::vector<std::int32_t> sums;
  std::vector<const std::int8_t*> pointers;
};

void check_products(Random& random, const Kernels& kernels, const Kernels& portable, std::size_t n_rows, std::size_t n_columns, std::size_t dim) {
  const std::size_t stride = (dim + 63) / 64 * 64;
  const Codes rows(random, n_rows, dim, stride), columns(random, n_columns, dim, stride);
  std::vector<std::int32_t> found(n_rows * n_columns), expected(n_rows * n_columns);
  portable.code_products(rows.bytes.data(), n_rows, columns.bytes.data(), columns.sums.data(), n_columns, stride, expected.data());
  kernels.code_products(rows.bytes.data(), n_rows, columns.bytes.data(), columns.sums.data(), n_columns, stride, found.data());
  CHECK(found == expected);
  for (std::size_t r = 0; r < n_rows; ++r)
    kernels.code_products_at(rows.pointers[r], columns.pointers.data(), columns.sums.data(), n_columns, stride, found.data() + r * n_columns);
  CHECK(found == expected);
}

}  // namespace

TEST(products_of_codes_are_exact_with_every_instruction_set_and_shape) {
  Random random(1);
  const Kernels portable = kernels_of("scalar");
  for (const std::string& set : supported_kernel_sets()) {
    const Kernels kernels = kernels_of(set);
    for (const std::size_t n_rows : {1, 2, 7, 8, 9, 33, 70})
      for (const std::size_t n_columns : {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 47, 70})
        for (const std::size_t dim : {1, 63, 64, 65, 200}) check_products(random, kernels, portable, n_rows, n_columns, dim);
  }
}

TEST(products_of_long_codes_and_many_rows_are_cut_into_slabs) {
  Random random(2);
  const Kernels portable = kernels_of("scalar");
  for (const std::string& set : supported_kernel_sets())
    for (const std::size_t dim : {511, 512, 513, 1500}) check_products(random, kernels_of(set), portable, 270, 40, dim);
}

}  // namespace vicino
