#include "shard/known_costs.h"

#include <algorithm>
#include <string>

#include "util/errors.h"

namespace vicino {

namespace {

/// Indexes of entries that have one, with the block of their rows.
struct Indexed {
  const VectorIndex* index;
  const Entry* entry;
  bool has_costs() const { return index->graph() && index->graph()->has_codes(); }
};

std::vector<Indexed> indexed_of(const Snapshot& snapshot, std::uint32_t slot) {
  std::vector<Indexed> found;
  for (const Entry& entry : snapshot.entries())
    if (const VectorIndex* index = entry.rows->vector_index(slot)) found.push_back({index, &entry});
  return found;
}

SearchCosts known(const Indexed& at) {
  if (!at.has_costs()) return {};
  const SearchCosts costs = at.index->costs();
  return costs.is_measured ? costs : SearchCosts{};
}

}  // namespace

std::vector<SearchCosts> known_costs(const Snapshot& snapshot, std::uint32_t slot) {
  std::vector<SearchCosts> costs;
  for (const Indexed& at : indexed_of(snapshot, slot)) costs.push_back(known(at));
  return costs;
}

void set_known_costs(const Snapshot& snapshot, std::uint32_t slot, const std::vector<SearchCosts>& costs) {
  const auto indexed = indexed_of(snapshot, slot);
  if (indexed.size() != costs.size())
    throw InvalidArgument("there are " + std::to_string(indexed.size()) + " indexes over the vector, got costs of " + std::to_string(costs.size()));
  for (std::size_t i = 0; i < indexed.size(); ++i)
    if (indexed[i].has_costs() && !known(indexed[i]).is_measured && costs[i].is_plausible()) indexed[i].index->set_costs(costs[i]);
}

void measure_known_costs(const Snapshot& snapshot, const ColumnSpec& column, std::span<const std::uint8_t> queries, std::size_t n_queries,
                         const Clock& clock, const Cancel& cancel) {
  snapshot.expect_column(column);
  const std::size_t width = queries.size() / std::max<std::size_t>(1, n_queries);
  std::vector<PreparedQuery> prepared;
  for (std::size_t i = 0; i < n_queries; ++i) prepared.emplace_back(column.metric, column.dtype, column.dim, queries.data() + i * width);
  for (const Indexed& at : indexed_of(snapshot, column.slot))
    if (at.has_costs() && !known(at).is_measured)
      at.index->set_costs(measure_costs(*at.index->graph(), at.entry->rows->chunks(column.slot)[0].block, prepared, clock, cancel));
}

}  // namespace vicino
