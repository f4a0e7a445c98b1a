// Where the parts of a graph's buffer lie; drawn in graph.h. Shared by the builder that writes and the reader that checks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

struct GraphHeader {
  char magic[8];
  std::uint32_t format;
  std::uint32_t rows, nodes, links, entries, groups, duplicates;
  std::uint32_t link_factors = 0;  // bytes of the factors beside each link
  std::uint64_t size;
  std::uint64_t codes;  // bytes of the codes, 0 without
  float growth = 0;              // of distances (growth.h); 0 in graphs that do not know it
  std::uint32_t usual_beam = 0;  // of walks (usual_beam.h); 0 in graphs that do not know it
};
static_assert(sizeof(GraphHeader) == 64);

constexpr char kGraphMagic[8] = {'V', 'I', 'C', 'G', 'R', 'A', 'P', 'H'};
// Formats 1 and 2 had links between rows and no codes, format 3 no factors beside links. A segment with such a graph is treated as one
// without: it is built anew.
constexpr std::uint32_t kGraphFormat = 4;
constexpr std::uint32_t kGraphLinksMax = 128;
constexpr std::uint32_t kGraphNodesMax = 0x7fffffff;  // a walk keeps a flag beside the number of a node

struct GraphLayout {
  explicit GraphLayout(const GraphHeader& header) {
    std::size_t end = sizeof(GraphHeader);
    const auto place = [&](std::size_t& offset, std::uint64_t size) {
      offset = end;
      end += (size + 63) / 64 * 64;
    };
    place(row_of_node, std::uint64_t{4} * header.nodes);
    place(node_of_row, std::uint64_t{4} * header.rows);
    link_stride = (std::size_t{header.links} * (4 + header.link_factors) + 63) / 64 * 64;
    place(links, link_stride * header.nodes);
    place(group_nodes, std::uint64_t{4} * header.groups);
    place(group_starts, header.groups ? 4 * (std::uint64_t{header.groups} + 1) : 0);
    place(near_starts, std::uint64_t{4} * header.groups);
    place(duplicates, std::uint64_t{4} * header.duplicates);
    place(has_group, header.groups ? (std::uint64_t{header.nodes} + 63) / 64 * 8 : 0);
    place(codes, header.codes);
    size = end;
  }
  // Counts are below 2^32 and links at most 2^7, and the reader bounds `codes` by the buffer, so no sum here overflows 64 bits.
  std::size_t link_stride;  // bytes from the links of one node to those of the next
  std::size_t row_of_node, node_of_row, links, group_nodes, group_starts, near_starts, duplicates, has_group, codes, size;
};

}  // namespace vicino
