#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "index/graph.h"
#include "index/graph_layout.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kHopsPerCheck = 64;

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("graph: " + message + "; rebuild the graph of this segment"); }

/// Which rows a walk has met. The bits stay allocated for the thread's next walk; only the words touched are cleared.
class VisitedRows {
 public:
  explicit VisitedRows(std::size_t n_rows) {
    if (words().size() < (n_rows + 63) / 64) words().resize((n_rows + 63) / 64);
  }
  ~VisitedRows() {
    for (const std::uint32_t word : touched()) words()[word] = 0;
    touched().clear();
  }
  VisitedRows(const VisitedRows&) = delete;

  /// False when the row was already there.
  bool insert(std::uint32_t row) {
    std::uint64_t& word = words()[row >> 6];
    const std::uint64_t bit = std::uint64_t{1} << (row & 63);
    if (word & bit) return false;
    if (!word) touched().push_back(row >> 6);
    word |= bit;
    return true;
  }

 private:
  static std::vector<std::uint64_t>& words() {
    static thread_local std::vector<std::uint64_t> pool;
    return pool;
  }
  static std::vector<std::uint32_t>& touched() {
    static thread_local std::vector<std::uint32_t> pool;
    return pool;
  }
};

bool is_set(const std::uint64_t* bits, std::uint32_t row) { return bits[row >> 6] >> (row & 63) & 1; }

}  // namespace

