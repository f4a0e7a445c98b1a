// Search over all entries of a snapshot, one top-k over all of them, and batches of queries on several threads.
#include <algorithm>
#include <chrono>
#include <vector>

#include "shard/entry_search.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kPartsPerThread = 4, kPartMin = 2, kPartMax = 64;  // of a batch; a part's prepared queries are to stay in the cache
constexpr std::size_t kListsPartsPerThread = 2, kListsPartMin = 4, kListsPartMax = 512;  // the same of lists that are read once for all queries of a part

/// All that one search call asks of a snapshot.
struct SearchJob {
  const Snapshot& snapshot;
  const SearchRequest& request;
  std::span<const EntryTask> tasks;
  std::uint64_t all_candidates;
  std::span<const std::uint8_t> queries;  // rows of the type in which the column is asked
  std::size_t query_bytes;
  HitLists& hits;
};

/// The search of queries `first` to `last`, exclusive; adds to the counts of every entry.
void search_part(const SearchJob& job, std::size_t first, std::size_t last, std::span<EntryStats> counts, const Cancel& cancel) {
  const ColumnSpec& column = job.request.column;
  std::vector<PreparedQuery> prepared;
  prepared.reserve(last - first);
  for (std::size_t i = first; i < last; ++i)
    prepared.emplace_back(column.metric, column.dtype, column.dim, job.queries.data() + i * job.query_bytes);
  std::vector<TopK> best(last - first, TopK(job.request.k));
  for (std::size_t i = 0; i < job.tasks.size(); ++i) {
    if (!job.tasks[i].candidates) continue;
    const auto start = Cancel::Clock::now();
    search_entry(job.tasks[i], job.request, job.all_candidates, prepared, first, best, counts[i], cancel);
    counts[i].seconds += std::chrono::duration<double>(Cancel::Clock::now() - start).count();
  }
  for (std::size_t i = first; i < last; ++i) {
    std::vector<Hit> hits = std::move(best[i - first]).take_sorted();
    for (Hit& hit : hits) hit.distance = public_distance(column.metric, hit.distance);
    job.hits.set(i, hits);
  }
  job.hits.read_ids(first, last, [&](std::uint64_t row) { return job.snapshot.id(static_cast<Locator>(row)); });
}

bool shares_lists(std::span<const EntryTask> tasks, std::uint32_t slot) {
  return std::ranges::any_of(tasks, [slot](const EntryTask& task) {
    const VectorIndex* index = task.entry->rows->vector_index(slot);
    return index && index->lists() && index->lists()->shares_lists();
  });
}

/// Queries of different parts may go different ways; what is told is the way that took more than the others.
void add_counts(std::span<const EntryStats> part, std::span<EntryStats> counts) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    counts[i].rows_scored += part[i].rows_scored;
    counts[i].rows_read += part[i].rows_read;
    counts[i].codes_scanned += part[i].codes_scanned;
    counts[i].hops += part[i].hops;
    counts[i].seconds += part[i].seconds;
    counts[i].strategy = std::max(counts[i].strategy, part[i].strategy);
    if (*part[i].codes) counts[i].codes = part[i].codes;
    counts[i].rows_are_coded = part[i].rows_are_coded;
    counts[i].walk_ns = part[i].walk_ns;
    counts[i].scan_ns = part[i].scan_ns;
    counts[i].two_hop_ns = part[i].two_hop_ns;
    counts[i].costs_are_measured = part[i].costs_are_measured;
  }
}

/// Where the parts of a batch begin, and where the last one ends. A part is a share of what is left, so that the last ones are small: threads
/// that finish at different times wait for no more than one of these.
std::vector<std::size_t> part_starts(std::size_t n_queries, std::size_t n_parts, std::size_t part_min, std::size_t part_max) {
  std::vector<std::size_t> starts{0};
  while (starts.back() < n_queries) {
    const std::size_t left = n_queries - starts.back();
    starts.push_back(starts.back() + std::min(left, std::clamp(left / n_parts, part_min, part_max)));
  }
  return starts;
}

/// Parts are handed to threads one by one, so that a slow query holds up nobody. Only the calling thread asks `cancel`, which may need the
/// interpreter; the others stop once it has.
void search_parts(const SearchJob& job, std::span<const std::size_t> starts, unsigned threads, std::span<EntryStats> counts, const Cancel& cancel) {
  const std::size_t n_parts = starts.size() - 1;
  std::vector<std::vector<EntryStats>> of_part(n_parts, std::vector<EntryStats>(counts.begin(), counts.end()));
  Cancel stop;
  parallel_for(threads, n_parts, [&](std::size_t part, std::size_t worker) {
    try {
      search_part(job, starts[part], starts[part + 1], of_part[part], worker ? stop : cancel);
    } catch (...) {
      if (worker && stop.cancelled()) return;  // the thread that stopped it tells why
      stop.cancel();
      throw;
    }
  });
  for (const auto& part : of_part) add_counts(part, counts);
}

}  // namespace

SearchOutcome Snapshot::search(const SearchRequest& request, std::span<const std::uint8_t> queries, std::size_t n_queries, const Matches* matches,
                               const Cancel& cancel) const {
  const ColumnSpec& column = request.column;
  expect_column(column);
  cancel.check();
  SearchOutcome outcome;
  std::vector<EntryTask> tasks;
  tasks.reserve(entries_.size());
  std::uint64_t all_candidates = 0;
  for (std::size_t position = 0; position < entries_.size(); ++position) {
    tasks.push_back(entry_task(*this, position, column.slot, matches));
    const EntryTask& task = tasks.back();
    all_candidates += task.candidates;
    outcome.stats.push_back({task.entry->rows->key(), task.entry->rows->size(), task.candidates, Strategy::none});
  }
  const Dtype query_dtype = column.dtype == Dtype::float16 ? Dtype::float32 : column.dtype;
  outcome.hits = HitLists(n_queries, std::min<std::uint64_t>(request.k, all_candidates), request.with_ids);
  const SearchJob job{*this, request, tasks, all_candidates, queries, row_bytes(query_dtype, column.dim), outcome.hits};
  const unsigned threads = std::max(1u, request.threads);
  const bool by_lists = shares_lists(tasks, column.slot);
  std::vector<std::size_t> starts;
  if (by_lists) {
    const std::size_t even = std::clamp<std::size_t>(n_queries / (threads * kListsPartsPerThread), kListsPartMin, kListsPartMax);
    starts = part_starts(n_queries, 1, even, even);
  } else {
    starts = part_starts(n_queries, threads == 1 ? 1 : threads * kPartsPerThread, kPartMin, kPartMax);
  }
  if (starts.size() <= 2) search_part(job, 0, n_queries, outcome.stats, cancel);
  else search_parts(job, starts, threads, outcome.stats, cancel);
  return outcome;
}

}  // namespace vicino
