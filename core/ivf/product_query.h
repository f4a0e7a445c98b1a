// How a query becomes one of product codes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ivf/cluster_space.h"
#include "kernels/vectors.h"

namespace vicino {

/// An estimate is base + gain * (square - 2 <v, c + r'>) with squares, else base - gain * <v, c + r'>; see product_code.h.
struct ProductFit {
  float base, gain;
};

/// Turns the query in the space of the centroids, `vector`, into v.
ProductFit fit_products(const ClusterSpace& space, const PreparedQuery& query, const VectorBlock& block, std::vector<float>& vector);

/// Bits of entries, counted from `begin`, in the blocks of 32 from that of `begin` on, for a list that ends at `end`.
void blocks_of_entries(std::size_t begin, std::size_t end, std::span<const std::uint32_t> entries, std::vector<std::uint32_t>& blocks);

}  // namespace vicino
