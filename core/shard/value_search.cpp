// Search over values: words, sparse vectors. The dense search is in search.cpp.
#include <algorithm>

#include "maxsim/search.h"
#include "shard/snapshot.h"

namespace vicino {

namespace {

std::vector<SparseEntry> sparse_entries(const Snapshot& snapshot, std::span<const std::uint32_t> slots, const Matches* matches) {
  std::vector<SparseEntry> entries;
  for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
    const Entry& entry = snapshot.entries()[i];
    SparseEntry made;
    for (const std::uint32_t slot : slots) made.fields.push_back(entry.rows->terms(slot));
    made.allowed = snapshot.allowed(i, matches);
    made.live = entry.live.get();
    made.n_rows = entry.rows->size();
    made.first_row = static_cast<std::uint64_t>(locator(i, 0));
    made.statistics = entry.statistics;
    entries.push_back(std::move(made));
  }
  return entries;
}

ValueOutcome outcome_of(const Snapshot& snapshot, const Matches* matches, std::vector<SparseHit> hits, std::span<const SparseStats> stats) {
  ValueOutcome outcome{std::move(hits), {}};
  for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
    const Entry& entry = snapshot.entries()[i];
    outcome.stats.push_back({entry.rows->key(), entry.rows->size(), matches ? matches->counts[i] : entry.n_live, stats[i].candidates ? Strategy::postings : Strategy::none,
                             stats[i].candidates, 0});
  }
  return outcome;
}

}  // namespace

ValueOutcome Snapshot::search_text(const TextQuery& query, std::size_t k, const Matches* matches, const Cancel& cancel) const {
  std::vector<std::uint32_t> slots;
  for (const TextField& field : query.fields) slots.push_back(field.slot);
  std::vector<SparseStats> stats;
  auto hits = vicino::search_text(query, sparse_entries(*this, slots, matches), k, stats, cancel);
  return outcome_of(*this, matches, std::move(hits), stats);
}

ValueOutcome Snapshot::search_sparse(std::uint32_t slot, std::span<const std::uint32_t> indices, std::span<const float> weights, bool idf, std::size_t k,
                                     const Matches* matches, const Cancel& cancel) const {
  std::vector<SparseStats> stats;
  auto hits = vicino::search_sparse(slot, indices, weights, idf, sparse_entries(*this, {&slot, 1}, matches), k, stats, cancel);
  return outcome_of(*this, matches, std::move(hits), stats);
}

ValueOutcome Snapshot::search_multi(const ValueSpec& column, std::span<const float> query, std::size_t k, bool exact, const Matches* matches,
                                    const Cancel& cancel) const {
  expect_values(column);
  std::vector<MultiSource> sources;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Rows* rows = entries_[i].rows.get();
    const Bitmap* bitmap = allowed(i, matches);
    sources.push_back({rows->size(), [rows, slot = column.slot](std::uint32_t row) { return rows->value(slot, row); },
                       bitmap ? bitmap->words() : nullptr, rows->multi_index(column.slot)});
  }
  MultiRequest request;
  request.k = k;
  request.exact = exact;
  MultiStats found;
  ValueOutcome outcome;
  for (const MultiHit& hit : vicino::search_multi(multi_spec(column), query, sources, request, found, cancel)) {
    outcome.hits.push_back({static_cast<std::uint64_t>(locator(hit.source, hit.row)), hit.score});
    outcome.tokens.push_back(hit.token);
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const Strategy strategy = found.lists_probed && sources[i].index && sources[i].index->has_lists() && !exact ? Strategy::postings : Strategy::scan;
    outcome.stats.push_back({entry.rows->key(), entry.rows->size(), matches ? matches->counts[i] : entry.n_live, strategy, i ? 0 : found.rows_scored, 0});
  }
  return outcome;
}

Bytes Snapshot::value(std::uint32_t slot, Locator at) const { return entry_of(at).rows->value(slot, static_cast<std::uint32_t>(at)); }

void Snapshot::expect_values(const ValueSpec& column) const {
  for (const Entry& entry : entries_)
    for (const ValueSpec& stored : entry.rows->values())
      if (stored.slot == column.slot && stored != column)
        throw CorruptionError("value slot " + std::to_string(column.slot) + " is stored with another shape than asked for; restore the folder from a snapshot or a copy");
}

std::uint64_t Snapshot::n_uncovered(std::uint32_t slot) const {
  std::uint64_t n = 0;
  for (const Entry& entry : entries_) n += entry.rows->covers(slot) ? 0 : entry.n_live;
  return n;
}

}  // namespace vicino
