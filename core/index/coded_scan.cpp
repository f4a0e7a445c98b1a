#include "index/coded_scan.h"

#include <algorithm>
#include <array>
#include <bit>

#include "index/smallest_bound.h"

namespace vicino {

namespace {

// A scan keeps so many times k nodes, and so many more, for rescoring: codes of 4 bits place the nearest ten of a hundred thousand within
// the nearest fifty (measured recall 1.000).
constexpr std::size_t kKept = 3, kSlack = 20;
// Nodes compared with the bound at once, and scored between two looks at the clock.
constexpr std::size_t kBatch = 64, kPerCheck = 8192;
static_assert(kBatch % kCodeColumnRows == 0);  // packed codes are scored in whole groups
// Nodes scored in one call, and how far ahead of it codes are asked for.
constexpr std::size_t kGroup = 16, kAhead = 48;
// Keys written down before the nearest are parted from the others, times those that are kept.
constexpr std::size_t kRoom = 3;
constexpr std::uint32_t kWordsPerCheck = 1024;

}  // namespace

CodedScan::CodedScan(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::uint64_t first_row,
                     TopK& nearest, SearchStats& stats, const Cancel& cancel, const Rescoring& rescoring)
    : graph_(graph), allowed_(allowed), k_(nearest.k()), stats_(stats), cancel_(cancel), rescoring_(rescoring), memory_(WalkMemory::of_thread()),
      scorer_(graph, query, memory_), hits_(graph, query, block, allowed, first_row, nearest, stats, cancel, rescoring) {}

void CodedScan::run(std::size_t candidates, std::span<const std::uint32_t> nodes, const PackedCodes* packed) {
  if (nodes.empty()) nodes = allowed_nodes();
  kept_ = std::max<std::size_t>(1, std::min(candidates, std::max(kKept * k_ + kSlack, rescoring_.kept(k_))));
  std::span<const WalkKey> nearest = scan(nodes, packed);
  if (is_undecided(nearest, nodes.size())) {
    // Which of the crowd were kept was chance. Now all are that may be among the nearest, should each estimate be off as far as it may.
    kept_ = nodes.size();
    bound_ = walk_distance(nearest[k_ - 1]) + 2 * kRescoredErrors * scorer_.largest_error();
    nearest = scan(nodes, packed);
  }
  hits_.rescore(nearest, scorer_);
  hits_.offer_near_copies(nearest);
}

/// The nearest by their codes, as many as are kept of those within the bound, in order.
std::span<const WalkKey> CodedScan::scan(std::span<const std::uint32_t> nodes, const PackedCodes* packed) {
  auto& keys = memory_.keys;
  if (const std::size_t room = std::min(kRoom * kept_, nodes.size()) + kBatch + kKeySlack; keys.size() < room) keys.resize(room);
  if (memory_.distances.size() < kBatch) memory_.distances.resize(kBatch);
  found_ = 0;
  if (!packed)
    for (const std::uint32_t node : nodes.first(std::min(kAhead, nodes.size()))) scorer_.prefetch(node);
  for (std::size_t start = 0; start < nodes.size(); start += kBatch) {
    if (start % kPerCheck == 0) cancel_.check();
    const std::size_t count = std::min(kBatch, nodes.size() - start);
    if (packed) scorer_.score_packed(*packed, start, count, nodes.size(), memory_.distances.data());
    else score(nodes, start, count);
    collect(nodes.subspan(start, count));
  }
  stats_.rows_scored += nodes.size();
  if (found_ > 2 * kept_) keep_nearest();  // else sorting all is as quick
  kernels().sort_keys(keys.data(), found_);
  return std::span(keys).first(std::min(found_, kept_));
}

/// Whether codes cannot tell those that were kept apart, as in the plain walk, and perhaps not from the others either.
bool CodedScan::is_undecided(std::span<const WalkKey> nearest, std::size_t n_nodes) const {
  if (rescoring_.by != Rescoring::By::bound || nearest.size() <= k_ || nearest.size() == n_nodes) return false;
  const float spread = walk_distance(nearest.back()) - walk_distance(nearest.front());
  return spread < scorer_.largest_error() && spread < scorer_.error_of(walk_node(nearest.front()));
}

/// Scores `count` nodes from `start` on. Where they are all there are, codes are read as one stream; else they lie all over the graph's.
void CodedScan::score(std::span<const std::uint32_t> nodes, std::size_t start, std::size_t count) {
  if (nodes[start + count - 1] - nodes[start] == count - 1) return scorer_.score_run(nodes[start], count, memory_.distances.data());
  for (std::size_t at = start; at < start + count; at += kGroup) {
    for (std::size_t next = at + kAhead; next < std::min(at + kAhead + kGroup, nodes.size()); ++next) scorer_.prefetch(nodes[next]);
    scorer_.score(nodes.subspan(at, std::min(kGroup, start + count - at)), memory_.distances.data() + (at - start));
  }
}

/// Writes down those of a batch, whose distances lie in the memory, that may be among the nearest.
void CodedScan::collect(std::span<const std::uint32_t> nodes) {
  found_ += kernels().collect_keys(memory_.distances.data(), nodes.data(), nodes.size(), bound_, memory_.keys.data() + found_);
  if (found_ > kRoom * kept_) keep_nearest();
}

void CodedScan::keep_nearest() {
  const SmallestKeys nearest = leave_smallest(std::span(memory_.keys).first(found_), kept_);
  found_ = nearest.count;
  bound_ = walk_distance(nearest.bound);
}

/// Those that stand for allowed rows, each once, ascending.
std::span<const std::uint32_t> CodedScan::allowed_nodes() {
  auto& nodes = memory_.survivors;
  nodes.clear();
  if (!allowed_) {
    for (std::uint32_t node = 0; node < graph_.n_nodes(); ++node) nodes.push_back(node);
    return nodes;
  }
  memory_.met.reset(graph_.n_nodes());
  for (std::uint32_t word = 0; word < (graph_.n_rows() + 63) / 64; ++word) {
    if (word % kWordsPerCheck == 0) cancel_.check();
    for (std::uint64_t bits = allowed_[word]; bits; bits &= bits - 1) {
      const std::uint32_t node = graph_.node_of(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
      if (node == Graph::kNone || (graph_.stands_for_several(node) && !memory_.met.insert(node))) continue;
      nodes.push_back(node);
    }
  }
  std::ranges::sort(nodes);
  return nodes;
}

void Graph::scan(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t candidates, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row, const Rescoring& rescoring,
                 std::span<const std::uint32_t> nodes, const PackedCodes* packed) const {
  check_block(block);
  if (!n_nodes_ || !codes_) throw InvalidArgument("a graph without codes is not scanned");
  CodedScan(*this, query, block, allowed, first_row, nearest, stats, cancel, rescoring).run(candidates, nodes, packed);
}

}  // namespace vicino
