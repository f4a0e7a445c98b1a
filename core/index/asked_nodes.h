// Rows of a graph as queries, by which it is measured at the end of a build. The walk for a row does not meet it, as it would not meet a query from
// outside: a row that meets itself has all its neighbors at hand.
#pragma once
#include <cstdint>
#include <vector>

#include "index/graph.h"
#include "index/hidden_node.h"

namespace vicino {

/// A node whose row asks for its nearest.
struct AskedNode {
  AskedNode(const Graph& graph, const VectorBlock& block, Metric metric, std::uint32_t node)
      : node(node), values(query_values(block, graph.row_of(node))), query(metric, block.dtype, block.dim, values.data()) {}

  std::uint32_t node;
  std::vector<std::uint8_t> values;
  PreparedQuery query;
};

class AskedNodes {
 public:
  AskedNodes(const Graph& graph, const VectorBlock& block, Metric metric) : graph_(graph), rows_(block, metric), metric_(metric) {}

  const Graph& graph() const { return graph_; }
  /// The rows, with their norms where the metric needs them.
  const VectorBlock& block() const { return rows_.block(); }
  /// The i-th of so many that are drawn evenly.
  AskedNode drawn(std::uint64_t i, std::uint64_t count) const {
    return {graph_, block(), metric_, static_cast<std::uint32_t>(graph_.n_nodes() * i / count)};
  }

  /// What a walk finds that is kept from the node. layers: where it begins, as Graph::search.
  std::vector<Hit> walk(const AskedNode& asked, std::size_t ef, std::size_t k, SearchStats& stats, const Cancel& cancel,
                        const UpperLayers* layers = nullptr) const {
    const HiddenNode hidden(asked.node);
    TopK nearest(k);
    graph_.search(asked.query, block(), nullptr, ef, nearest, stats, cancel, 0, {}, layers);
    return std::move(nearest).take_sorted();
  }

 private:
  const Graph& graph_;
  NormedBlock rows_;
  Metric metric_;
};

}  // namespace vicino
