#include "codes/principal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dispatch.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr int kIterations = 8;

constexpr std::size_t kBlock = 64;    // vectors multiplied with others at a time
constexpr std::size_t kSlab = 512;    // samples: a block of columns of so many stays in the second-level cache

/// out[i * out_stride + j] = <vector j of one matrix, vector i of another> of `length` floats each, `stride` apart.
void multiply(const float* matrix, std::size_t n_vectors, const float* others, std::size_t n_others, std::size_t stride, std::uint32_t length, float* out,
              std::size_t out_stride) {
  const std::uint8_t* rows[kBlock];
  for (std::size_t j = 0; j < n_vectors; ++j) rows[j] = reinterpret_cast<const std::uint8_t*>(matrix + j * stride);
  for (std::size_t i = 0; i < n_others; ++i) kernels().dot[0](others + i * stride, rows, n_vectors, length, out + i * out_stride);
}

/// Each block of columns with itself and all that come before it, slab by slab of samples; the rest is the mirror image.
std::vector<float> covariance(const std::vector<float>& rows, std::uint32_t dims, unsigned threads) {
  const std::size_t n = rows.size() / dims, padded_n = (n + 15) / 16 * 16;
  std::vector<float> columns(dims * padded_n), result(std::size_t{dims} * dims);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < dims; ++j) columns[j * padded_n + i] = rows[i * dims + j];
  parallel_for(threads, (dims + kBlock - 1) / kBlock, [&](std::size_t block, std::size_t) {
    const std::size_t first = block * kBlock, last = std::min<std::size_t>(dims, first + kBlock), width = last - first;
    std::vector<float> part(last * width);
    for (std::size_t start = 0; start < padded_n; start += kSlab) {
      const auto length = static_cast<std::uint32_t>(std::min(kSlab, padded_n - start));
      multiply(columns.data() + first * padded_n + start, width, columns.data() + start, last, padded_n, length, part.data(), width);
      for (std::size_t i = 0; i < last; ++i)
        for (std::size_t j = 0; j < width; ++j) result[i * dims + first + j] += part[i * width + j];
    }
  });
  for (std::size_t i = 0; i < dims; ++i)
    for (std::size_t j = i; j < dims; ++j) result[j * dims + i] = result[i * dims + j] /= static_cast<float>(n);
  return result;
}

void fill_randomly(float* row, std::uint32_t dims, Random& random) {
  for (std::uint32_t j = 0; j < dims; ++j) row[j] = static_cast<float>(static_cast<double>(random.next() >> 11) * 0x1p-53 - 0.5);
}

}  // namespace

// Gram-Schmidt, twice for accuracy.
void make_orthonormal(std::vector<float>& basis, std::uint32_t dims, Random& random) {
  const Kernels& k = kernels();
  const std::size_t count = basis.size() / dims;
  for (std::size_t i = 0; i < count; ++i) {
    float* row = basis.data() + i * dims;
    for (;;) {
      const float before = k.sum_vectors(row, row, dims).square;
      for (int pass = 0; pass < 2; ++pass)
        for (std::size_t j = 0; j < i; ++j) {
          const float* other = basis.data() + j * dims;
          k.combine_vectors(row, 1.0f, other, -k.sum_vectors(row, other, dims).product, dims, row);
        }
      const float after = k.sum_vectors(row, row, dims).square;
      if (after > 1e-8f * before && after > 1e-30f) {
        k.combine_vectors(row, 1 / std::sqrt(after), row, 0.0f, dims, row);
        break;
      }
      fill_randomly(row, dims, random);
    }
  }
}

Principal find_principal(const std::vector<float>& rows, std::uint32_t dims, std::uint32_t count, std::uint64_t seed, unsigned threads,
                         const Cancel& cancel) {
  const std::vector<float> matrix = covariance(rows, dims, threads);
  Principal found;
  for (std::size_t j = 0; j < dims; ++j) found.total += matrix[j * dims + j];
  if (!(found.total > 0) || !std::isfinite(found.total)) return found;

  Random random(seed ^ 0x5052494e43495041);  // other numbers than the signs'
  std::vector<float> basis(std::size_t{count} * dims), product(basis.size());
  for (std::size_t i = 0; i < count; ++i) fill_randomly(basis.data() + i * dims, dims, random);
  make_orthonormal(basis, dims, random);
  for (int iteration = 0; iteration <= kIterations; ++iteration) {
    cancel.check();
    parallel_for(threads, (dims + kBlock - 1) / kBlock, [&](std::size_t block, std::size_t) {
      const std::size_t first = block * kBlock, width = std::min<std::size_t>(kBlock, dims - first);
      multiply(matrix.data() + first * dims, width, basis.data(), count, dims, dims, product.data() + first, dims);
    });
    if (iteration == kIterations) break;
    basis.swap(product);
    make_orthonormal(basis, dims, random);
  }

  std::vector<double> energies(count);
  for (std::size_t i = 0; i < count; ++i)
    energies[i] = kernels().sum_vectors(basis.data() + i * dims, product.data() + i * dims, dims).product;
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return energies[a] > energies[b]; });
  found.directions.resize(basis.size());
  for (std::size_t i = 0; i < count; ++i) {
    found.energies.push_back(energies[order[i]]);
    std::copy_n(basis.data() + std::size_t{order[i]} * dims, dims, found.directions.data() + i * dims);
  }
  return found;
}

}  // namespace vicino