Graph Graph::open(Blob buffer, std::uint32_t n_rows) {
  if (buffer.size() < sizeof(GraphHeader))
    fail("has " + std::to_string(buffer.size()) + " bytes, less than its header of " + std::to_string(sizeof(GraphHeader)));
  if (reinterpret_cast<std::uintptr_t>(buffer.data()) % alignof(std::uint64_t)) fail("is not aligned to 8 bytes");
  GraphHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (std::memcmp(header.magic, kGraphMagic, sizeof header.magic)) fail("does not begin with VICGRAPH");
  if (header.format > kGraphFormat)
    throw FormatError("graph: format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kGraphFormat) +
                      "; upgrade vicino");
  if (header.format == 0) fail("format 0 does not exist");
  if (header.rows != n_rows) fail("is over " + std::to_string(header.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (header.links < 2 || header.links > kGraphLinksMax) fail(std::to_string(header.links) + " links per node, expected 2 to 64");
  if (header.nodes > header.rows || header.entries > header.nodes || (header.nodes && !header.entries) || header.groups > header.nodes ||
      header.duplicates > header.rows - header.nodes || header.duplicates < header.groups)
    fail("counts of rows, nodes, entries and duplicates contradict each other");
  const GraphLayout layout(header);
  if (header.size != layout.size || buffer.size() != layout.size)
    fail("has " + std::to_string(buffer.size()) + " bytes, its counts make " + std::to_string(layout.size));

  Graph graph;
  const auto part = [&](std::size_t offset, std::size_t count) {
    return std::span(reinterpret_cast<const std::uint32_t*>(buffer.data() + offset), count);
  };
  graph.n_rows_ = header.rows;
  graph.n_nodes_ = header.nodes;
  graph.n_links_ = header.links;
  graph.node_of_row_ = part(layout.node_of_row, header.rows);
  graph.links_ = part(layout.links, std::size_t{header.nodes} * header.links);
  graph.entries_ = part(layout.entries, header.entries);
  graph.group_rows_ = part(layout.group_rows, header.groups);
  graph.group_starts_ = part(layout.group_starts, header.groups ? std::size_t{header.groups} + 1 : 0);
  graph.duplicates_ = part(layout.duplicates, header.duplicates);
  graph.near_starts_ = part(layout.near_starts, header.format >= 2 ? header.groups : 0);
  if (header.groups)
    graph.has_group_ = {reinterpret_cast<const std::uint64_t*>(buffer.data() + layout.has_group), (std::size_t{header.rows} + 63) / 64};

  for (const std::uint32_t row : graph.entries_)
    if (row >= n_rows) fail("an entry is row " + std::to_string(row) + " of " + std::to_string(n_rows));
  for (std::size_t i = 0; i < header.groups; ++i) {
    if (graph.group_rows_[i] >= n_rows || (i && graph.group_rows_[i] <= graph.group_rows_[i - 1])) fail("groups of duplicates do not ascend");
    if (graph.group_starts_[i] >= graph.group_starts_[i + 1]) fail("a group of duplicates is empty");
  }
  if (header.groups && (graph.group_starts_.front() != 0 || graph.group_starts_.back() != header.duplicates))
    fail("groups do not cover the duplicates");
  for (std::size_t i = 0; i < graph.near_starts_.size(); ++i)
    if (graph.near_starts_[i] < graph.group_starts_[i] || graph.near_starts_[i] > graph.group_starts_[i + 1])
      fail("near copies begin outside of their group");
  for (const std::uint32_t row : graph.duplicates_)
    if (row >= n_rows) fail("a duplicate is row " + std::to_string(row) + " of " + std::to_string(n_rows));
  graph.buffer_ = std::move(buffer);
  return graph;
}

std::span<const std::uint32_t> Graph::links_of(std::uint32_t row) const {
  const std::uint32_t node = node_of_row_[row];
  if (node == kNone) return {};
  if (node >= n_nodes_) fail("row " + std::to_string(row) + " is node " + std::to_string(node) + " of " + std::to_string(n_nodes_));
  const auto slots = links_.subspan(static_cast<std::size_t>(node) * n_links_, n_links_);
  std::size_t used = 0;
  for (; used < slots.size() && slots[used] != kNone; ++used)
    if (slots[used] >= n_rows_) fail("row " + std::to_string(row) + " links to row " + std::to_string(slots[used]) + " of " + std::to_string(n_rows_));
  return slots.first(used);
}

/// Position of the row's group, or the number of groups if it has none.
std::size_t Graph::group_of(std::uint32_t row) const {
  if (has_group_.empty() || !is_set(has_group_.data(), row)) return group_rows_.size();
  const auto found = std::ranges::lower_bound(group_rows_, row);
  if (found == group_rows_.end() || *found != row) fail("row " + std::to_string(row) + " is marked as a group of duplicates but is none");
  return static_cast<std::size_t>(found - group_rows_.begin());
}

template <class Offer>
void Graph::offer_equal(std::uint32_t row, Offer&& offer) const {
  if (!offer(row)) return;
  const std::size_t group = group_of(row);
  if (group == group_rows_.size()) return;
  // They ascend at one distance: once one is too late to be kept, so are the others.
  const std::uint32_t end = near_starts_.empty() ? group_starts_[group + 1] : near_starts_[group];
  for (std::uint32_t i = group_starts_[group]; i < end; ++i)
    if (!offer(duplicates_[i])) return;
}

/// Scores the near copies of one node and offers those that are allowed. A few of them tell how far from the node's own distance theirs
/// lie: copies that would have to lie several times farther off to be kept are left alone.
class NearCopies {
 public:
  NearCopies(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::uint64_t first_row, TopK& nearest,
             SearchStats& stats, const Cancel& cancel)
      : query_(query), block_(block), allowed_(allowed), first_row_(first_row), nearest_(nearest), stats_(stats), cancel_(cancel) {}

  void visit(float node_distance, std::span<const std::uint32_t> copies) {
    if (copies.size() > 2 * kSampled && nearest_.full() && node_distance - kSpreads * spread(node_distance, copies) > nearest_.bound()) return;
    for (std::size_t start = 0; start < copies.size(); start += kAtOnce) {
      cancel_.check();
      const auto part = copies.subspan(start, std::min(kAtOnce, copies.size() - start));
      rows_.clear();
      for (const std::uint32_t row : part)
        if (!allowed_ || is_set(allowed_, row)) rows_.push_back(row);
      score();
      for (std::size_t i = 0; i < rows_.size(); ++i) nearest_.offer({distances_[i], first_row_ + rows_[i]});
    }
  }

 private:
  static constexpr std::size_t kSampled = 16, kAtOnce = 1024;
  static constexpr float kSpreads = 4;

  void score() {
    distances_.resize(rows_.size());
    query_.distances_at(block_, rows_, distances_.data());
    stats_.rows_scored += rows_.size();
  }
  /// Of a sample; the farthest of many lies a few times as far off.
  float spread(float node_distance, std::span<const std::uint32_t> copies) {
    rows_.clear();
    for (std::size_t i = 0; i < kSampled; ++i) rows_.push_back(copies[copies.size() * i / kSampled]);
    score();
    float most = 0;
    for (const float distance : distances_) most = std::max(most, std::fabs(distance - node_distance));
    return most;
  }

  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::uint64_t first_row_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::vector<std::uint32_t> rows_;
  std::vector<float> distances_;
};

void Graph::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef, TopK& nearest,
                   SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  if (block.rows != n_rows_)
    throw InvalidArgument("this graph is over " + std::to_string(n_rows_) + " rows, got a block of " + std::to_string(block.rows));
  if (!n_nodes_) return;
  cancel.check();

  const auto nearer_last = [](const Hit& a, const Hit& b) { return b < a; };  // makes the standard heaps give the nearest first
  TopK beam(std::min<std::size_t>(std::max<std::size_t>(ef, 1), n_nodes_));
  std::vector<Hit> frontier;
  VisitedRows visited(n_rows_);
  std::vector<std::uint32_t> fresh;
  std::vector<float> distances;

  const auto score_fresh = [&] {
    distances.resize(fresh.size());
    query.distances_at(block, fresh, distances.data());
    stats.rows_scored += fresh.size();
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      const float distance = distances[i];
      if (distance <= nearest.bound())
        offer_equal(fresh[i], [&](std::uint32_t row) {
          const Hit hit{distance, first_row + row};
          if (nearest.rejects(hit)) return false;
          if (!allowed || is_set(allowed, row)) nearest.offer(hit);
          return true;
        });
      const Hit hit{distance, fresh[i]};
      if (beam.rejects(hit)) continue;
      beam.offer(hit);
      frontier.push_back(hit);
      std::ranges::push_heap(frontier, nearer_last);
    }
  };
  const auto collect_fresh = [&](std::span<const std::uint32_t> rows) {
    fresh.clear();
    for (const std::uint32_t row : rows)
      if (visited.insert(row)) fresh.push_back(row);
  };

  collect_fresh(entries_);
  score_fresh();
  for (std::size_t hops = 1; !frontier.empty() && frontier.front().distance <= beam.bound(); ++hops) {
    if (hops % kHopsPerCheck == 0) cancel.check();
    std::ranges::pop_heap(frontier, nearer_last);
    const auto current = static_cast<std::uint32_t>(frontier.back().row);
    frontier.pop_back();
    ++stats.hops;
    collect_fresh(links_of(current));
    // The next node is likely the one that is nearest now: its links travel while these rows are scored.
    if (!frontier.empty())
      if (const std::uint32_t next = node_of_row_[frontier.front().row]; next < n_nodes_)
        for (std::size_t i = 0; i < n_links_; i += 16) __builtin_prefetch(&links_[static_cast<std::size_t>(next) * n_links_ + i]);
    score_fresh();
  }
  if (near_starts_.empty()) return;

  NearCopies copies(query, block, allowed, first_row, nearest, stats, cancel);
  for (const Hit& hit : std::move(beam).take_sorted())
    if (const std::size_t group = group_of(static_cast<std::uint32_t>(hit.row)); group < group_rows_.size())
      copies.visit(hit.distance, duplicates_.subspan(near_starts_[group], group_starts_[group + 1] - near_starts_[group]));
}

