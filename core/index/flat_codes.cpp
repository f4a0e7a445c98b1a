#include "index/flat_codes.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>

#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kSampleMax = 8192;
constexpr std::uint32_t kFormat = 1;
constexpr char kMagic[8] = {'V', 'I', 'C', 'C', 'O', 'D', 'E', 'S'};
constexpr const char* kWhat = "codes of rows";
// As in walks (graph_hits.cpp): 99 % of estimates lie within one bound, and 1 % of lost neighbors would be too many.
constexpr float kErrors = 1.5f;
constexpr std::size_t kBlocksAtOnce = 32;
constexpr std::size_t kRescoredAtOnce = 16;

struct CodesHeader {
  char magic[8];
  std::uint32_t format, rows, finest, factors;
  float add_unit, scale_unit;
  std::uint64_t ladder, size;
  std::uint8_t padding[16];
};
static_assert(sizeof(CodesHeader) == 64);

[[noreturn]] void fail(const std::string& message) { throw CorruptionError(std::string(kWhat) + ": " + message + "; rebuild the index of this segment"); }

std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Where the parts lie behind the header.
struct Places {
  Places(const Ladder& ladder, std::uint32_t rows, CodeLevel finest, FactorFormat format, std::size_t ladder_bytes) {
    const auto place = [&](std::size_t& at, std::size_t& bytes, std::size_t wanted) {
      at = size;
      bytes = wanted;
      size += rounded(wanted);
    };
    const bool has_high = finest != CodeLevel::bits1, has_low = finest == CodeLevel::bits8;
    size = sizeof(CodesHeader) + rounded(ladder_bytes);
    place(blocks, blocks_bytes, ladder.n_blocks(rows) * ladder.block_bytes());
    place(high, high_bytes, has_high ? rows * ladder.stride() : 0);
    place(factors, factors_bytes, has_high ? rows * factor_bytes(format) : 0);
    place(low, low_bytes, has_low ? rows * ladder.stride() : 0);
    place(fine, fine_bytes, has_low ? rows * sizeof(RowFactors) : 0);
  }
  std::size_t blocks, high, factors, low, fine;
  std::size_t blocks_bytes, high_bytes, factors_bytes, low_bytes, fine_bytes;
  std::size_t size = 0;
};

/// Rows that lie evenly over those that have a vector, side by side.
std::vector<std::uint8_t> sample_of(const VectorBlock& block, std::span<const std::uint32_t> rows) {
  const std::size_t n = std::min(rows.size(), kSampleMax), size = row_bytes(block.dtype, block.dim);
  std::vector<std::uint8_t> sample(n * size);
  for (std::size_t i = 0; i < n; ++i) std::memcpy(sample.data() + i * size, block.row(rows[rows.size() * i / n]), size);
  return sample;
}

}  // namespace

std::vector<std::uint8_t> build_flat_codes(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, CodeLevel finest,
                                           unsigned threads, const Cancel& cancel) {
  const std::vector<std::uint8_t> sample = sample_of(block, rows);
  LadderOptions options;
  options.blocks = true;
  options.low = finest == CodeLevel::bits8;
  const auto n_sampled = static_cast<std::uint32_t>(std::min(rows.size(), kSampleMax));
  const Ladder ladder = Ladder::train({sample.data(), n_sampled, block.dim, block.dtype, nullptr}, metric, options, threads, cancel);
  const CodePlanes planes = ladder.encode(block, {}, threads, cancel);
  const std::string trained = ladder.to_bytes();
  const Places places(ladder, block.rows, finest, planes.view.format, trained.size());
  CodesHeader header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.format = kFormat;
  header.rows = block.rows;
  header.finest = static_cast<std::uint32_t>(finest);
  header.factors = static_cast<std::uint32_t>(planes.view.format);
  header.add_unit = planes.view.units.add;
  header.scale_unit = planes.view.units.scale;
  header.ladder = trained.size();
  header.size = places.size;
  std::vector<std::uint8_t> out(places.size);
  const auto put = [&](std::size_t at, const void* bytes, std::size_t size) {
    if (size) std::memcpy(out.data() + at, bytes, size);
  };
  put(0, &header, sizeof header);
  put(sizeof header, trained.data(), trained.size());
  put(places.blocks, planes.view.blocks, places.blocks_bytes);
  put(places.high, planes.view.high, places.high_bytes);
  put(places.factors, planes.view.factors, places.factors_bytes);
  put(places.low, planes.view.low, places.low_bytes);
  put(places.fine, planes.view.fine, places.fine_bytes);
  return out;
}

