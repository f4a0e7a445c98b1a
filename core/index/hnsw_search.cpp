// Opening and checking the buffer of a hierarchical graph. Its search is Graph::search, begun by UpperLayers::descend.
#include <cstring>
#include <numeric>
#include <string>

#include "index/graph_layout.h"
#include "index/hnsw.h"
#include "index/hnsw_layout.h"
#include "util/errors.h"

namespace vicino {

namespace {

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("hnsw: " + message + "; rebuild the index of this segment"); }

HnswHeader header_of(const Blob& buffer) {
  if (buffer.size() < sizeof(HnswHeader))
    fail("has " + std::to_string(buffer.size()) + " bytes, less than its header of " + std::to_string(sizeof(HnswHeader)));
  if (reinterpret_cast<std::uintptr_t>(buffer.data()) % alignof(std::uint64_t)) fail("is not aligned to 8 bytes");
  HnswHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (std::memcmp(header.magic, kHnswMagic, sizeof header.magic)) fail("does not begin with VICHNSW");
  if (header.format > kHnswFormat)
    throw FormatError("hnsw: format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kHnswFormat) +
                      "; upgrade vicino");
  if (header.format == 0) fail("format 0 does not exist");
  if (header.m < 2 || header.m > kHnswLinksMax) fail("m is " + std::to_string(header.m) + ", expected 2 to " + std::to_string(kHnswLinksMax));
  if (header.layers > kHnswLayersMax)
    fail(std::to_string(header.layers) + " layers above the base, expected at most " + std::to_string(kHnswLayersMax));
  if (header.graph > buffer.size()) fail("its base of " + std::to_string(header.graph) + " bytes does not fit into " + std::to_string(buffer.size()));
  if (HnswLayout(header, 0).upper_links > buffer.size()) fail("has no room for the counts of its layers");
  return header;
}

std::span<const std::uint32_t> counts_of(const HnswHeader& header, const Blob& buffer) {
  const HnswLayout layout(header, 0);
  return {reinterpret_cast<const std::uint32_t*>(buffer.data() + layout.counts), header.layers};
}

HnswLayout layout_of(const HnswHeader& header, const Blob& buffer) {
  const auto counts = counts_of(header, buffer);
  const HnswLayout layout(header, std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  if (header.size != layout.size || buffer.size() != layout.size)
    fail("has " + std::to_string(buffer.size()) + " bytes, its counts make " + std::to_string(layout.size));
  return layout;
}

}  // namespace

bool Hnsw::is_outdated(const Blob& buffer) {
  const HnswHeader header = header_of(buffer);
  if (header.format < kHnswFormat) return true;
  return Graph::is_outdated(buffer.part(layout_of(header, buffer).graph, header.graph));
}

Hnsw Hnsw::open(Blob buffer, std::uint32_t n_rows) {
  const HnswHeader header = header_of(buffer);
  if (header.rows != n_rows) fail("is over " + std::to_string(header.rows) + " rows, the segment has " + std::to_string(n_rows));
  const HnswLayout layout = layout_of(header, buffer);
  const auto counts = counts_of(header, buffer);

  Hnsw hnsw;
  hnsw.graph_ = Graph::open(buffer.part(layout.graph, header.graph), n_rows);
  std::uint32_t below = hnsw.graph_.n_nodes();
  for (const std::uint32_t count : counts) {
    if (count < 1 || count > below) fail("a layer has " + std::to_string(count) + " nodes, the one below it " + std::to_string(below));
    below = count;
  }
  hnsw.m_ = header.m;
  hnsw.upper_bytes_ = layout.graph - layout.upper_links;
  const auto n_slots = std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * header.m;
  hnsw.layers_ = UpperLayers(counts, {reinterpret_cast<const std::uint32_t*>(buffer.data() + layout.upper_links), n_slots}, header.m);
  hnsw.buffer_ = std::move(buffer);
  return hnsw;
}

void Hnsw::verify() const {
  graph_.verify();
  for (std::uint32_t layer = 1; layer <= layers_.size(); ++layer)
    for (std::uint32_t node = 0; node < layers_.n_nodes(layer); ++node)
      for (const std::uint32_t to : layers_.links_of(layer, node))
        if (to == node) fail("node " + std::to_string(node) + " of layer " + std::to_string(layer) + " links to itself");
}

}  // namespace vicino
