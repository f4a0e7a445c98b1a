// The costs of searching the graphs of a snapshot: measured, read, and set to what was measured before.
//
// What a search finds under a filter depends on whether it walks or scans, and that on these costs. So recall that was measured under some costs is
// promised under the same: they are kept with the measurement (vicino/recall).
#pragma once
#include <vector>

#include "shard/snapshot.h"

namespace vicino {

/// Of every entry that has an index over a vector; those that were not measured are all zeros.
std::vector<SearchCosts> known_costs(const Snapshot& snapshot, std::uint32_t slot);

/// Sets the costs of graphs with codes, which are not known yet, to these, in the order of known_costs; searches use them from now on. What is not
/// plausible is left alone. Throws InvalidArgument for another number of costs than there are entries.
void set_known_costs(const Snapshot& snapshot, std::uint32_t slot, const std::vector<SearchCosts>& costs);

/// The same by searching each of them, see measure_costs. `queries` are rows in the column's query type.
void measure_known_costs(const Snapshot& snapshot, const ColumnSpec& column, std::span<const std::uint8_t> queries, std::size_t n_queries,
                         const Clock& clock, const Cancel& cancel);

}  // namespace vicino
