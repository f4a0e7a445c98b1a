// The rows of one indexed source that are worth scoring, by its inverted lists.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "maxsim/search.h"

namespace vicino {

/// At most `shortlist` rows, ascending: those whose estimates by centroids are largest. `query` is what the scorer multiplies with.
std::vector<std::uint32_t> probe(const MultiSource& source, std::span<const float> query, std::uint32_t probes, std::size_t shortlist,
                                 MultiStats& stats, const Kernels& table, const Cancel& cancel);

}  // namespace vicino
