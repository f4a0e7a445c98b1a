#include "ivf/list_codes.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "ivf/cluster_space.h"
#include "util/errors.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kSampleMax = 8192, kEntriesMax = 0xffffffff;
constexpr std::size_t kPieceEntries = 16384;  // coded before they are written; whole blocks of 32
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

/// A ladder trained on a sample, and the entries it is to code.
class PlannedListCodes final : public PlannedCodes {
 public:
  PlannedListCodes(const VectorBlock& block, std::span<const std::uint32_t> entries, Metric metric, std::uint64_t seed, unsigned threads,
                   const Cancel& cancel)
      : block_(block), entries_(entries), threads_(threads), cancel_(cancel), ladder_(trained(metric, seed)), ladder_bytes_(ladder_.to_bytes()),
        header_{ladder_bytes_.size(), entries.size(), static_cast<std::uint32_t>(FactorFormat::float32), 1, 1},
        places_(ladder_, header_, FactorFormat::float32) {}

  std::size_t size() const override { return places_.size; }

  /// 4-bit codes go out as they are made; the rest of an entry, a seventh to a fifth of it, waits until they have.
  void write(PieceWriter& out) override {
    const std::size_t start = out.size();
    out.value(header_);
    out.bytes({reinterpret_cast<const std::uint8_t*>(ladder_bytes_.data()), ladder_bytes_.size()});
    out.pad_to(start + places_.high);
    std::vector<std::uint8_t> factors, blocks;
    factors.reserve(places_.factors_bytes);
    blocks.reserve(places_.blocks_bytes);
    for (std::size_t first = 0; first < entries_.size(); first += kPieceEntries) {
      const auto piece = entries_.subspan(first, std::min<std::size_t>(kPieceEntries, entries_.size() - first));
      const CodePlanes planes = ladder_.encode(block_, piece, threads_, cancel_, FactorChoice::floats);
      out.bytes({planes.view.high, piece.size() * ladder_.stride()});
      factors.insert(factors.end(), planes.view.factors, planes.view.factors + piece.size() * factor_bytes(FactorFormat::float32));
      blocks.insert(blocks.end(), planes.view.blocks, planes.view.blocks + ladder_.n_blocks(planes.view.rows) * ladder_.block_bytes());
    }
    out.pad_to(start + places_.factors);
    out.values(factors);
    out.pad_to(start + places_.blocks);
    out.values(blocks);
    out.pad_to(start + places_.size);
  }

 private:
  Ladder trained(Metric metric, std::uint64_t seed) const {
    const auto drawn = draw_evenly(entries_, kSampleMax);
    const std::size_t size = row_bytes(block_.dtype, block_.dim);
    std::vector<std::uint8_t> sample(drawn.size() * size);
    for (std::size_t i = 0; i < drawn.size(); ++i) std::memcpy(sample.data() + i * size, block_.row(drawn[i]), size);
    LadderOptions options;
    options.blocks = true;
    options.seed = seed;
    return Ladder::train({sample.data(), static_cast<std::uint32_t>(drawn.size()), block_.dim, block_.dtype, nullptr}, metric, options, threads_, cancel_);
  }

  const VectorBlock& block_;
  std::span<const std::uint32_t> entries_;
  unsigned threads_;
  const Cancel& cancel_;
  Ladder ladder_;
  std::string ladder_bytes_;
  CodesHeader header_;
  Places places_;
};

}  // namespace

std::unique_ptr<PlannedCodes> ListCodes::plan(const VectorBlock& block, std::span<const std::uint32_t> entries, Metric metric, std::uint64_t seed,
                                              unsigned threads, const Cancel& cancel) {
  if (entries.size() > kEntriesMax)
    throw InvalidArgument("codes of " + std::to_string(entries.size()) + " rows in lists are more than an index holds; build it without copies");
  return std::make_unique<PlannedListCodes>(block, entries, metric, seed, threads, cancel);
}

std::size_t ListCodes::build_bytes(std::size_t entries, std::uint32_t dim, Dtype dtype) {
  // What is kept until its place comes, one piece of everything, the sample, and what training makes of it.
  const std::size_t code_dims = (std::size_t{dim} + 127) / 128 * 128, block_row = code_dims / 8 + 8, factors = factor_bytes(FactorFormat::float32);
  return entries * (block_row + factors) + std::min<std::size_t>(entries, kPieceEntries) * (code_dims + 64) +
         std::min(entries, kSampleMax) * (row_bytes(dtype, dim) + 12 * std::size_t{dim}) + 16 * std::size_t{dim} * dim + (std::size_t{1} << 20);
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

void ListCodes::read_ahead(std::size_t first, std::size_t count) const {
  const std::size_t block = first / kCodeBlockRows, end = (first + count + kCodeBlockRows - 1) / kCodeBlockRows, factors = factor_bytes(view_.format);
  vicino::read_ahead(view_.blocks + block * ladder_.block_bytes(), (end - block) * ladder_.block_bytes());
  vicino::read_ahead(view_.high + first * ladder_.stride(), count * ladder_.stride());
  vicino::read_ahead(view_.factors + first * factors, count * factors);
}

}  // namespace vicino