void Graph::verify() const {
  std::vector<std::uint32_t> row_of_node(n_nodes_, kNone);
  for (std::uint32_t row = 0; row < n_rows_; ++row) {
    const std::uint32_t node = node_of_row_[row];
    if (node == kNone) continue;
    if (node >= n_nodes_ || row_of_node[node] != kNone) fail("row " + std::to_string(row) + " is node " + std::to_string(node) + ", which is out of range or taken");
    row_of_node[node] = row;
  }
  if (std::ranges::find(row_of_node, kNone) != row_of_node.end()) fail("a node has no row");
  for (std::size_t i = 0; i < group_rows_.size(); ++i)
    if (!is_set(has_group_.data(), group_rows_[i]) || node_of_row_[group_rows_[i]] == kNone) fail("a group of duplicates is not marked as one");
  if (!n_nodes_) return;

  std::vector<bool> reached(n_rows_);
  std::vector<std::uint32_t> queue{entries_[0]};
  reached[entries_[0]] = true;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (node_of_row_[queue[i]] == kNone) fail("row " + std::to_string(queue[i]) + " is linked to but has no node");
    for (const std::uint32_t row : links_of(queue[i]))
      if (!reached[row]) {
        reached[row] = true;
        queue.push_back(row);
      }
  }
  if (queue.size() != n_nodes_)
    fail(std::to_string(n_nodes_ - queue.size()) + " of " + std::to_string(n_nodes_) + " nodes cannot be reached from the first entry");
}

}  // namespace vicino
