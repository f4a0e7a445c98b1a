#include "index/usual_beam.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "index/asked_nodes.h"
#include "index/graph_layout.h"
#include "index/scan.h"
#include "index/usual_recall.h"
#include "util/bitmap.h"
#include "util/parallel.h"

namespace vicino {

namespace {

// Their true neighbors are scanned for by codes, which takes about a hundredth of the build.
constexpr std::uint32_t kSample = 64, kSampleMin = 16;
constexpr std::uint32_t kNodesMin = 512;  // fewer are scanned anyway
// A walk that scores this share of all nodes, by codes or by rows, takes as long as a scan, which comes to them in order.
constexpr double kCodesShare = 0.25, kRowsShare = 0.5;

/// All rows of a graph, to be scanned for the neighbors of one of them.
class TrueNeighbors {
 public:
  TrueNeighbors(const AskedNodes& nodes, const Cancel& cancel) : nodes_(nodes), cancel_(cancel) {
    const Graph& graph = nodes.graph();
    if (graph.has_codes()) {
      all_.resize(graph.n_nodes());
      std::iota(all_.begin(), all_.end(), 0u);
      return;
    }
    present_ = Bitmap(graph.n_rows());
    for (std::uint32_t row = 0; row < graph.n_rows(); ++row)
      if (graph.node_of(row) != Graph::kNone) present_.set(row);
  }

  /// Distance of the farthest of the kUsualNeighbors nearest, the node itself left out.
  float farthest(const AskedNode& asked) const {
    TopK nearest(kUsualNeighbors + 1);
    SearchStats stats;
    const Graph& graph = nodes_.graph();
    if (graph.has_codes()) graph.scan(asked.query, nodes_.block(), nullptr, graph.n_rows(), nearest, stats, cancel_, 0, {}, all_);
    else scan(asked.query, nodes_.block(), 0, present_.words(), nearest, cancel_);
    const std::uint32_t own = graph.row_of(asked.node);
    std::vector<Hit> hits = std::move(nearest).take_sorted();
    std::erase_if(hits, [own](const Hit& hit) { return hit.row == own; });
    return hits[std::min(hits.size(), kUsualNeighbors) - 1].distance;
  }

 private:
  const AskedNodes& nodes_;
  const Cancel& cancel_;
  std::vector<std::uint32_t> all_;  // nodes
  Bitmap present_{0};
};

/// Those that stand for one row: the others would be their own neighbors.
std::vector<AskedNode> draw(const AskedNodes& nodes) {
  std::vector<AskedNode> asked;
  for (std::uint64_t i = 0; i < kSample; ++i)
    if (AskedNode one = nodes.drawn(i, kSample); !nodes.graph().stands_for_several(one.node)) asked.push_back(std::move(one));
  return asked;
}

struct Found {
  std::uint32_t neighbors = 0;
  std::uint64_t scored = 0;
};

bool is_enough(std::span<const Found> found) {
  SampledRecall recall(found.size());
  for (const Found& one : found) recall.raise(0, static_cast<double>(one.neighbors) / kUsualNeighbors);
  return recall.is_enough();
}

double scored_by_each(std::span<const Found> found) {
  std::uint64_t scored = 0;
  for (const Found& one : found) scored += one.scored;
  return static_cast<double>(scored) / static_cast<double>(found.size());
}

}  // namespace

std::uint32_t usual_beam(const Graph& graph, const VectorBlock& block, Metric metric, const UpperLayers* layers, unsigned threads, const Cancel& cancel) {
  if (graph.n_nodes() < kNodesMin) return 0;
  const AskedNodes nodes(graph, block, metric);
  const std::vector<AskedNode> asked = draw(nodes);
  if (asked.size() < kSampleMin) return 0;
  const TrueNeighbors all(nodes, cancel);
  std::vector<float> farthest(asked.size());
  std::vector<Found> found(asked.size());
  parallel_for(threads, asked.size(), [&](std::size_t i, std::size_t) { farthest[i] = all.farthest(asked[i]); });
  for (std::size_t beam = kBeamMin; beam < graph.n_nodes(); beam += beam / 2) {
    parallel_for(threads, asked.size(), [&](std::size_t i, std::size_t) {
      SearchStats stats;
      const std::vector<Hit> hits = nodes.walk(asked[i], beam, kUsualNeighbors, stats, cancel, layers);
      // By distance: which of those equally far is found does not matter.
      const auto near = std::ranges::count_if(hits, [&](const Hit& hit) { return hit.distance <= farthest[i]; });
      found[i] = {static_cast<std::uint32_t>(near), stats.rows_scored};
    });
    if (is_enough(found)) return static_cast<std::uint32_t>(beam);
    if (scored_by_each(found) > (graph.has_codes() ? kCodesShare : kRowsShare) * graph.n_nodes()) break;
  }
  return graph.n_nodes();
}

void write_usual_beam(std::span<std::uint8_t> graph, const VectorBlock& block, Metric metric, const UpperLayers* layers, unsigned threads, const Cancel& cancel) {
  const std::uint32_t beam = usual_beam(Graph::open(Blob(graph, nullptr), block.rows), block, metric, layers, threads, cancel);
  std::memcpy(graph.data() + offsetof(GraphHeader, usual_beam), &beam, sizeof beam);
}

}  // namespace vicino
