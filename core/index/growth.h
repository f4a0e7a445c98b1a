// How fast distances grow around the rows of a graph: what tells a walk that nothing near is left to find.
//
// A beam of `ef` nodes expands the `ef` nearest of every query. Where rows lie dense around a query that is too few, and elsewhere far too
// many. The nodes as far away as the ef-th nearest of an ordinary row are the better measure, and their distance is known beforehand: it
// grows as a power of the number of nodes within it, d(n) ~ n^growth, with about the same exponent all over a set. So a walk keeps a wider
// pool and ends at the first node that lies beyond
//   d(k) * (ef / k)^(growth * share)
// with d(k) the k-th best so far. The share (walk_reach.h) is less than one because nodes beyond that distance add little: with about one half, a walk finds as
// much as one over a fixed beam of the same `ef`, in half the hops at a recall of 0.99 (docs/design/0007).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "index/graph.h"

namespace vicino {

/// The exponent over a sample of the graph's rows; 0 where there is none: for few rows, and distances that are not above zero.
float distance_growth(const Graph& graph, const VectorBlock& block, Metric metric, const Cancel& cancel);

/// Measures the exponent and writes it into the header of a graph in the making.
void write_growth(std::span<std::uint8_t> graph, const VectorBlock& block, Metric metric, const Cancel& cancel);

}  // namespace vicino
