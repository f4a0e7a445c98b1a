#include "sparse/maxscore.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <ranges>
#include <utility>

#include "kernels/dispatch.h"

namespace vicino {

namespace {

// The sums of a window stay in the second-level cache. The first window is small: it finds a threshold before much has been added up.
constexpr std::uint32_t kWindow = 1u << 15, kFirstWindow = 1u << 11;
/// A window into which fewer postings than one in so many rows fall is not looked through from end to end: its rows are marked instead.
constexpr std::uint32_t kRowsPerMark = 16;
/// Adding up so many postings costs what looking up one row does: a list is looked up only where there are fewer rows to look up.
constexpr double kPostingsPerLookUp = 8;

struct Candidate {
  std::uint32_t row, score;
};

/// Where the walk through one list stands, and what its postings are worth.
class ListWalk {
 public:
  ListWalk(const FlatList& list, const LengthNorm* norm, double scale)
      : index_(*list.index), cursor_(list.index->postings(list.info)), weight_(static_cast<float>(list.weight * scale)), block_scale_(list.bound_scale),
        bound_(to_units(list.bound * weight_)), norm_(norm), df_(list.info.df) {
    if (!norm) return;
    share_ = {weight_, norm->k1 * (1 - norm->b), norm->k1 * norm->b / norm->average};
  }

  /// No posting is worth more.
  std::uint32_t bound() const { return bound_; }

  std::uint32_t df() const { return df_; }

  /// Calls visit(rows, shares, n) for the rows first … end - 1 that are allowed, some at a time. Blocks none of whose rows can reach the threshold, with
  /// `others` from other lists, are passed over.
  template <class Visit>
  void each(std::uint32_t first, std::uint32_t end, const Bitmap* allowed, std::uint32_t others, std::uint32_t threshold, SparseStats& stats, Visit&& visit) {
    for (std::uint32_t from = first; load(from, end, others, threshold, stats);) {
      const std::uint32_t stop = count_below(end);
      std::uint32_t kept_rows[kPostingsPerBlock], kept_payloads[kPostingsPerBlock], shares[kPostingsPerBlock];
      const std::uint32_t *rows = block_.rows + at_, *payloads = block_.tf + at_;
      std::uint32_t n = stop - at_;
      if (allowed) {
        n = keep_allowed(*allowed, n, kept_rows, kept_payloads);
        rows = kept_rows;
        payloads = kept_payloads;
      }
      compute_shares(rows, payloads, n, shares);
      visit(rows, shares, n);
      at_ = stop;
      if (at_ < block_.count) return;
      from = block_.rows[block_.count - 1] + 1;
    }
  }

  /// Adds the shares of the candidates' rows, which ascend, and keeps those candidates that may still reach the threshold with `others` from the
  /// lists that come after this one. What no posting of a block can lift so far is dropped without reading the block.
  void look_up(std::vector<Candidate>& candidates, std::uint64_t others, std::uint32_t threshold, SparseStats& stats) {
    const std::uint32_t wanted = threshold > others ? static_cast<std::uint32_t>(threshold - others) : 0;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < candidates.size();) {
      float bound;
      std::uint32_t last_row;
      const bool is_there = find_block(candidates[i].row, bound, last_row);
      if (!is_there) last_row = 0xffffffff;
      const std::uint32_t most = is_there ? block_units(bound) : 0, without = wanted > most ? wanted - most : 0;
      const std::size_t first = kept;
      for (; i < candidates.size() && candidates[i].row <= last_row; ++i) {
        candidates[kept] = candidates[i];
        kept += candidates[i].score >= without;
      }
      if (is_there && kept > first) kept = first + add_to(std::span(candidates).subspan(first, kept - first), wanted, stats);
    }
    candidates.resize(kept);
  }

 private:
  static std::uint32_t to_units(float value) { return static_cast<std::uint32_t>(std::ceil(static_cast<double>(value) * 1.000002)) + 1; }

  /// Most that a posting of a block is worth. The share of a word stays below 1 whatever its norm, and the scale may be infinite.
  std::uint32_t block_units(float bound) const { return to_units((norm_ ? std::min(1.0f, bound * block_scale_) : bound) * weight_); }

  std::uint32_t count_below(std::uint32_t end) const {
    if (block_.rows[block_.count - 1] < end) return block_.count;
    return static_cast<std::uint32_t>(std::lower_bound(block_.rows + at_, block_.rows + block_.count, end) - block_.rows);
  }

