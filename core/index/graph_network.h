// What every builder of a graph hands over once its links are known, and how that becomes the buffer drawn in graph.h.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/copy_groups.h"
#include "index/graph_codes.h"
#include "kernels/vectors.h"
#include "util/cancel.h"

namespace vicino {

/// Nodes in their final order. rows[node] is the row it stands for, a representative of the groups; every node is reachable from node 0.
struct Network {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> links;  // as a LinkTable of `links_per_node`
  std::uint32_t links_per_node = 0;
  std::uint32_t n_entries = 0;  // the first of the nodes
};

/// Throws InvalidArgument unless the rows ascend within the block and the metric goes with its type.
void check_build_rows(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric);

/// How many entries a graph has.
std::uint32_t n_entries_for(std::size_t n_nodes);

/// The graph's buffer; encodes the rows of nodes where walks go by codes.
std::vector<std::uint8_t> write_graph(const VectorBlock& block, Metric metric, const Network& network, const CopyGroups& groups,
                                      NodeCodes codes, std::uint64_t seed, unsigned threads, const Cancel& cancel);

}  // namespace vicino
