#include "index/graph_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDimsMin = 64;
constexpr std::size_t kSampleMax = 8192, kStrideMax = 65536;
// Packed codes of the values of a field are those of all nodes, a little larger as the last group of each is padded: so much more than the codes
// they may take, and no more than this.
constexpr std::size_t kPackedMax = std::size_t{32} << 20;

struct CodesHeader {
  std::uint64_t ladder, stride;
  std::uint32_t nodes, format;
  float add_unit, scale_unit;
  std::uint32_t packed = 0;
  float add_low = 0, add_step = 0, scale_low = 0, scale_step = 0;
  std::uint32_t has_fine = 0;
  std::uint8_t padding[8] = {};
};
static_assert(sizeof(CodesHeader) == 64);

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("codes of a graph: " + message + "; rebuild the graph of this segment"); }

std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Rows that lie evenly over the nodes, side by side.
struct Sample {
  Sample(const VectorBlock& block, std::span<const std::uint32_t> rows) {
    const std::size_t n = std::min(rows.size(), kSampleMax), size = row_bytes(block.dtype, block.dim);
    bytes.resize(n * size);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t row = rows[rows.size() * i / n];
      std::memcpy(bytes.data() + i * size, block.row(row), size);
      if (block.inverse_norms) norms.push_back(block.inverse_norms[row]);
    }
    view = {bytes.data(), static_cast<std::uint32_t>(n), block.dim, block.dtype, block.inverse_norms ? norms.data() : nullptr};
  }
  std::vector<std::uint8_t> bytes;
  std::vector<float> norms;
  VectorBlock view;
};

}  // namespace

bool GraphCodes::are_possible(Metric metric, Dtype dtype, std::uint32_t dim) { return is_float(dtype) && metric != Metric::l1 && dim >= kDimsMin; }

std::vector<std::uint8_t> GraphCodes::build(const VectorBlock& block, std::span<const std::uint32_t> row_of_node, Metric metric,
                                            NodeCodes wanted, std::uint64_t seed, unsigned threads, const Cancel& cancel) {
  if (wanted == NodeCodes::none || !are_possible(metric, block.dtype, block.dim) || row_of_node.empty()) return {};
  LadderOptions options;
  options.seed = seed;
  options.low = wanted == NodeCodes::bits8;
  const Ladder ladder = Ladder::train(Sample(block, row_of_node).view, metric, options, threads, cancel);
  const CodePlanes planes = ladder.encode(block, row_of_node, threads, cancel);
  const std::string trained = ladder.to_bytes();
  const std::size_t n = row_of_node.size(), high = n * ladder.stride(), factors = n * factor_bytes(planes.view.format);
  const std::size_t low = options.low ? high : 0, fine = options.low ? n * sizeof(RowFactors) : 0;

  CodesHeader header{trained.size(), ladder.stride(), static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(planes.view.format),
                     planes.view.units.add, planes.view.units.scale};
  const PackedFactors packing = ladder.packing_of(planes.view);
  header.packed = packing.bytes;
  header.add_low = packing.low.add;
  header.add_step = packing.step.add;
  header.scale_low = packing.low.scale;
  header.scale_step = packing.step.scale;
  header.has_fine = options.low;
  const std::size_t behind = options.low ? rounded(factors) - factors + rounded(low) + fine : 0;
  std::vector<std::uint8_t> out(sizeof header + rounded(trained.size()) + rounded(high) + factors + behind);
  std::uint8_t* at = out.data();
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at += sizeof header, trained.data(), trained.size());
  std::memcpy(at += rounded(trained.size()), planes.view.high, high);
  std::memcpy(at += rounded(high), planes.view.factors, factors);
  if (!options.low) return out;
  std::memcpy(at += rounded(factors), planes.view.low, low);
  std::memcpy(at += rounded(low), planes.view.fine, fine);
  return out;
}