  /// A block with postings from `from` on and below `end` that may matter; false when there is none.
  bool load(std::uint32_t from, std::uint32_t end, std::uint32_t others, std::uint32_t threshold, SparseStats& stats) {
    if (at_ < block_.count && block_.rows[block_.count - 1] >= from) {
      at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows + at_, block_.rows + block_.count, from) - block_.rows);
      return block_.rows[at_] < end;
    }
    float bound;
    std::uint32_t last_row;
    while (cursor_->peek(from, bound, last_row)) {
      if (threshold > others && block_units(bound) < threshold - others) {
        if (last_row >= end - 1) return false;  // what lies beyond the window is looked at in its turn, with that window's threshold
        from = last_row + 1;
        continue;
      }
      return advance(from, stats) && block_.rows[at_] < end;
    }
    return false;
  }

  /// The block that holds a row, if the term is in it: how much its postings are worth, and its last row or one beyond.
  bool find_block(std::uint32_t row, float& bound, std::uint32_t& last_row) {
    if (at_ < block_.count && block_.rows[block_.count - 1] >= row) {
      bound = block_bound_;
      last_row = block_.rows[block_.count - 1];
      return true;
    }
    return cursor_->peek(row, bound, last_row);
  }

  /// Adds the shares of candidates; keeps those that come to `wanted`, and says how many.
  std::size_t add_to(std::span<Candidate> candidates, std::uint32_t wanted, SparseStats& stats) {
    std::uint32_t rows[kPostingsPerBlock], payloads[kPostingsPerBlock], places[kPostingsPerBlock], shares[kPostingsPerBlock];
    for (std::uint32_t i = 0; i < candidates.size() && advance(candidates[i].row, stats);) {
      const std::uint32_t last = block_.rows[block_.count - 1];
      std::uint32_t n = 0;
      for (; i < candidates.size() && candidates[i].row <= last; ++i) {
        const std::uint32_t row = candidates[i].row;
        while (at_ + 8 < block_.count && block_.rows[at_ + 8] <= row) at_ += 8;
        while (block_.rows[at_] < row) ++at_;
        rows[n] = row;
        payloads[n] = block_.tf[at_];
        places[n] = i;
        n += block_.rows[at_] == row;
      }
      compute_shares(rows, payloads, n, shares);
      for (std::uint32_t k = 0; k < n; ++k) candidates[places[k]].score += shares[k];
    }
    std::size_t kept = 0;
    for (const Candidate& candidate : candidates) {
      candidates[kept] = candidate;
      kept += candidate.score >= wanted;
    }
    return kept;
  }

  bool advance(std::uint32_t row, SparseStats& stats) {
    if (at_ < block_.count && block_.rows[block_.count - 1] >= row) return true;
    at_ = 0;
    std::uint32_t last_row;
    if (!cursor_->peek(row, block_bound_, last_row) || !cursor_->next(row, block_)) {
      block_.count = 0;
      return false;
    }
    stats.postings += block_.count;
    at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows, block_.rows + block_.count, row) - block_.rows);
    if (at_ == block_.count) return advance(row, stats);  // a short list is one block, whatever rows are asked for
    return true;
  }

  /// Those of the next n postings whose rows are allowed.
  std::uint32_t keep_allowed(const Bitmap& allowed, std::uint32_t n, std::uint32_t* rows, std::uint32_t* payloads) const {
    std::uint32_t kept = 0;
    for (std::uint32_t i = at_; i < at_ + n; ++i) {
      rows[kept] = block_.rows[i];
      payloads[kept] = block_.tf[i];
      kept += allowed.test(block_.rows[i]);
    }
    return kept;
  }

  void compute_shares(const std::uint32_t* rows, const std::uint32_t* payloads, std::uint32_t n, std::uint32_t* shares) const {
    if (!norm_) {
      float weights[kPostingsPerBlock];
      std::memcpy(weights, payloads, std::size_t{4} * n);
      kernels_.weight_shares(weights, n, weight_, shares);
      return;
    }
    std::uint32_t lengths[kPostingsPerBlock];
    index_.lengths(rows, n, lengths);
    kernels_.text_shares(payloads, lengths, n, share_, shares);
  }

  const Kernels& kernels_ = kernels();
  const TermIndex& index_;
  std::unique_ptr<PostingCursor> cursor_;
  float weight_, block_scale_;
  std::uint32_t bound_;
  const LengthNorm* norm_;
  TextShare share_{};
  float block_bound_ = 0;  // of the block read
  std::uint32_t df_;
  PostingBlock block_;
  std::uint32_t at_ = 0;
};

/// The sums of a window: all zero between calls, also when reading a damaged list ends one early.
class Sums {
 public:
  Sums() {
    if (values_.size() < kWindow) values_.assign(kWindow, 0);
  }
  ~Sums() {
    if (!is_zero) std::ranges::fill(values_, 0);
  }
  std::uint32_t* data() { return values_.data(); }
  bool is_zero = true;

