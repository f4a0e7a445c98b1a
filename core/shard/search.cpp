// Search over all entries of a snapshot: which entries are walked, which are scanned, and one top-k over both.
//
// Measured (docs/design/0001-spine.md): scanning m matching rows costs about m, walking the graph under a filter of share s about 1/s, so the
// two meet near m = 25 * sqrt(n); and a walk that filters at result insertion needs a beam of about 9/s to keep its recall.
//
// Neighbors of a query lie in all segments, so each of several walks may look less far than one walk over everything would. A beam of
// 64 * cbrt(share of the candidates) keeps recall@10 near that of one segment (vectors-debian, 100,000 rows: 0.976 over 3 segments, 0.983
// over 6, 0.985 over 12, 0.984 in one) with a fifth to a third less work than a beam of 64 in each.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "index/hidden_node.h"
#include "index/scan.h"
#include "shard/snapshot.h"

namespace vicino {

namespace {

constexpr std::size_t kDefaultEf = 64;
constexpr std::size_t kQueriesPerCheck = 1024;
constexpr double kCrossover = 25.0, kBeamPerShare = 9.0;
constexpr std::size_t kCodedScanMin = 8;  // times k: of fewer rows the exact scan costs no more than scoring codes and rescoring

/// One entry's part in one search call.
struct Task {
  const Entry* entry;
  std::size_t position;
  const Bitmap* allowed;              // null: all rows
  std::uint32_t candidates;           // rows that are live, match, and have the vector
  std::vector<Chunk> chunks;
  std::unique_ptr<const Bitmap> own;  // a bitmap made for this call
};

Task make_task(const Snapshot& snapshot, std::size_t position, std::uint32_t slot, const Matches* matches) {
  const Entry& entry = snapshot.entries()[position];
  const std::uint32_t matching = matches ? matches->counts[position] : entry.n_live;
  Task task{&entry, position, snapshot.allowed(position, matches), matching, entry.rows->chunks(slot), nullptr};
  if (task.chunks.empty()) task.candidates = 0;
  else if (const Bitmap* presence = entry.rows->presence(slot)) {
    auto both = std::make_unique<Bitmap>(*presence);
    if (task.allowed) *both &= *task.allowed;
    task.candidates = static_cast<std::uint32_t>(both->count());
    task.own = std::move(both);
    task.allowed = task.own.get();
  }
  return task;
}

void scan_task(const Task& task, std::span<const PreparedQuery> queries, std::span<TopK> best, const Cancel& cancel) {
  for (const Chunk& chunk : task.chunks) {
    const std::uint64_t* words = task.allowed ? task.allowed->words() + chunk.first_row / 64 : nullptr;
    const auto first = static_cast<std::uint64_t>(locator(task.position, chunk.first_row));
    if (queries.size() == 1) scan(queries[0], chunk.block, first, words, best[0], cancel);
    else scan_batch(queries, chunk.block, first, words, best, cancel);
  }
}

/// Adds what one search of a graph did to what is known of its entry. With codes only what they found is scored by rows.
void count(const SearchStats& stats, bool by_codes, EntryStats& entry) {
  entry.rows_scored += stats.rows_scored;
  entry.rows_read += by_codes ? stats.rescored : stats.rows_scored;
  entry.hops += stats.hops;
}

void count_rows(std::uint64_t rows, EntryStats& entry) {
  entry.rows_scored += rows;
  entry.rows_read += rows;
}

/// Scores the rows that match by their codes and the nearest of them exactly.
void scan_codes(const Task& task, const Graph& graph, const PreparedQuery& query, TopK& best, EntryStats& entry, const Cancel& cancel) {
  SearchStats stats;
  const auto first = static_cast<std::uint64_t>(locator(task.position, 0));
  graph.scan(query, task.chunks[0].block, task.allowed ? task.allowed->words() : nullptr, task.candidates, best, stats, cancel, first);
  count(stats, true, entry);
}

/// Beam of a walk over an entry that holds this share of all candidates.
std::size_t default_beam(std::size_t k, double share) {
  const auto whole = static_cast<double>(std::max(kDefaultEf, k + k / 2));
  return std::max(k, static_cast<std::size_t>(whole * std::cbrt(share)));
}

/// The row of this entry that a query holds out, Graph::kNone when it holds out none of them.
std::uint32_t held_out_row(const Task& task, const SearchRequest& request, std::size_t query) {
  if (request.held_out.empty()) return Graph::kNone;
  const Locator at = request.held_out[query];
  return at >= 0 && static_cast<std::size_t>(at >> 32) == task.position ? static_cast<std::uint32_t>(at) : Graph::kNone;
}

/// The node to keep a walk from. One that stands for several rows stays: the others are there whether the row is or not.
std::uint32_t hidden_node(const Graph& graph, std::uint32_t row) {
  if (row == Graph::kNone) return HiddenNode::kNone;
  const std::uint32_t node = graph.node_of(row);
  return node == Graph::kNone || graph.stands_for_several(node) ? HiddenNode::kNone : node;
}

/// Walks the graph; true when the walk found as many rows as there are to find.
bool walk_task(const Task& task, std::uint64_t all_candidates, const Graph& graph, const PreparedQuery& query, const SearchRequest& request,
               std::uint32_t held_out, TopK& best, EntryStats& entry, const Cancel& cancel) {
  const double share = static_cast<double>(task.candidates) / task.entry->rows->size();
  const std::size_t base = request.ef ? request.ef : default_beam(request.k, static_cast<double>(task.candidates) / static_cast<double>(all_candidates));
  const std::size_t ef = std::max(base, task.allowed ? static_cast<std::size_t>(kBeamPerShare / share) : 0);
  TopK found(request.k);
  SearchStats stats;
  const auto first = static_cast<std::uint64_t>(locator(task.position, 0));
  const HiddenNode hidden(hidden_node(graph, held_out));
  graph.search(query, task.chunks[0].block, task.allowed ? task.allowed->words() : nullptr, ef, found, stats, cancel, first);
  count(stats, graph.has_codes(), entry);
  const auto hits = std::move(found).take_sorted();
  for (const Hit& hit : hits) best.offer(hit);
  return hits.size() + (held_out != Graph::kNone) >= std::min<std::size_t>(request.k, task.candidates);
}

bool prefers_walk(const Task& task, const Graph* graph, const SearchRequest& request) {
  if (!graph || request.exact) return false;
  const double n = task.entry->rows->size();
  const double wanted = static_cast<double>(std::max(request.k, request.ef)) / 10.0;  // the constants were measured at k = 10
  return task.candidates > kCrossover * std::sqrt(n) * std::max(1.0, wanted / 6.4);
}

}  // namespace

SearchOutcome Snapshot::search(const SearchRequest& request, std::span<const std::uint8_t> queries, std::size_t n_queries, const Matches* matches,
                               const Cancel& cancel) const {
  const ColumnSpec& column = request.column;
  expect_column(column);
  const Dtype query_dtype = column.dtype == Dtype::float16 ? Dtype::float32 : column.dtype;
  const std::size_t width = row_bytes(query_dtype, column.dim);
  std::vector<PreparedQuery> prepared;
  prepared.reserve(n_queries);
  for (std::size_t i = 0; i < n_queries; ++i) {
    if (i % kQueriesPerCheck == 0) cancel.check();
    prepared.emplace_back(column.metric, column.dtype, column.dim, queries.data() + i * width);
  }
  std::vector<TopK> best(n_queries, TopK(request.k));

  SearchOutcome outcome;
  std::vector<Task> tasks;
  std::uint64_t all_candidates = 0;
  for (std::size_t position = 0; position < entries_.size(); ++position) {
    tasks.push_back(make_task(*this, position, column.slot, matches));
    all_candidates += tasks.back().candidates;
  }
  for (const Task& task : tasks) {
    const auto start = Cancel::Clock::now();
    const std::size_t position = task.position;
    EntryStats stats{task.entry->rows->key(), task.entry->rows->size(), task.candidates, Strategy::none, 0, 0};
    if (task.candidates) {
      const Graph* graph = task.entry->rows->walked_graph(column.slot);
      stats.strategy = Strategy::scan;
      if (prefers_walk(task, graph, request)) {
        stats.strategy = Strategy::walk;
        for (std::size_t i = 0; i < n_queries; ++i) {
          if (walk_task(task, all_candidates, *graph, prepared[i], request, held_out_row(task, request, i), best[i], stats, cancel)) continue;
          // The walk starved under the filter: the rows that match are scanned, so that `limit` is honoured. Hits already offered would
          // come a second time, so this entry starts again with the others' hits kept.
          stats.strategy = Strategy::walk_then_scan;
          TopK others(request.k);
          for (const Hit& hit : std::move(best[i]).take_sorted())
            if (static_cast<std::size_t>(hit.row >> 32) != position) others.offer(hit);
          best[i] = std::move(others);
          if (graph->has_codes()) {
            scan_codes(task, *graph, prepared[i], best[i], stats, cancel);
          } else {
            scan_task(task, {&prepared[i], 1}, {&best[i], 1}, cancel);
            count_rows(task.candidates, stats);
          }
        }
      } else if (graph && graph->has_codes() && !request.exact && task.candidates > kCodedScanMin * request.k) {
        stats.strategy = Strategy::scan_codes;
        for (std::size_t i = 0; i < n_queries; ++i) scan_codes(task, *graph, prepared[i], best[i], stats, cancel);
      } else {
        scan_task(task, prepared, best, cancel);
        count_rows(std::uint64_t{task.candidates} * n_queries, stats);
      }
    }
    stats.seconds = std::chrono::duration<double>(Cancel::Clock::now() - start).count();
    outcome.stats.push_back(stats);
  }
  for (TopK& top : best) {
    outcome.hits.push_back(std::move(top).take_sorted());
    for (Hit& hit : outcome.hits.back()) hit.distance = public_distance(column.metric, hit.distance);
  }
  return outcome;
}

}  // namespace vicino