std::size_t GraphCodes::build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, NodeCodes wanted) {
  if (wanted == NodeCodes::none) return 0;
  // Planes and the buffer they are copied to, the sample, and what training makes of it.
  const std::size_t plane = (std::size_t{dim} + 127) / 128 * 64 + 8, code = wanted == NodeCodes::bits8 ? 2 * plane : plane;
  const std::size_t sample = std::min(rows, kSampleMax) * (row_bytes(dtype, dim) + 12 * std::size_t{dim});
  return 2 * rows * code + sample + 16 * std::size_t{dim} * dim + (std::size_t{1} << 20);
}

void GraphCodes::find_largest_scale() {
  if (packing_.bytes == 2) return;
  float largest = 0;
  for (std::uint32_t node = 0; node < view_.rows; ++node) largest = std::max(largest, ladder_.scale_of(view_, CodeLevel::bits4, node));
  largest_scale_ = largest;
}

std::shared_ptr<GraphCodes> GraphCodes::open(Bytes bytes, std::uint32_t n_nodes) {
  CodesHeader header;
  if (bytes.size() < sizeof header) fail("have " + std::to_string(bytes.size()) + " bytes, less than their header");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.nodes != n_nodes) fail("are of " + std::to_string(header.nodes) + " nodes, the graph has " + std::to_string(n_nodes));
  if (header.format > static_cast<std::uint32_t>(FactorFormat::float32)) fail("format " + std::to_string(header.format) + " of factors does not exist");
  const auto format = static_cast<FactorFormat>(header.format);
  if (header.packed != 0 && header.packed != 2 && header.packed != 4) fail("have packed factors of " + std::to_string(header.packed) + " bytes, expected 0, 2 or 4");
  for (const float number : {header.add_low, header.add_step, header.scale_low, header.scale_step})
    if (!std::isfinite(number)) fail("have packed factors whose meaning is not a number");
  if (header.ladder > bytes.size() || header.stride > kStrideMax) fail("are larger than what holds them");
  const std::size_t high = n_nodes * header.stride, factors = n_nodes * factor_bytes(format);
  const std::size_t at_high = sizeof header + rounded(header.ladder), at_factors = at_high + rounded(high);
  if (header.has_fine > 1) fail("are flagged " + std::to_string(header.has_fine) + ", expected 0 or 1");
  const std::size_t low = header.has_fine ? high : 0, fine = header.has_fine ? n_nodes * sizeof(RowFactors) : 0;
  const std::size_t at_low = at_factors + (header.has_fine ? rounded(factors) : factors), at_fine = at_low + rounded(low);
  if (bytes.size() != at_fine + fine) fail("have " + std::to_string(bytes.size()) + " bytes, their header makes " + std::to_string(at_fine + fine));

  auto codes = std::make_shared<GraphCodes>();
  codes->ladder_ = Ladder::from_bytes(bytes.subspan(sizeof header, header.ladder), "codes of a graph");
  CodeSections sections;
  sections.rows = n_nodes;
  sections.format = format;
  sections.units = {header.add_unit, header.scale_unit};
  sections.high = bytes.subspan(at_high, high);
  sections.factors = bytes.subspan(at_factors, factors);
  sections.low = bytes.subspan(at_low, low);
  sections.fine = bytes.subspan(at_fine, fine);
  if (codes->ladder_.options().low != (header.has_fine == 1) || codes->ladder_.options().blocks) fail("have other planes than their header says");
  codes->view_ = codes->ladder_.view_of(sections, "codes of a graph");
  codes->packing_ = {header.packed, {header.add_low, header.scale_low}, {header.add_step, header.scale_step}};
  if (header.packed == 2) codes->largest_scale_ = header.scale_low + 255 * header.scale_step;
  codes->hot_bytes_ = high + factors;
  return codes;
}

bool GraphCodes::take_for_packing(std::size_t bytes) const {
  const std::size_t most = std::min(hot_bytes_ + hot_bytes_ / 4, kPackedMax);
  std::size_t taken = packed_bytes();
  do {
    if (bytes > most || taken > most - bytes) return false;
  } while (!packed_bytes_.compare_exchange_weak(taken, taken + bytes, std::memory_order_relaxed));
  return true;
}

}  // namespace vicino