 private:
  static thread_local std::vector<std::uint32_t> values_;
};
thread_local std::vector<std::uint32_t> Sums::values_;

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
  std::vector<ListWalk> walks;
  walks.reserve(lists.size());
  for (const FlatList& list : lists) walks.emplace_back(list, norm, scale);
  std::vector<ListWalk*> order;
  std::uint64_t all = 0;  // what the lists can be worth together
  for (ListWalk& walk : walks) {
    order.push_back(&walk);
    all += walk.bound();
  }
  std::ranges::stable_sort(order, {}, [](const ListWalk* walk) { return walk->bound(); });
  std::vector<ListWalk*> added, looked_up;
  Sums all_sums;
  std::uint32_t* const sums = all_sums.data();
  static thread_local std::vector<Candidate> candidates_memory;
  std::vector<Candidate>& candidates = candidates_memory;
  std::uint64_t marks[kWindow / 64] = {};
  std::uint32_t places[kWindow + 1];
  double candidates_per_row = 0;  // of the window before
  std::uint32_t size = best.threshold() ? kWindow : kFirstWindow;
  for (std::uint32_t first = 0, end = 0; first < entry.n_rows; first = end, size = std::min(2 * size, kWindow)) {
    cancel.check();
    end = first + std::min(size, entry.n_rows - first);
    const std::uint32_t threshold = best.threshold();
    // Lists that cannot lift a row into the best by themselves may be left out at first, and are where that takes less.
    std::uint64_t left_out = 0, before = 0, expected = 0;
    added.clear();
    looked_up.clear();
    for (ListWalk* list : order) {
      before += list->bound();
      const bool is_left_out = before < threshold && list->df() > kPostingsPerLookUp * candidates_per_row * entry.n_rows;
      (is_left_out ? looked_up : added).push_back(list);
      (is_left_out ? left_out : expected) += is_left_out ? list->bound() : list->df();
    }
    if (before < threshold) return;
    // The sum that a row must have without the lists left out; any at all makes it a hit.
    const std::uint32_t wanted = std::max<std::uint32_t>(1, threshold > left_out ? static_cast<std::uint32_t>(threshold - left_out) : 0);
    const auto each_of = [&](ListWalk* list, auto&& visit) {
      list->each(first, end, entry.allowed, static_cast<std::uint32_t>(all - list->bound()), threshold, stats, visit);
    };
    candidates.clear();
    if (added.size() == 1) {
      each_of(added[0], [&](const std::uint32_t* rows, const std::uint32_t* shares, std::uint32_t n) {
        std::size_t kept = candidates.size();
        candidates.resize(kept + n);
        for (std::uint32_t i = 0; i < n; ++i) {
          candidates[kept] = {rows[i], shares[i]};
          kept += shares[i] >= wanted;
        }
        candidates.resize(kept);
      });
    } else if (expected * kRowsPerMark < entry.n_rows) {
      all_sums.is_zero = false;
      for (ListWalk* list : added | std::views::reverse)
        each_of(list, [&](const std::uint32_t* rows, const std::uint32_t* shares, std::uint32_t n) {
          for (std::uint32_t i = 0; i < n; ++i) {
            const std::uint32_t place = rows[i] - first;
            sums[place] += shares[i];
            marks[place / 64] |= std::uint64_t{1} << (place % 64);
          }
        });
      for (std::uint32_t word = 0; word * 64 < end - first; ++word)
        for (std::uint64_t left = std::exchange(marks[word], 0); left; left &= left - 1) {
          const std::uint32_t place = word * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
          const std::uint32_t sum = std::exchange(sums[place], 0);
          if (sum >= wanted) candidates.push_back({first + place, sum});
        }
    } else {
      all_sums.is_zero = false;
      for (ListWalk* list : added | std::views::reverse)
        each_of(list, [&](const std::uint32_t* rows, const std::uint32_t* shares, std::uint32_t n) {
          for (std::uint32_t i = 0; i < n; ++i) sums[rows[i] - first] += shares[i];
        });
      const std::size_t n = kernels().collect_at_least(sums, end - first, wanted, places);
      for (std::size_t i = 0; i < n; ++i) candidates.push_back({first + places[i], sums[places[i]]});
      std::fill_n(sums, end - first, 0u);
    }
    all_sums.is_zero = true;
    candidates_per_row = static_cast<double>(candidates.size()) / (end - first);
    for (ListWalk* list : looked_up | std::views::reverse) {
      left_out -= list->bound();
      list->look_up(candidates, left_out, threshold, stats);
    }
    stats.candidates += candidates.size();
    for (const Candidate& candidate : candidates) best.offer(candidate.score, entry.first_row + candidate.row);
  }
}

}  // namespace vicino
