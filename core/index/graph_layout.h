// Where the parts of a graph's buffer lie; drawn in graph.h. Shared by the builder that writes and the reader that checks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

struct GraphHeader {
  char magic[8];
  std::uint32_t format;
  std::uint32_t rows, nodes, links, entries, groups, duplicates;
  std::uint32_t reserved = 0;
  std::uint64_t size;
  std::uint8_t padding[16] = {};
};
static_assert(sizeof(GraphHeader) == 64);

constexpr char kGraphMagic[8] = {'V', 'I', 'C', 'G', 'R', 'A', 'P', 'H'};
// A graph without near copies is written in the first format, which every version reads.
constexpr std::uint32_t kGraphFormat = 2, kGraphFormatPlain = 1;
constexpr std::uint32_t kGraphLinksMax = 64;

struct GraphLayout {
  explicit GraphLayout(const GraphHeader& header) {
    std::size_t end = sizeof(GraphHeader);
    const auto place = [&](std::size_t& offset, std::uint64_t size) {
      offset = end;
      end += (size + 63) / 64 * 64;
    };
    place(node_of_row, std::uint64_t{4} * header.rows);
    place(links, std::uint64_t{4} * header.nodes * header.links);
    place(entries, std::uint64_t{4} * header.entries);
    place(group_rows, std::uint64_t{4} * header.groups);
    place(group_starts, header.groups ? 4 * (std::uint64_t{header.groups} + 1) : 0);
    place(duplicates, std::uint64_t{4} * header.duplicates);
    place(has_group, header.groups ? (std::uint64_t{header.rows} + 63) / 64 * 8 : 0);
    place(near_starts, header.format >= 2 ? std::uint64_t{4} * header.groups : 0);
    size = end;
  }
  // Counts are below 2^32 and links below 2^7, so no sum here overflows 64 bits.
  std::size_t node_of_row, links, entries, group_rows, group_starts, duplicates, has_group, near_starts, size;
};

}  // namespace vicino
