#include "sparse/maxscore.h"

#include <algorithm>
#include <ranges>

#include "kernels/dispatch.h"
#include "sparse/list_walk.h"

namespace vicino {

namespace {

/// The first window is small: it finds a limit before much has been added up.
constexpr std::uint32_t kFirstWindow = 1u << 11;
/// Adding up so many postings costs what looking up one row does: a list is looked up only where there are fewer rows to look up.
constexpr double kPostingsPerLookUp = 64;

/// The lists of a query in one entry, by what they can be worth, the least first, in units of which no sum has more than 16 bits.
class RoundedWalks {
 public:
  RoundedWalks(std::span<const FlatList> lists, const LengthNorm* norm, double scale) {
    walks_.reserve(lists.size());
    for (const FlatList& list : lists) walks_.emplace_back(list, norm, scale);
    for (ListWalk& walk : walks_) {
      order_.push_back(&walk);
      all_ += walk.bound();
    }
    std::ranges::stable_sort(order_, {}, [](const ListWalk* walk) { return walk->bound(); });
  }

  /// What all of them can be worth together, and all but one.
  std::uint64_t bound() const { return all_; }
  std::uint32_t others(const ListWalk* list) const { return static_cast<std::uint32_t>(all_ - list->bound()); }

  /// Parts the lists into those that are added up and those left out, which cannot lift a row to the limit by themselves: where there are few rows to
  /// look up in a long list, that takes less.
  void part(std::uint32_t limit, double candidates) {
    added_.clear();
    looked_up_.clear();
    left_out_ = 0;
    std::uint64_t before = 0;
    for (ListWalk* list : order_) {
      before += list->bound();
      if (before < limit && list->df() > kPostingsPerLookUp * candidates) {
        looked_up_.push_back(list);
        left_out_ += list->bound();
      } else {
        added_.push_back(list);
      }
    }
  }
  std::span<ListWalk* const> added() const { return added_; }
  std::span<ListWalk* const> looked_up() const { return looked_up_; }
  /// What those left out can be worth.
  std::uint64_t left_out() const { return left_out_; }

 private:
  std::vector<ListWalk> walks_;
  std::vector<ListWalk*> order_, added_, looked_up_;
  std::uint64_t all_ = 0, left_out_ = 0;
};

/// The exact scores of rows that ascend.
void score(std::span<const FlatList> lists, const LengthNorm* norm, double scale, std::vector<Candidate>& candidates, SparseStats& stats) {
  for (Candidate& candidate : candidates) candidate.score = 0;
  for (const FlatList& list : lists) ListWalk(list, norm, scale).look_up(candidates, 0, 0, stats);
}

}  // namespace

void BestRows::offer(std::uint32_t score, std::uint64_t row) {
  const Kept kept{score, row};
  if (heap_.size() == k_) {
    if (!(kept < heap_.front())) return;
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
  }
  heap_.push_back(kept);
  std::push_heap(heap_.begin(), heap_.end());
}

std::vector<SparseHit> BestRows::take(double unit) && {
  std::sort_heap(heap_.begin(), heap_.end());
  std::vector<SparseHit> hits;
  for (const Kept& kept : heap_) hits.push_back({kept.row, static_cast<float>(kept.score * unit)});
  // Sums that differ may be one float.
  std::ranges::sort(hits, [](const SparseHit& a, const SparseHit& b) { return a.score != b.score ? a.score > b.score : a.row < b.row; });
  return hits;
}

void offer_best(const SparseEntry& entry, std::span<const FlatList> lists, const LengthNorm* norm, double scale, BestRows& best, SparseStats& stats,
                const Cancel& cancel) {
  const auto n = static_cast<double>(lists.size());
  double most = 0;
  for (const FlatList& list : lists) most += static_cast<double>(list.weight) * list.bound;
  // A list's bound in these units is at most two more than it is, and a little for rounding.
  const double units = (kLargestRoundedSum - 4 * n) / (most * 1.00001), ratio = units / scale;
  RoundedWalks walks(lists, norm, units);
  // A share is rounded by at most a half, or up to one. So a row among the best falls short of the k-th largest sum by less than two a list, and one
  // whose score is not below the threshold by less than one.
  Shortlist shortlist(best.k(), 2 * n, (best.threshold() - n) * ratio - n);
  WindowSums sums;
  std::vector<Candidate> candidates;
  double candidates_per_row = 0;  // of the window before
  std::uint32_t size = kFirstWindow;
  for (std::uint32_t first = 0, end = 0; first < entry.n_rows && walks.bound() >= shortlist.limit(); first = end, size = std::min(2 * size, WindowSums::kRows)) {
    cancel.check();
    end = first + std::min(size, entry.n_rows - first);
    const std::uint32_t limit = shortlist.limit();
    walks.part(limit, candidates_per_row * entry.n_rows);
    std::uint64_t left_out = walks.left_out();
    // The sum that a row must have without the lists left out; any at all makes it a hit.
    const std::uint32_t wanted = limit > left_out ? static_cast<std::uint32_t>(limit - left_out) : 1;
    candidates.clear();
    if (const auto added = walks.added(); added.size() == 1) {
      added[0]->collect(first, end, entry.allowed, walks.others(added[0]), limit, wanted, stats, candidates);
    } else {
      for (ListWalk* list : added | std::views::reverse) list->add(first, end, walks.others(list), limit, stats, sums.begin());
      sums.take(first, 0, end - first, wanted, entry.allowed, candidates);
    }
    candidates_per_row = static_cast<double>(candidates.size()) / (end - first);
    for (ListWalk* list : walks.looked_up() | std::views::reverse) {
      left_out -= list->bound();
      list->look_up(candidates, left_out, limit, stats);
    }
    for (const Candidate& candidate : candidates) shortlist.offer(candidate);
    shortlist.raise_limit();
  }
  candidates = std::move(shortlist).take();
  stats.candidates += candidates.size();
  score(lists, norm, scale, candidates, stats);
  for (const Candidate& candidate : candidates) best.offer(candidate.score, entry.first_row + candidate.row);
}

}  // namespace vicino
