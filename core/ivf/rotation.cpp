#include "ivf/rotation.h"

#include <algorithm>
#include <cmath>

#include "codes/principal.h"
#include "kernels/dispatch.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr int kTurns = 8, kTurnsWide = 3;  // many dimensions: a turn costs their cube
constexpr std::uint32_t kWide = 512;
// Directions that are still short after so many iterations hold next to nothing of the rows.
constexpr int kIterationsMax = 14, kPowerIterations = 8;
constexpr double kEnergyMin = 1e-9;  // of all; a direction with less is as good as empty
constexpr float kOrthogonal = 1e-4f;  // largest deviation of a squared row length from one

/// out[i * n_b + j] = <row i of a, row j of b>, rows of `length` floats.
void products(const float* a, std::size_t n_a, const float* b, std::size_t n_b, std::size_t length, unsigned threads, const Cancel& cancel, float* out) {
  // A panel of b stays in the second-level cache while rows of a pass by.
  constexpr std::size_t panel = 64, rows_per_task = 64;
  parallel_for(threads, (n_a + rows_per_task - 1) / rows_per_task, [&](std::size_t task, std::size_t) {
    cancel.check();
    const std::size_t first = task * rows_per_task, last = std::min(n_a, first + rows_per_task);
    for (std::size_t start = 0; start < n_b; start += panel) {
      const std::size_t count = std::min(panel, n_b - start);
      const std::uint8_t* rows[panel];
      for (std::size_t j = 0; j < count; ++j) rows[j] = reinterpret_cast<const std::uint8_t*>(b + (start + j) * length);
      for (std::size_t i = first; i < last; ++i) kernels().dot[0](a + i * length, rows, count, static_cast<std::uint32_t>(length), out + i * n_b + start);
    }
  });
}

std::vector<float> transposed(std::span<const float> matrix, std::size_t n_rows, std::size_t n_columns) {
  std::vector<float> out(matrix.size());
  for (std::size_t i = 0; i < n_rows; ++i)
    for (std::size_t j = 0; j < n_columns; ++j) out[j * n_rows + i] = matrix[i * n_columns + j];
  return out;
}

/// About the largest singular value.
float largest_stretch(const std::vector<float>& x, std::uint32_t dim) {
  const std::vector<float> columns = transposed(x, dim, dim);
  std::vector<float> v(dim, 1), w(dim);
  float stretch = 0;
  for (int iteration = 0; iteration < kPowerIterations; ++iteration) {
    turn(x, dim, v.data(), w.data());
    turn(columns, dim, w.data(), v.data());
    const float length = std::sqrt(kernels().sum_vectors(v.data(), v.data(), dim).square);
    if (!(length > 0)) return 0;
    stretch = std::sqrt(length);
    kernels().combine_vectors(v.data(), 1 / length, v.data(), 0.0f, dim, v.data());
  }
  return stretch;
}

/// The orthogonal factor of a matrix: x <- 1.5 x - 0.5 x x' x drives every singular value below sqrt(3) to one.
std::vector<float> orthogonal_factor(std::vector<float> x, std::uint32_t dim, Random& random, unsigned threads, const Cancel& cancel) {
  // What the estimate falls short of the largest value must stay below sqrt(3).
  const float stretch = largest_stretch(x, dim);
  for (float& value : x) value *= stretch > 0 ? 1.1f / stretch : 0;
  std::vector<float> gram(x.size()), next(x.size());
  for (int iteration = 0; iteration < kIterationsMax; ++iteration) {
    products(x.data(), dim, x.data(), dim, dim, threads, cancel, gram.data());
    float deviation = 0;
    for (std::size_t i = 0; i < dim; ++i) deviation = std::max(deviation, std::fabs(gram[i * dim + i] - 1));
    if (deviation < kOrthogonal) break;
    const std::vector<float> columns = transposed(x, dim, dim);
    products(gram.data(), dim, columns.data(), dim, dim, threads, cancel, next.data());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.5f * x[i] - 0.5f * next[i];
  }
  // What is left of rounding, and directions in which the rows have no extent.
  make_orthonormal(x, dim, random);
  return x;
}

