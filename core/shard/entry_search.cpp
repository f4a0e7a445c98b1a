#include "shard/entry_search.h"

#include <algorithm>
#include <cmath>

#include "index/block_scan.h"
#include "index/hidden_node.h"
#include "index/scan.h"
#include "index/two_hop.h"
#include "index/usual_beam.h"

namespace vicino {

namespace {

constexpr double kCrossover = 25.0, kBeamPerShare = 9.0;
constexpr std::size_t kTwoHopBeam = 3;       // times the plain beam: among clusters far apart its matching rows are few near the query
constexpr double kSureTimes = 4.0;           // a scan, which finds everything, is preferred to it unless it takes more than so many times as long
constexpr SearchCosts kCostsByRows{1, 2, 16};  // without codes, in rows of a scan: walks come to rows in no order
constexpr double kPackedShare = 0.55;        // of what a scan costs, where codes lie side by side: 0.54 on one processor, 0.4 on another
constexpr double kWalkedTimes = 2;           // rows that a walk may score, times those it is expected to: few walks take more
constexpr std::uint64_t kWalkedMin = 2000;   // rows that any walk may score
constexpr double kProbedShare = 0.05;        // of the lists are scanned when nobody says and nobody measured
constexpr std::size_t kProbedMin = 8;
constexpr std::size_t kListsMin = 100;       // times k: of fewer rows a scan costs less than finding their lists
constexpr std::size_t kCodedScanMin = 8;     // times k: of fewer rows the exact scan costs no more than scoring codes and rescoring

void scan_task(const EntryTask& task, std::span<const PreparedQuery> queries, std::span<TopK> best, const Cancel& cancel) {
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

/// The same of a scan of codes.
void count_scan(const SearchStats& stats, EntryStats& entry) {
  count(stats, true, entry);
  entry.codes_scanned += stats.rows_scored - stats.rescored;
}

void count_rows(std::uint64_t rows, EntryStats& entry) {
  entry.rows_scored += rows;
  entry.rows_read += rows;
}

Rescoring rescoring_of(const SearchRequest& request) {
  if (request.oversampling < 0) return {};
  if (request.oversampling == 0) return {Rescoring::By::estimates, 0};
  return {Rescoring::By::count, static_cast<std::size_t>(std::ceil(request.oversampling * static_cast<float>(request.k)))};
}

/// Whether most rows have codes that take the place of an index.
bool has_block_codes(const EntryTask& task) {
  std::uint64_t coded = 0, rows = 0;
  for (const Chunk& chunk : task.chunks) {
    coded += chunk.codes.rows;
    rows += chunk.block.rows;
  }
  return 2 * coded > rows;
}

void scan_blocks(const EntryTask& task, std::span<const PreparedQuery> queries, std::span<TopK> best, EntryStats& entry, const Cancel& cancel) {
  BlockScan scan(task.chunks, task.allowed ? task.allowed->words() : nullptr, static_cast<std::uint64_t>(locator(task.position, 0)));
  SearchStats stats;
  for (std::size_t i = 0; i < queries.size(); ++i) scan.search(queries[i], best[i], stats, cancel);
  count_scan(stats, entry);
}

/// Beam of a walk over an entry that holds this share of all candidates; usual: what its graph needs for the nearest ten.
std::size_t default_beam(std::size_t usual, std::size_t k, double share) {
  const double times = static_cast<double>(std::max(kBeamMin, usual)) / kBeamMin;
  const auto whole = times * static_cast<double>(std::max(kBeamMin, k + k / 2));
  return std::max(k, static_cast<std::size_t>(whole * std::cbrt(share)));
}

/// The row of this entry that a query holds out, Graph::kNone when it holds out none of them.
std::uint32_t held_out_row(const EntryTask& task, const SearchRequest& request, std::size_t query) {
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

/// One entry's search for all queries: how it is done is decided once, from the number of candidates.
class EntrySearch {
 public:
  EntrySearch(const EntryTask& task, const SearchRequest& request, std::uint64_t all_candidates, std::span<const PreparedQuery> queries,
              std::size_t first_query, std::span<TopK> best, EntryStats& stats, const Cancel& cancel)
      : task_(task), request_(request), all_candidates_(all_candidates), queries_(queries), first_query_(first_query), best_(best), stats_(stats),
        cancel_(cancel) {
    index_ = task.entry->rows->vector_index(request.column.slot);
    if (!index_ || request.exact) return;
    graph_ = index_->graph();
    layers_ = index_->layers();
    // Codes alone, or so many rows by number, are what the graph is read for.
    if (rescoring_.by == Rescoring::By::bound) pages_ = index_->pages();
    lists_ = index_->lists();
    codes_ = index_->codes();
  }

  void run() {
    estimate_costs();
    choose();
    if (stats_.strategy != Strategy::scan) stats_.codes = codes_in_use();
    stats_.rows_are_coded = task_.entry->rows->is_coded(request_.column.slot);
    if (!index_ && !request_.exact) task_.entry->rows->code_rows(request_.column.slot, stats_.rows_read);
  }

 private:
  /// The finest codes of the index.
  const char* codes_in_use() const {
    const auto name = [](CodeLevel level) { return level == CodeLevel::bits1 ? "1bit" : level == CodeLevel::bits4 ? "4bit" : "8bit"; };
    if (codes_) return name(codes_->finest());
    if (graph_) return graph_->has_codes() ? name(graph_->codes()->has_fine() ? CodeLevel::bits8 : CodeLevel::bits4) : "";
    if (!lists_) return name(CodeLevel::bits1);  // the blocks of a head
    return lists_->kind() == IvfKind::flat ? "" : lists_->kind() == IvfKind::coded ? "4bit" : "pq";
  }

  double scan_ns(const SearchCosts& costs) const { return costs.scan_ns(task_.candidates) * (task_.is_packed ? kPackedShare : 1); }

  void estimate_costs() {
    if (!graph_ || !graph_->has_codes() || !task_.allowed || !task_.candidates) return;
    costs_ = index_->costs();
    stats_.walk_ns = costs_.walk_ns(graph_->n_entries(), static_cast<double>(walk_beam()));
    stats_.scan_ns = scan_ns(costs_);
    stats_.two_hop_ns = costs_.two_hop_ns(static_cast<double>(kTwoHopBeam * plain_beam()));
    stats_.costs_are_measured = costs_.is_measured;
  }

  void choose() {
    if (prefers_walk()) {
      stats_.strategy = pages_ ? Strategy::walk_pages : Strategy::walk;
      if (task_.may_pack && !task_.is_packed && kPackedShare * stats_.scan_ns < stats_.walk_ns) task_.matched->count_walks(queries_.size());
      for (std::size_t i = 0; i < queries_.size(); ++i)
        if (!walk(i)) scan_instead(i);
    } else if (lists_ && prefers_lists()) {
      stats_.strategy = Strategy::lists;
      probe();
    } else if (codes_ && task_.candidates > kCodedScanMin * request_.k) {
      stats_.strategy = Strategy::scan_codes;
      for (std::size_t i = 0; i < queries_.size(); ++i) scan_flat_codes(i);
    } else if (graph_ && graph_->has_codes() && task_.candidates > kCodedScanMin * request_.k) {
      stats_.strategy = Strategy::scan_codes;
      for (std::size_t i = 0; i < queries_.size(); ++i) scan_codes(i);
    } else if (!request_.exact && task_.candidates > kCodedScanMin * request_.k && has_block_codes(task_)) {
      stats_.strategy = Strategy::scan_codes;
      scan_blocks(task_, queries_, best_, stats_, cancel_);
    } else if (graph_ && task_.matched && task_.candidates <= kCodedScanMin * request_.k) {
      stats_.strategy = Strategy::scan;
      scan_few();
    } else {
      stats_.strategy = Strategy::scan;
      scan_task(task_, queries_, best_, cancel_);
      count_rows(std::uint64_t{task_.candidates} * queries_.size(), stats_);
    }
  }

  bool prefers_walk() const {
    if (!graph_) return false;
    if (task_.allowed && graph_->has_codes()) return stats_.walk_ns < stats_.scan_ns;
    const double n = task_.entry->rows->size();
    const std::size_t ef = request_.ef ? request_.ef : graph_->usual_beam();
    const double wanted = static_cast<double>(std::max(request_.k, ef)) / 10.0;  // the constants were measured at k = 10
    return task_.candidates > kCrossover * std::sqrt(n) * std::max(1.0, wanted / 6.4);
  }

  std::size_t plain_beam() const {
    if (request_.ef) return request_.ef;
    return default_beam(graph_->usual_beam(), request_.k, static_cast<double>(task_.candidates) / static_cast<double>(all_candidates_));
  }
  /// Of what a walk passes only a share matches.
  std::size_t walk_beam() const { return std::max(plain_beam(), task_.allowed ? static_cast<std::size_t>(kBeamPerShare / share()) : 0); }
  double share() const { return static_cast<double>(task_.candidates) / task_.entry->rows->size(); }
  const std::uint64_t* allowed() const { return task_.allowed ? task_.allowed->words() : nullptr; }

  /// Walks the graph: over all nodes, or over matching ones where the filter turns out to be opposed to the query. True when it found as
  /// many rows as there are to find; else nothing was offered.
  bool walk(std::size_t i) {
    const std::size_t beam = plain_beam(), ef = walk_beam();
    const auto first = static_cast<std::uint64_t>(locator(task_.position, 0));
    const std::uint32_t held_out = held_out_row(task_, request_, first_query_ + i);
    const HiddenNode hidden(hidden_node(*graph_, held_out));
    const VectorBlock& block = task_.chunks[0].block;
    TopK found(request_.k);
    SearchStats stats;
    const WalkLimits limits = this->limits();
    WalkEnd end = pages_ ? pages_->search(*graph_, queries_[i], block, allowed(), ef, found, stats, cancel_, first, limits)
                         : graph_->search(queries_[i], block, allowed(), ef, found, stats, cancel_, first, limits, layers_, rescoring_);
    if (end == WalkEnd::opposed && prefers_two_hop()) {
      stats_.strategy = Strategy::two_hop;
      search_two_hop(*graph_, queries_[i], block, allowed(), task_.candidates, kTwoHopBeam * beam, found, stats, cancel_, first, rescoring_, limits.nodes);
      end = WalkEnd::finished;
    }
    count(stats, graph_->has_codes(), stats_);
    if (end != WalkEnd::finished) return false;
    const auto hits = std::move(found).take_sorted();
    if (hits.size() + (held_out != Graph::kNone) < std::min<std::size_t>(request_.k, task_.candidates)) return false;
    for (const Hit& hit : hits) best_[i].offer(hit);
    return true;
  }

  /// Under a filter that is opposed to the query: a scan is sure to find what there is, a walk over matching rows is not.
  bool prefers_two_hop() const {
    const SearchCosts& costs = graph_->has_codes() ? costs_ : kCostsByRows;
    return kSureTimes * costs.two_hop_ns(static_cast<double>(kTwoHopBeam * plain_beam())) < scan_ns(costs);
  }

  /// Under a filter a walk is watched. By codes it may cost what the scan costs that would take its place, and more only where walks of its beam
  /// usually do.
  WalkLimits limits() const {
    WalkLimits limits;
    if (!task_.allowed) return limits;
    limits.nodes = task_.matched->node_bits(*task_.allowed, *graph_);
    limits.share = share();
    if (!graph_->has_codes()) return limits;
    const double usual = graph_->n_entries() + costs_.walked_rows(static_cast<double>(walk_beam()));
    const double as_scan = stats_.scan_ns / costs_.walked_ns;
    limits.scored_max = std::max(kWalkedMin, static_cast<std::uint64_t>(std::max(kWalkedTimes * usual, as_scan)));
    return limits;
  }

  /// Lists score all candidates of those they scan; a scan of the candidates alone, in order, is cheaper unless they leave out most.
  bool prefers_lists() const { return task_.candidates > kListsMin * request_.k && 2 * nprobe() < lists_->nlist(); }

  /// The neighbors of a query lie in the more lists the fewer rows match.
  std::size_t nprobe() const {
    std::size_t wanted = request_.nprobe;
    const std::size_t usual =
        lists_->nprobe() ? lists_->nprobe() : std::max(kProbedMin, static_cast<std::size_t>(kProbedShare * lists_->nlist()));
    if (!wanted && request_.ef) wanted = usual * request_.ef / kBeamMin;  // what is usual of a graph is usual of lists
    if (!wanted) {
      const double share = std::cbrt(static_cast<double>(task_.candidates) / static_cast<double>(all_candidates_));
      const double depth = std::sqrt(static_cast<double>(std::max<std::size_t>(request_.k, 10)) / 10.0);
      wanted = static_cast<std::size_t>(static_cast<double>(usual) * share * depth);
    }
    return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(wanted) / std::sqrt(share())));
  }

  void probe() {
    SearchStats stats;
    const auto first = static_cast<std::uint64_t>(locator(task_.position, 0));
    const std::size_t rescored = rescoring_.by == Rescoring::By::bound ? 0 : rescoring_.kept(request_.k);
    const IvfEffort effort{nprobe(), rescored, rescoring_.by == Rescoring::By::estimates};
    lists_->search_batch(queries_, task_.chunks[0].block, allowed(), effort, best_, stats, cancel_, first);
    count(stats, lists_->kind() != IvfKind::flat, stats_);
  }

  void scan_flat_codes(std::size_t i) {
    SearchStats stats;
    const auto first = static_cast<std::uint64_t>(locator(task_.position, 0));
    codes_->search(queries_[i], task_.chunks[0].block, allowed(), rescoring_, best_[i], stats, cancel_, first);
    count_scan(stats, stats_);
  }

  /// Scores the rows that match by their codes and the nearest of them exactly.
  void scan_codes(std::size_t i) {
    SearchStats stats;
    const auto nodes = task_.matched ? task_.matched->nodes(*task_.allowed, *graph_) : std::span<const std::uint32_t>{};
    const auto first = static_cast<std::uint64_t>(locator(task_.position, 0));
    const PackedCodes* packed = task_.may_pack ? task_.matched->packed(*graph_) : nullptr;
    graph_->scan(queries_[i], task_.chunks[0].block, allowed(), task_.candidates, best_[i], stats, cancel_, first, rescoring_, nodes, packed);
    count_scan(stats, stats_);
  }

  /// A handful of rows of many: looking for their bits would take longer than scoring them.
  void scan_few() {
    const auto rows = task_.matched->rows(*task_.allowed);
    std::vector<float> distances(rows.size());
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      cancel_.check();
      queries_[i].distances_at(task_.chunks[0].block, rows, distances.data());
      for (std::size_t at = 0; at < rows.size(); ++at) best_[i].offer({distances[at], static_cast<std::uint64_t>(locator(task_.position, rows[at]))});
    }
    count_rows(std::uint64_t{rows.size()} * queries_.size(), stats_);
  }