std::size_t flat_codes_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, CodeLevel finest) {
  // All planes and the buffer they are copied to, the sample, and what training makes of it.
  const std::size_t dims = (std::size_t{dim} + 127) / 128 * 128, low = finest == CodeLevel::bits8 ? dims / 2 + 8 : 0;
  const std::size_t code = dims / 8 + 8 + dims / 2 + 16 + low;
  return 2 * (rows + kCodeBlockRows) * code + std::min(rows, kSampleMax) * (row_bytes(dtype, dim) + 12 * std::size_t{dim}) + 16 * std::size_t{dim} * dim +
         (std::size_t{1} << 20);
}

FlatCodes FlatCodes::open(Blob buffer, std::uint32_t n_rows) {
  const Bytes bytes = buffer.bytes();
  CodesHeader header;
  if (bytes.size() < sizeof header) fail("have " + std::to_string(bytes.size()) + " bytes, less than their header");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) fail("do not begin as codes do");
  if (header.format > kFormat)
    throw FormatError(std::string(kWhat) + " are of format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kFormat) + "; update vicino");
  if (header.format != kFormat) fail("are of format " + std::to_string(header.format) + ", which there never was");
  if (header.rows != n_rows) fail("are of " + std::to_string(header.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (header.finest != 1 && header.finest != 4 && header.finest != 8) fail("are of " + std::to_string(header.finest) + " bits, expected 1, 4 or 8");
  if (header.factors > static_cast<std::uint32_t>(FactorFormat::float32)) fail("format " + std::to_string(header.factors) + " of factors does not exist");
  if (header.ladder > bytes.size() - sizeof header) fail("are larger than what holds them");
  FlatCodes codes;
  codes.finest_ = static_cast<CodeLevel>(header.finest);
  codes.ladder_ = Ladder::from_bytes(bytes.subspan(sizeof header, header.ladder), kWhat);
  const LadderOptions& options = codes.ladder_.options();
  if (!options.blocks || options.low != (codes.finest_ == CodeLevel::bits8)) fail("have other planes than their header says");
  CodeSections sections;
  sections.rows = n_rows;
  sections.format = static_cast<FactorFormat>(header.factors);
  sections.units = {header.add_unit, header.scale_unit};
  const Places places(codes.ladder_, n_rows, codes.finest_, sections.format, header.ladder);
  if (bytes.size() != places.size || header.size != places.size)
    fail("have " + std::to_string(bytes.size()) + " bytes, their header makes " + std::to_string(places.size));
  sections.blocks = bytes.subspan(places.blocks, places.blocks_bytes);
  sections.high = bytes.subspan(places.high, places.high_bytes);
  sections.factors = bytes.subspan(places.factors, places.factors_bytes);
  sections.low = bytes.subspan(places.low, places.low_bytes);
  sections.fine = bytes.subspan(places.fine, places.fine_bytes);
  codes.view_ = codes.ladder_.view_of(sections, kWhat, codes.finest_ != CodeLevel::bits1);
  codes.buffer_ = std::move(buffer);
  return codes;
}

void FlatCodes::verify() const {
  for (std::uint32_t row = 0; row < n_rows(); ++row) {
    for (const CodeLevel level : {CodeLevel::bits1, CodeLevel::bits4, CodeLevel::bits8}) {
      if (level > finest_) break;
      if (const float scale = ladder_.scale_of(view_, level, row); !(scale >= 0))
        fail("row " + std::to_string(row) + " has a scale that is no number of at least 0");
    }
  }
}

/// One search of one segment's codes.
class FlatScan {
 public:
  FlatScan(const FlatCodes& codes, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const Rescoring& rescoring,
           TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row)
      : codes_(codes), query_(query), block_(block), allowed_(allowed), rescoring_(rescoring), nearest_(nearest), stats_(stats), cancel_(cancel),
        first_row_(first_row), memory_(Memory::of_thread()), limits_(rescoring.kept(nearest.k())) {}

  void run() {
    ladder().prepare(static_cast<const float*>(query_.values()), memory_.state);
    ladder().prepare_scan(memory_.state);
    memory_.candidates.clear();
    const std::size_t n_blocks = ladder().n_blocks(codes_.n_rows());
    for (std::size_t first = 0; first < n_blocks; first += kBlocksAtOnce) {
      cancel_.check();
      scan_blocks(first, std::min(first + kBlocksAtOnce, n_blocks));
    }
    prune();
    if (codes_.finest_ == CodeLevel::bits8) refine();
    std::ranges::sort(memory_.candidates, [](const Candidate& a, const Candidate& b) {
      return a.estimate != b.estimate ? a.estimate < b.estimate : a.row < b.row;
    });
    finish();
  }

 private:
  /// A row that was found by its code, and how far its distance may lie from the estimate.
  struct Candidate {
    float estimate, error;
    std::uint32_t row;
  };
  /// Kept for the next search of the same thread.
  struct Memory {
    QueryState state;
    std::vector<std::uint32_t> rows;
    std::vector<float> distances;
    std::vector<Candidate> candidates;
    static Memory& of_thread() {
      static thread_local Memory memory;
      return memory;
    }
  };

  const Ladder& ladder() const { return codes_.ladder_; }
  float margin(float error) const { return rescoring_.by == Rescoring::By::bound ? kErrors * error : 0; }

  /// Bits of the 32 rows of a block that are allowed.
  std::uint32_t allowed_in(std::size_t block) const {
    const std::size_t first = block * kCodeBlockRows;
    std::uint32_t bits = allowed_ ? static_cast<std::uint32_t>(allowed_[first / 64] >> (first % 64)) : ~std::uint32_t{0};
    if (const std::size_t left = codes_.n_rows() - first; left < kCodeBlockRows) bits &= (std::uint32_t{1} << left) - 1;
    return bits;
  }

  void scan_blocks(std::size_t first, std::size_t end) {
    memory_.rows.clear();
    for (std::size_t block = first; block < end; ++block) {
      const std::uint32_t bits = allowed_in(block);
      if (!bits) continue;
      float estimates[kCodeBlockRows], errors[kCodeBlockRows];
      ladder().scan1(memory_.state, codes_.view_.blocks + block * ladder().block_bytes(), estimates, errors);
      stats_.rows_scored += static_cast<std::uint64_t>(std::popcount(bits));
      const bool is_last = codes_.finest_ == CodeLevel::bits1;
      for (std::uint32_t left = bits; left; left &= left - 1) {
        const auto i = static_cast<std::uint32_t>(std::countr_zero(left));
        const auto row = static_cast<std::uint32_t>(block * kCodeBlockRows + i);
        if (is_last) consider({estimates[i], margin(errors[i]), row});
        // The 1-bit code decides nothing but what the next level looks at, so its bound counts whatever the rescoring.
        // "not above", for extreme rows have estimates that are no numbers.
        else if (!(estimates[i] - kErrors * errors[i] > limits_.bound())) memory_.rows.push_back(row);
      }
    }
    if (!memory_.rows.empty()) score_by_4_bits();
  }

  void score_by_4_bits() {
    const auto& rows = memory_.rows;
    stats_.rows_scored += rows.size();
    if (memory_.distances.size() < rows.size()) memory_.distances.resize(rows.size());
    ladder().score4(memory_.state, codes_.view_, rows.data(), rows.size(), memory_.distances.data());
    for (std::size_t i = 0; i < rows.size(); ++i) consider({memory_.distances[i], margin(error_of(CodeLevel::bits4, rows[i])), rows[i]});
  }

  float error_of(CodeLevel level, std::uint32_t row) const { return memory_.state.error_of(level, ladder().scale_of(codes_.view_, level, row)); }

  void consider(Candidate candidate) {
    if (!(candidate.estimate < FLT_MAX)) candidate.estimate = FLT_MAX;  // damaged codes make anything, NaN included
    if (!(candidate.error < FLT_MAX)) candidate.error = FLT_MAX;
    if (candidate.estimate - candidate.error > limits_.bound()) return;
    memory_.candidates.push_back(candidate);
    limits_.offer({candidate.estimate + candidate.error, candidate.row});
  }

  void prune() {
    std::erase_if(memory_.candidates, [&](const Candidate& c) { return c.estimate - c.error > limits_.bound(); });
  }

  /// By all 8 bits.
  void refine() {
    auto candidates = std::move(memory_.candidates);
    memory_.candidates.clear();
    limits_ = TopK(limits_.k());
    memory_.rows.clear();
    for (const Candidate& candidate : candidates) memory_.rows.push_back(candidate.row);
    const auto& rows = memory_.rows;
    if (memory_.distances.size() < rows.size()) memory_.distances.resize(rows.size());
    ladder().score8(memory_.state, codes_.view_, rows.data(), rows.size(), memory_.distances.data());
    stats_.rows_scored += rows.size();
    for (std::size_t i = 0; i < rows.size(); ++i) consider({memory_.distances[i], margin(error_of(CodeLevel::bits8, rows[i])), rows[i]});
    prune();
  }

  /// Offers the candidates, nearest first, by the rows or by what is known of them.
  void finish() {
    const auto& candidates = memory_.candidates;
    if (rescoring_.by == Rescoring::By::estimates) {
      for (const Candidate& c : candidates) nearest_.offer({as_distance(query_.metric(), c.estimate), first_row_ + c.row});
      return;
    }
    const std::size_t count = rescoring_.by == Rescoring::By::count ? std::min(limits_.k(), candidates.size()) : candidates.size();
    for (std::size_t start = 0; start < count; start += kRescoredAtOnce) {
      memory_.rows.clear();
      for (std::size_t i = start; i < std::min(start + kRescoredAtOnce, count); ++i)
        if (rescoring_.by == Rescoring::By::count || candidates[i].estimate - candidates[i].error <= nearest_.bound()) memory_.rows.push_back(candidates[i].row);
      if (memory_.distances.size() < memory_.rows.size()) memory_.distances.resize(memory_.rows.size());
      query_.distances_at(block_, memory_.rows, memory_.distances.data());
      stats_.rescored += memory_.rows.size();
      stats_.rows_scored += memory_.rows.size();
      for (std::size_t i = 0; i < memory_.rows.size(); ++i) nearest_.offer({memory_.distances[i], first_row_ + memory_.rows[i]});
    }
  }

  const FlatCodes& codes_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  const Rescoring& rescoring_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::uint64_t first_row_;
  Memory& memory_;
  TopK limits_;  // upper bounds of the nearest rows' distances
};

void FlatCodes::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const Rescoring& rescoring,
                       TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  if (block.rows != n_rows() || block.dim != ladder_.transform().dims() || !is_float(block.dtype) || query.metric() != ladder_.transform().metric())
    fail("are of " + std::to_string(n_rows()) + " rows of " + std::to_string(ladder_.transform().dims()) + " dimensions in floats under " +
         name_of(ladder_.transform().metric()) + ", the vectors are " + std::to_string(block.rows) + " of " + std::to_string(block.dim) + " in " +
         name_of(block.dtype) + " under " + name_of(query.metric()));
  if (!n_rows()) return;
  FlatScan(*this, query, block, allowed, rescoring, nearest, stats, cancel, first_row).run();
}

}  // namespace vicino