/// Principal directions, each given to the subvector whose energies multiply to least so far; more dimensions than are practical for that get
/// random directions, which balance as well and gather nothing.
std::vector<float> balanced_directions(const std::vector<float>& rows, std::uint32_t dim, std::uint32_t width, std::uint64_t seed, Random& random,
                                       unsigned threads, const Cancel& cancel) {
  std::vector<float> rotation(std::size_t{dim} * dim);
  Principal principal;
  if (dim <= kPrincipalMax) principal = find_principal(rows, dim, dim, seed, threads, cancel);
  if (principal.directions.empty()) {
    make_orthonormal(rotation, dim, random);  // rows of zeros become random ones
    return rotation;
  }
  const std::size_t n_subvectors = (dim + width - 1) / width;
  const double least = kEnergyMin * principal.total;
  std::vector<double> products(n_subvectors);  // logarithms
  std::vector<std::uint32_t> filled(n_subvectors);
  for (std::size_t i = 0; i < dim; ++i) {
    std::size_t chosen = n_subvectors;
    for (std::size_t s = 0; s < n_subvectors; ++s) {
      const bool has_room = filled[s] < std::min<std::size_t>(width, dim - s * width);
      if (has_room && (chosen == n_subvectors || products[s] < products[chosen])) chosen = s;
    }
    products[chosen] += std::log(std::max(principal.energies[i], least) / least);
    std::copy_n(principal.directions.data() + i * dim, dim, rotation.data() + (chosen * width + filled[chosen]++) * dim);
  }
  return rotation;
}

}  // namespace

void turn(std::span<const float> rotation, std::uint32_t dim, const float* vector, float* out) {
  constexpr std::size_t group = 64;
  const std::uint8_t* rows[group];
  for (std::size_t first = 0; first < dim; first += group) {
    const std::size_t count = std::min<std::size_t>(group, dim - first);
    for (std::size_t i = 0; i < count; ++i) rows[i] = reinterpret_cast<const std::uint8_t*>(rotation.data() + (first + i) * dim);
    kernels().dot[0](vector, rows, count, dim, out + first);
  }
}

void turn_several(std::span<const float> rotation, std::uint32_t dim, std::span<const float* const> vectors, std::span<float* const> turned) {
  constexpr std::size_t group = 16;
  for (std::size_t first = 0; first < vectors.size(); first += group) {
    const std::size_t count = std::min(group, vectors.size() - first);
    const std::uint8_t* rows[group];
    float products[group];
    for (std::size_t j = 0; j < count; ++j) rows[j] = reinterpret_cast<const std::uint8_t*>(vectors[first + j]);
    for (std::size_t i = 0; i < dim; ++i) {
      kernels().dot[0](rotation.data() + i * dim, rows, count, dim, products);
      for (std::size_t j = 0; j < count; ++j) turned[first + j][i] = products[j];
    }
  }
}

std::vector<float> turn_rows(std::span<const float> rotation, std::uint32_t dim, std::span<const float> rows, unsigned threads, const Cancel& cancel) {
  std::vector<float> out(rows.size());
  products(rows.data(), rows.size() / dim, rotation.data(), dim, dim, threads, cancel, out.data());
  return out;
}

std::vector<float> train_rotation(const std::vector<float>& rows, std::uint32_t dim, std::uint32_t width, const Recode& recode, std::uint64_t seed,
                                  unsigned threads, const Cancel& cancel) {
  Random random(seed);
  const std::size_t n = rows.size() / dim;
  std::vector<float> rotation = balanced_directions(rows, dim, width, seed, random, threads, cancel);
  const std::vector<float> columns = transposed(rows, n, dim);
  for (int round = 0; round < (dim > kWide ? kTurnsWide : kTurns); ++round) {
    const std::vector<float> coded = transposed(recode(turn_rows(rotation, dim, rows, threads, cancel)), n, dim);
    std::vector<float> matrix(rotation.size());
    products(coded.data(), dim, columns.data(), dim, n, threads, cancel, matrix.data());
    rotation = orthogonal_factor(std::move(matrix), dim, random, threads, cancel);
  }
  return rotation;
}

}  // namespace vicino