  /// The rows that match are scanned: the filter is opposed to the query, or the walk starved under it, and `limit` is honoured, or it cost more
  /// than the scan will.
  void scan_instead(std::size_t i) {
    stats_.strategy = Strategy::walk_then_scan;
    if (graph_->has_codes()) {
      scan_codes(i);
    } else {
      scan_task(task_, queries_.subspan(i, 1), best_.subspan(i, 1), cancel_);
      count_rows(task_.candidates, stats_);
    }
  }

  const EntryTask& task_;
  const SearchRequest& request_;
  std::uint64_t all_candidates_;
  std::span<const PreparedQuery> queries_;
  std::size_t first_query_;  // number in the request of the first of them
  std::span<TopK> best_;
  EntryStats& stats_;
  const Cancel& cancel_;
  const VectorIndex* index_ = nullptr;
  const Graph* graph_ = nullptr;
  SearchCosts costs_;  // under a filter, of a graph with codes
  const UpperLayers* layers_ = nullptr;
  const PageGraph* pages_ = nullptr;  // of graph_: to be walked instead
  const Ivf* lists_ = nullptr;
  const FlatCodes* codes_ = nullptr;
  Rescoring rescoring_ = rescoring_of(request_);
};

}  // namespace

EntryTask entry_task(const Snapshot& snapshot, std::size_t position, std::uint32_t slot, const Matches* matches) {
  const Entry& entry = snapshot.entries()[position];
  const std::uint32_t matching = matches ? matches->counts[position] : entry.n_live;
  EntryTask task{&entry, position, snapshot.allowed(position, matches), matching, entry.rows->coded_chunks(slot), nullptr, nullptr};
  if (task.chunks.empty()) task.candidates = 0;
  else if (const Bitmap* presence = entry.rows->presence(slot)) {
    auto both = std::make_unique<Bitmap>(*presence);
    if (task.allowed) *both &= *task.allowed;
    task.candidates = static_cast<std::uint32_t>(both->count());
    task.own = std::move(both);
    task.allowed = task.own.get();
  }
  const VectorIndex* index = entry.rows->vector_index(slot);
  if (!task.allowed || !task.candidates || !index || !index->graph()) return task;
  MatchForms& forms = matches ? *matches->forms : *entry.forms;
  task.matched = forms.of(entry.rows, slot);
  task.may_pack = forms.are_kept() && index->graph()->has_codes() && !index->pages();  // one that is walked from disk is to take no memory
  task.is_packed = task.may_pack && task.matched->is_packed(*task.allowed, *index->graph());
  return task;
}

void search_entry(const EntryTask& task, const SearchRequest& request, std::uint64_t all_candidates, std::span<const PreparedQuery> queries,
                  std::size_t first_query, std::span<TopK> best, EntryStats& stats, const Cancel& cancel) {
  EntrySearch(task, request, all_candidates, queries, first_query, best, stats, cancel).run();
}

}  // namespace vicino
