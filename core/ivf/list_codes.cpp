#include "ivf/list_codes.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "ivf/cluster_space.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kSampleMax = 8192, kEntriesMax = 0xffffffff;
constexpr const char* kWhat = "codes of inverted lists";

struct CodesHeader {
  std::uint64_t ladder, entries;
  std::uint32_t format;
  float add_unit, scale_unit;
  std::uint8_t padding[36] = {};
};
static_assert(sizeof(CodesHeader) == 64);

[[noreturn]] void fail(const std::string& message) { throw CorruptionError(std::string(kWhat) + ": " + message + "; rebuild the index of this segment"); }

std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Where the planes lie behind the header.
struct Places {
  Places(const Ladder& ladder, const CodesHeader& header, FactorFormat format) {
    const auto entries = static_cast<std::uint32_t>(header.entries);
    high_bytes = entries * ladder.stride();
    factors_bytes = entries * factor_bytes(format);
    blocks_bytes = ladder.n_blocks(entries) * ladder.block_bytes();
    high = sizeof header + rounded(header.ladder);
    factors = high + rounded(high_bytes);
    blocks = factors + rounded(factors_bytes);
    size = blocks + rounded(blocks_bytes);
  }
  std::size_t high, factors, blocks, size, high_bytes, factors_bytes, blocks_bytes;
};

}  // namespace

std::vector<std::uint8_t> ListCodes::build(const VectorBlock& block, std::span<const std::uint32_t> entries, Metric metric, std::uint64_t seed,
                                           unsigned threads, const Cancel& cancel) {
  if (entries.size() > kEntriesMax)
    throw InvalidArgument("codes of " + std::to_string(entries.size()) + " rows in lists are more than an index holds; build it without copies");
  const auto drawn = draw_evenly(entries, kSampleMax);
  const std::size_t size = row_bytes(block.dtype, block.dim);
  std::vector<std::uint8_t> sample(drawn.size() * size);
  for (std::size_t i = 0; i < drawn.size(); ++i) std::memcpy(sample.data() + i * size, block.row(drawn[i]), size);
  LadderOptions options;
  options.blocks = true;
  options.seed = seed;
  const Ladder ladder = Ladder::train({sample.data(), static_cast<std::uint32_t>(drawn.size()), block.dim, block.dtype, nullptr}, metric, options,
                                      threads, cancel);
  const CodePlanes planes = ladder.encode(block, entries, threads, cancel);
  const std::string trained = ladder.to_bytes();
  const CodesHeader header{trained.size(), entries.size(), static_cast<std::uint32_t>(planes.view.format), planes.view.units.add,
                           planes.view.units.scale};
  const Places places(ladder, header, planes.view.format);
  std::vector<std::uint8_t> out(places.size);
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, trained.data(), trained.size());
  std::memcpy(out.data() + places.high, planes.view.high, places.high_bytes);
  std::memcpy(out.data() + places.factors, planes.view.factors, places.factors_bytes);
  std::memcpy(out.data() + places.blocks, planes.view.blocks, places.blocks_bytes);
  return out;
}

std::size_t ListCodes::build_bytes(std::size_t entries, std::uint32_t dim, Dtype dtype) {
  // Planes and the buffer they are copied to, the sample, and what training makes of it.
  const std::size_t code = (std::size_t{dim} + 127) / 128 * 80 + 24;
  return 2 * entries * code + std::min(entries, kSampleMax) * (row_bytes(dtype, dim) + 12 * std::size_t{dim}) + 16 * std::size_t{dim} * dim +
         (std::size_t{1} << 20);
}

std::shared_ptr<const ListCodes> ListCodes::open(Bytes bytes, std::size_t n_entries) {
  CodesHeader header;
  if (bytes.size() < sizeof header) fail("have " + std::to_string(bytes.size()) + " bytes, less than their header");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.entries != n_entries || n_entries > kEntriesMax)
    fail("are of " + std::to_string(header.entries) + " entries, the lists have " + std::to_string(n_entries));
  if (header.format > static_cast<std::uint32_t>(FactorFormat::float32)) fail("format " + std::to_string(header.format) + " of factors does not exist");
  if (header.ladder > bytes.size() - sizeof header) fail("are larger than what holds them");
  auto codes = std::make_shared<ListCodes>();
  codes->ladder_ = Ladder::from_bytes(bytes.subspan(sizeof header, header.ladder), kWhat);
  if (!codes->ladder_.options().blocks || codes->ladder_.options().low) fail("have other planes than 1-bit and 4-bit codes");
  const Places places(codes->ladder_, header, static_cast<FactorFormat>(header.format));
  if (bytes.size() != places.size) fail("have " + std::to_string(bytes.size()) + " bytes, their header makes " + std::to_string(places.size));
  CodeSections sections;
  sections.rows = static_cast<std::uint32_t>(n_entries);
  sections.format = static_cast<FactorFormat>(header.format);
  sections.units = {header.add_unit, header.scale_unit};
  sections.high = bytes.subspan(places.high, places.high_bytes);
  sections.factors = bytes.subspan(places.factors, places.factors_bytes);
  sections.blocks = bytes.subspan(places.blocks, places.blocks_bytes);
  codes->view_ = codes->ladder_.view_of(sections, kWhat);
  codes->hot_bytes_ = places.size - places.high;
  return codes;
}

}  // namespace vicino
