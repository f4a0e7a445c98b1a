#include "ivf/product_query.h"

#include <algorithm>
#include <cfloat>

#include "ivf/product_code.h"
#include "kernels/dispatch.h"

namespace vicino {

namespace {

float length_of(const PreparedQuery& query, std::uint32_t dim) {
  float inverse;
  compute_inverse_norms({static_cast<const std::uint8_t*>(query.values()), 1, dim, Dtype::float32, nullptr}, &inverse);
  return inverse > 0 ? 1 / inverse : 0;
}

}  // namespace

ProductFit fit_products(const ClusterSpace& space, const PreparedQuery& query, const VectorBlock& block, std::vector<float>& vector) {
  const float* mean = space.mean().data();
  float gain = 1, base;
  if (space.metric() == Metric::l2) {
    gain = space.unit() > 0 ? 1 / (space.unit() * space.unit()) : 0;
    base = kernels().sum_vectors(vector.data(), vector.data(), space.stride()).square;
  } else {
    // v = q, the mean put back.
    kernels().combine_vectors(vector.data(), 1.0f, mean, 1.0f, space.stride(), vector.data());
    base = -kernels().sum_vectors(vector.data(), mean, space.stride()).product;
    if (space.metric() == Metric::dot) gain = length_of(query, block.dim) / std::max(space.unit(), FLT_MIN);
  }
  gain = std::min(gain, FLT_MAX);
  return {(space.metric() == Metric::cosine ? 1.0f : 0.0f) + gain * base, gain};
}

void blocks_of_entries(std::size_t begin, std::size_t end, std::span<const std::uint32_t> entries, std::vector<std::uint32_t>& blocks) {
  constexpr std::size_t rows = ProductCodes::kBlockRows;
  const std::size_t first = begin / rows;
  blocks.assign((end + rows - 1) / rows - first, 0);
  for (const std::uint32_t i : entries) blocks[(begin + i) / rows - first] |= 1u << (begin + i) % rows;
}

}  // namespace vicino
