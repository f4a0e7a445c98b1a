// A walk over the matching rows of a filter, for filters that are opposed to the query.
//
// The plain walk (graph_search.cpp) comes near the query and picks what matches on its way; where nothing near the query matches, it picks
// nothing. This one keeps matching nodes in its beam and nothing else. Their links to nodes that do not match are looked through: what
// those link to stands in for them. It begins at matching rows too, drawn from all over the filter, since from near the query a filter that
// lies elsewhere may not be reachable by matching rows at all.
//
// After ACORN (Patel et al. 2024) and its descendants. Measured in docs/design/0010-filters.md: worth its while where the share of
// matching rows near the query is far below that in the whole graph, and these are so many that a scan takes far longer; elsewhere the plain
// walk costs less, or a scan finds more.
#pragma once
#include <cstdint>

#include "index/graph.h"

namespace vicino {

/// Offers `nearest` allowed rows near the query, as Graph::search does. `candidates`: how many rows are allowed.
/// Adds to `stats`. Safe to call from many threads. Throws Cancelled, CorruptionError when it meets a damaged link, and InvalidArgument for
/// a block that is not the graph's.
void search_two_hop(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates,
                    std::size_t ef, TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0, const Rescoring& rescoring = {},
                    const std::uint64_t* allowed_nodes = nullptr);

}  // namespace vicino
