#include "shard/search_costs.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "util/bitmap.h"

namespace vicino {

namespace {

// Measured at one, two and six lines of 64 bytes a code (l2sift128, debian, synth768): 5.3, 7.4 and 15.8 ns a row of a scan; 33, 33 and 51 of a walk.
constexpr float kScannedNs = 3.4f, kScannedLineNs = 2.05f, kWalkedNs = 28, kWalkedLineNs = 3.6f;
// Rows that a walk scores for each of its beam: 14 to 18.
constexpr float kBeamRows = 16;
// A walk over matching rows scores about as many rows for each of its beam, each at twice the price: it looks through links as well. And it begins at
// so many rows of the filter.
constexpr double kTwoHopRow = 2, kTwoHopSeeds = 256;

// What is measured: a scan of every 16th node, and walks of two beams under a filter of one half, whose difference is what rows cost.
constexpr std::uint32_t kScannedEvery = 16;
constexpr std::size_t kNarrow = 32, kWide = 128, kNeighbors = 10, kBlocks = 5;
// What lies beyond is an accident of the measurement.
constexpr float kScannedMax = 1e6f, kRatioMin = 1.5f, kRatioMax = 20, kBeamRowsMin = 4, kBeamRowsMax = 40;

float code_lines(const Graph& graph) { return static_cast<float>(graph.codes()->ladder().stride()) / 64; }

/// Every second row of 64 at a time, so that no order of rows decides which match.
Bitmap half_of(std::uint32_t n_rows) {
  Bitmap bits(n_rows);
  for (std::uint32_t row = 0; row < n_rows; ++row)
    if ((row * 0x9e3779b1u) >> 31) bits.set(row);
  return bits;
}

/// One kind of search by all queries: rows scored, and the least time of several blocks.
struct Timed {
  double seconds = std::numeric_limits<double>::infinity();
  double rows = 0;

  template <class Search>
  void block(std::span<const PreparedQuery> queries, const Clock& clock, Search&& search) {
    SearchStats stats;
    const double start = clock();
    for (const PreparedQuery& query : queries) {
      TopK nearest(kNeighbors);
      search(query, nearest, stats);
    }
    seconds = std::min(seconds, clock() - start);
    rows = static_cast<double>(stats.rows_scored);
  }
};

}  // namespace

bool SearchCosts::is_plausible() const {
  return is_measured && scanned_ns > 0 && scanned_ns < kScannedMax && walked_ns > kRatioMin * scanned_ns && walked_ns < kRatioMax * scanned_ns &&
         beam_rows > kBeamRowsMin && beam_rows < kBeamRowsMax;
}

double SearchCosts::two_hop_ns(double beam) const { return kTwoHopRow * walked_ns * (kTwoHopSeeds + walked_rows(beam)); }

SearchCosts assumed_costs(const Graph& graph) {
  const float lines = code_lines(graph);
  return {kScannedNs + kScannedLineNs * lines, kWalkedNs + kWalkedLineNs * lines, kBeamRows};
}

SearchCosts measure_costs(const Graph& graph, const VectorBlock& block, std::span<const PreparedQuery> queries, const Clock& clock, const Cancel& cancel) {
  const SearchCosts assumed = assumed_costs(graph);
  std::vector<std::uint32_t> nodes;
  for (std::uint32_t node = 0; node < graph.n_nodes(); node += kScannedEvery) nodes.push_back(node);
  if (queries.empty() || nodes.size() < 2 * kNeighbors) return assumed;
  const Bitmap half = half_of(graph.n_rows());
  Bitmap half_nodes(graph.n_nodes());
  for (std::uint32_t node = 0; node < graph.n_nodes(); ++node)
    if (half.test(graph.row_of(node))) half_nodes.set(node);
  WalkLimits limits;
  limits.nodes = half_nodes.words();
  const auto few = std::span(nodes).first(nodes.size() / 4);
  Timed short_scan, long_scan, narrow, wide;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    const auto scan = [&](std::span<const std::uint32_t> listed) {
      return [&graph, &block, &cancel, listed](const PreparedQuery& query, TopK& nearest, SearchStats& stats) {
        graph.scan(query, block, nullptr, listed.size(), nearest, stats, cancel, 0, {}, listed);
      };
    };
    const auto walk = [&](std::size_t beam) {
      return [&graph, &block, &cancel, &half, &limits, beam](const PreparedQuery& query, TopK& nearest, SearchStats& stats) {
        graph.search(query, block, half.words(), beam, nearest, stats, cancel, 0, limits);
      };
    };
    short_scan.block(queries, clock, scan(few));
    long_scan.block(queries, clock, scan(nodes));
    narrow.block(queries, clock, walk(kNarrow));
    wide.block(queries, clock, walk(kWide));
  }
  SearchCosts costs;
  costs.scanned_ns = static_cast<float>(1e9 * (long_scan.seconds - short_scan.seconds) / (long_scan.rows - short_scan.rows));
  costs.walked_ns = static_cast<float>(1e9 * (wide.seconds - narrow.seconds) / (wide.rows - narrow.rows));
  costs.beam_rows = static_cast<float>((wide.rows - narrow.rows) / static_cast<double>((kWide - kNarrow) * queries.size()));
  costs.is_measured = true;
  return costs.is_plausible() ? costs : assumed;
}

}  // namespace vicino
