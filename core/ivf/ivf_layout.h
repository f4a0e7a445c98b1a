// Where the parts of the buffer of inverted lists lie; drawn in ivf.h. Shared by the builder that writes and the reader that checks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

struct IvfHeader {
  char magic[8];
  std::uint32_t format;
  std::uint32_t rows, lists, dim;
  std::uint8_t kind, metric, dtype, flags;  // flags: 1 rows may be in two lists
  float unit;                               // of the cluster space
  float trained_distance, mean_distance;
  std::uint64_t entries;
  std::uint64_t values;  // bytes of the centroids as floats
  std::uint64_t graph;   // bytes, 0 without
  std::uint64_t codes;   // bytes, 0 without
  std::uint64_t size;
  // Zero in indexes that were written before these were known.
  std::uint32_t nprobe, trained_rows;
  // The first eight bytes once held the time of the training.
  std::uint8_t padding[40] = {};
};
static_assert(sizeof(IvfHeader) == 128);

constexpr char kIvfMagic[8] = {'V', 'I', 'C', 'L', 'I', 'S', 'T', 'S'};
constexpr std::uint32_t kIvfFormat = 1;
constexpr std::uint8_t kIvfHasCopies = 1;

struct IvfLayout {
  explicit IvfLayout(const IvfHeader& header) {
    std::size_t end = sizeof(IvfHeader);
    const auto place = [&](std::size_t& offset, std::uint64_t size) {
      offset = end;
      end += (size + 63) / 64 * 64;
    };
    const std::uint64_t lists = header.lists, stride = (std::uint64_t{header.dim} + 63) / 64 * 64;
    place(mean, std::uint64_t{4} * header.dim);
    place(centroids, lists * stride);
    place(norms, 4 * lists);
    place(scales, 4 * lists);
    place(extras, 4 * lists);
    place(sums, 4 * lists);
    place(values, header.values);
    place(starts, 8 * (lists + 1));
    place(rows, 4 * header.entries);
    place(graph, header.graph);
    place(codes, header.codes);
    size = end;
  }
  // Lists and dimensions are below 2^32 and 2^17, entries below 2^33, and the reader bounds the others by the buffer: no sum overflows.
  std::size_t mean, centroids, norms, scales, extras, sums, values, starts, rows, graph, codes, size;
};

/// Dimensions of a centroid as floats: under dot its further coordinate is one of them.
inline std::uint32_t centroid_width(std::uint32_t dim, bool is_dot) { return dim + is_dot; }

}  // namespace vicino
