#include "index/growth.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "index/asked_nodes.h"
#include "index/graph_layout.h"

namespace vicino {

namespace {

constexpr std::uint32_t kSample = 128, kNear = 10, kFar = 64;  // 256 gives the same where rows form one cloud, and four times as much among clusters of a hundred
// With fewer nodes a walk is short anyway.
constexpr std::uint32_t kNodesMin = 4096;
// Steps of the exponent that is kept: coarser than what logarithms of different machines differ by.
constexpr double kSteps = 4096;

bool have_ratios(Metric metric, Dtype dtype) { return (metric == Metric::cosine || metric == Metric::l2) && dtype != Dtype::binary; }

/// log of how many times as far as its kNear-th neighbor the kFar-th neighbor of a node lies; 0 where the first lies on the node.
double log_ratio(const AskedNodes& nodes, const AskedNode& asked, const Cancel& cancel) {
  SearchStats stats;
  const std::vector<Hit> hits = nodes.walk(asked, kFar, kFar, stats, cancel);
  if (hits.size() < kFar || !(hits[kNear - 1].distance > 0)) return 0;
  return std::log(static_cast<double>(hits[kFar - 1].distance) / hits[kNear - 1].distance);
}

}  // namespace

float distance_growth(const Graph& graph, const VectorBlock& block, Metric metric, const Cancel& cancel) {
  if (graph.n_nodes() < kNodesMin || !have_ratios(metric, block.dtype)) return 0;
  const AskedNodes nodes(graph, block, metric);
  double sum = 0;
  for (std::uint64_t i = 0; i < kSample; ++i) {
    cancel.check();
    sum += log_ratio(nodes, nodes.drawn(i, kSample), cancel);
  }
  const double growth = sum / kSample / std::log(static_cast<double>(kFar) / kNear);
  return static_cast<float>(std::nearbyint(growth * kSteps) / kSteps);
}

void write_growth(std::span<std::uint8_t> graph, const VectorBlock& block, Metric metric, const Cancel& cancel) {
  const float growth = distance_growth(Graph::open(Blob(graph, nullptr), block.rows), block, metric, cancel);
  std::memcpy(graph.data() + offsetof(GraphHeader, growth), &growth, sizeof growth);
}

}  // namespace vicino
