// How wide the beam of a walk is when nobody says: measured when a graph is built. Some of its rows ask for their nearest, and the beam is widened until
// these are found. Real vectors are found by the narrowest; among rows without structure, as random numbers are, no walk finds its way, and a
// scan answers sooner.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "index/graph.h"

namespace vicino {

constexpr std::size_t kBeamMin = 64;  // of walks for which nobody says how wide

/// The beam for a mean recall@10 of 0.95, held by one standard error of the sample: kBeamMin, or more; as wide as the graph where a scan finds them
/// sooner. 0 for too few rows to tell, or nearly all of them copies. layers: where walks begin, as Graph::search. The same for any number of threads.
std::uint32_t usual_beam(const Graph& graph, const VectorBlock& block, Metric metric, const UpperLayers* layers, unsigned threads, const Cancel& cancel);

/// Measures the beam and writes it into the header of a graph in the making.
void write_usual_beam(std::span<std::uint8_t> graph, const VectorBlock& block, Metric metric, const UpperLayers* layers, unsigned threads, const Cancel& cancel);

}  // namespace vicino
