// Where the parts of product codes lie; drawn in product_code.h. Shared by what makes them and what reads them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "ivf/product_code.h"

namespace vicino {

struct ProductHeader {
  std::uint32_t dim, subvectors, bits, has_rotation, has_squares;
  float noise, stretch;
  std::uint32_t reserved = 0;
  std::uint64_t entries, lists;
  std::uint8_t padding[16] = {};
};
static_assert(sizeof(ProductHeader) == 64);

struct ProductLayout {
  ProductLayout(const ProductHeader& header, const ProductShape& shape, std::uint32_t row_dim) {
    std::size_t end = sizeof header;
    const auto place = [&](std::size_t& offset, std::uint64_t size) {
      offset = end;
      end += (size + 63) / 64 * 64;
    };
    place(means, header.lists * row_dim * sizeof(float));
    place(codebook, shape.codebook_size() * sizeof(float));
    place(rotation, header.has_rotation ? std::uint64_t{header.dim} * header.dim * sizeof(float) : 0);
    place(squares, header.has_squares ? header.entries * sizeof(float) : 0);
    place(codes, shape.code_bytes(header.entries));
    size = end;
  }
  std::size_t means, codebook, rotation, squares, codes, size;
};

}  // namespace vicino
