// What the ways of searching a graph under a filter cost, as far as they differ: the planner takes the cheapest.
//
// A coded scan pays for every row that matches. A walk pays for the rows it passes, each several times what a row costs a scan, since these lie
// at random places, are met through links, and are kept in order. How many times depends on the length of the codes, the processor
// and its caches: from 3 (768 dimensions) to 6 (128 dimensions) on one machine. So it is measured once for each segment (measure_costs), in the
// background, and until then assumed from the length of the codes. Assumed costs are the same everywhere, which tests rely on.
#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "index/graph.h"

namespace vicino {

struct SearchCosts {
  float scanned_ns = 0;  // of a row that a coded scan scores
  float walked_ns = 0;   // of a row that a walk scores, beside the entries, whose codes it scans
  float beam_rows = 0;   // that a walk scores for each of its beam
  bool is_measured = false;

  /// Whether these may have been measured, and are no accident.
  bool is_plausible() const;
  double scan_ns(double candidates) const { return scanned_ns * candidates; }
  double walk_ns(double entries, double beam) const { return scanned_ns * entries + walked_ns * walked_rows(beam); }
  double two_hop_ns(double beam) const;
  double walked_rows(double beam) const { return beam_rows * beam; }
};

/// From the length of the codes alone.
SearchCosts assumed_costs(const Graph& graph);

/// Tells the time in seconds.
using Clock = std::function<double()>;

/// Searches by some queries, in blocks, of which the fastest count: about 20 milliseconds. Assumed costs where a clock gives no use: it stands still, or
/// what it says is not plausible. The graph has codes. Throws Cancelled.
SearchCosts measure_costs(const Graph& graph, const VectorBlock& block, std::span<const PreparedQuery> queries, const Clock& clock, const Cancel& cancel);

}  // namespace vicino
