// Where the parts of an hnsw buffer lie; drawn in hnsw.h. Shared by the builder that writes and the reader that checks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

struct HnswHeader {
  char magic[8];
  std::uint32_t format;
  std::uint32_t rows, m, layers;
  std::uint64_t size;
  std::uint64_t graph;  // bytes of the base
  std::uint8_t padding[24] = {};
};
static_assert(sizeof(HnswHeader) == 64);

constexpr char kHnswMagic[8] = {'V', 'I', 'C', 'H', 'N', 'S', 'W', '\0'};
constexpr std::uint32_t kHnswFormat = 1;
constexpr std::uint32_t kHnswLinksMax = 64;   // m
constexpr std::uint32_t kHnswLayersMax = 32;  // above the base

struct HnswLayout {
  /// upper_nodes: the sum of the counts, at most 2^37 over 32 layers; m is at most 64 and the reader bounds `graph` by the buffer.
  HnswLayout(const HnswHeader& header, std::uint64_t upper_nodes) {
    const auto aligned = [](std::uint64_t size) { return (size + 63) / 64 * 64; };
    counts = sizeof(HnswHeader);
    upper_links = counts + aligned(std::uint64_t{4} * header.layers);
    graph = upper_links + aligned(upper_nodes * header.m * 4);
    size = graph + header.graph;
  }
  std::size_t counts, upper_links, graph, size;
};

}  // namespace vicino
