#include "sparse/maxscore.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vicino {

namespace {

constexpr std::uint32_t kWindow = 1u << 16;

struct Candidate {
  std::uint32_t row, score;
};

/// Where the walk through one list stands, and what its postings are worth.
class ListWalk {
 public:
  ListWalk(const FlatList& list, const LengthNorm* norm, double scale)
      : index_(*list.index), cursor_(list.index->postings(list.info)), weight_(static_cast<float>(list.weight * scale)), block_scale_(list.bound_scale),
        bound_(to_units(list.bound * weight_)), norm_(norm) {
    if (!norm) return;
    fixed_ = norm->k1 * (1 - norm->b);
    per_word_ = norm->k1 * norm->b / norm->average;
  }

  /// No posting is worth more.
  std::uint32_t bound() const { return bound_; }

  /// Adds the shares of rows first … end - 1 that are allowed. Blocks none of whose rows can reach the threshold, with `others` from other lists, are
  /// passed over.
  void add(std::uint32_t first, std::uint32_t end, const Bitmap* allowed, std::uint32_t others, std::uint32_t threshold, std::uint32_t* sums,
           std::vector<std::uint32_t>& touched, SparseStats& stats) {
    for (std::uint32_t from = first; load(from, end, others, threshold, stats);) {
      const std::uint32_t stop = count_below(end);
      std::uint32_t n = 0;
      std::uint32_t rows[kPostingsPerBlock], shares[kPostingsPerBlock];
      if (!allowed && at_ == 0 && stop == block_.count) {
        compute_shares(block_.rows, block_.tf, stop, shares);
        n = stop;
        std::copy_n(block_.rows, n, rows);
      } else {
        std::uint32_t payloads[kPostingsPerBlock];
        for (std::uint32_t i = at_; i < stop; ++i) {
          rows[n] = block_.rows[i];
          payloads[n] = block_.tf[i];
          n += !allowed || allowed->test(block_.rows[i]);
        }
        compute_shares(rows, payloads, n, shares);
      }
      const std::size_t before = touched.size();
      touched.resize(before + n);
      std::uint32_t* fresh = touched.data() + before;
      for (std::uint32_t i = 0; i < n; ++i) {
        std::uint32_t& sum = sums[rows[i] - first];
        *fresh = rows[i];
        fresh += sum == 0;
        sum += shares[i];
      }
      touched.resize(static_cast<std::size_t>(fresh - touched.data()));
      at_ = stop;
      if (at_ < block_.count) return;
      from = block_.rows[block_.count - 1] + 1;
    }
  }

  /// The share of one row, 0 if the term is not there. Rows never fall from call to call.
  std::uint32_t share_of(std::uint32_t row, SparseStats& stats) {
    if (!advance(row, stats)) return 0;
    at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows + at_, block_.rows + block_.count, row) - block_.rows);
    if (block_.rows[at_] != row) return 0;
    std::uint32_t share;
    compute_shares(block_.rows + at_, block_.tf + at_, 1, &share);
    return share;
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

  bool advance(std::uint32_t row, SparseStats& stats) {
    if (at_ < block_.count && block_.rows[block_.count - 1] >= row) return true;
    at_ = 0;
    if (!cursor_->next(row, block_)) {
      block_.count = 0;
      return false;
    }
    stats.postings += block_.count;
    at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows, block_.rows + block_.count, row) - block_.rows);
    if (at_ == block_.count) return advance(row, stats);  // a short list is one block, whatever rows are asked for
    return true;
  }

  void compute_shares(const std::uint32_t* rows, const std::uint32_t* payloads, std::uint32_t n, std::uint32_t* shares) const {
    if (!norm_) {
      for (std::uint32_t i = 0; i < n; ++i) shares[i] = at_least_one(weight_ * std::bit_cast<float>(payloads[i]));
      return;
    }
    std::uint32_t lengths[kPostingsPerBlock];
    index_.lengths(rows, n, lengths);
    for (std::uint32_t i = 0; i < n; ++i) {
      const auto tf = static_cast<float>(static_cast<std::int32_t>(payloads[i]));
      const auto length = static_cast<float>(static_cast<std::int32_t>(lengths[i]));
      shares[i] = at_least_one(weight_ * (tf / (tf + (fixed_ + per_word_ * length))));
    }
  }

  static std::uint32_t at_least_one(float share) { return static_cast<std::uint32_t>(std::max(static_cast<std::int32_t>(share + 0.5f), 1)); }

  const TermIndex& index_;
  std::unique_ptr<PostingCursor> cursor_;
  float weight_, block_scale_;
  std::uint32_t bound_;
  const LengthNorm* norm_;
  float fixed_ = 0, per_word_ = 0;
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
  for (ListWalk& walk : walks) order.push_back(&walk);
  std::ranges::stable_sort(order, {}, [](const ListWalk* walk) { return walk->bound(); });
  // What the first i lists can be worth together.
  std::vector<std::uint64_t> below(order.size() + 1);
  for (std::size_t i = 0; i < order.size(); ++i) below[i + 1] = below[i] + order[i]->bound();

  Sums sums;
  static thread_local std::vector<std::uint32_t> touched;
  static thread_local std::vector<Candidate> candidates;
  for (std::uint32_t first = 0; first < entry.n_rows; first += std::min(kWindow, entry.n_rows - first)) {
    cancel.check();
    const std::uint32_t end = first + std::min(kWindow, entry.n_rows - first);
    const std::uint32_t threshold = best.threshold();
    std::size_t optional = 0;  // lists that cannot lift a row into the best by themselves
    while (optional < order.size() && below[optional + 1] < threshold) ++optional;
    if (optional == order.size()) return;

    touched.clear();
    sums.is_zero = false;
    for (std::size_t i = order.size(); i-- > optional;) {
      const auto others = static_cast<std::uint32_t>(below.back() - order[i]->bound());
      order[i]->add(first, end, entry.allowed, others, threshold, sums.data(), touched, stats);
    }
    candidates.clear();
    for (const std::uint32_t row : touched) {
      const std::uint32_t sum = std::exchange(sums.data()[row - first], 0);
      if (sum + below[optional] >= threshold) candidates.push_back({row, sum});
    }
    sums.is_zero = true;
    if (optional) std::ranges::sort(candidates, {}, &Candidate::row);
    for (std::size_t i = optional; i-- > 0 && !candidates.empty();) {
      for (Candidate& candidate : candidates) candidate.score += order[i]->share_of(candidate.row, stats);
      std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.score + below[i] < threshold; });
    }
    stats.candidates += candidates.size();
    for (const Candidate& candidate : candidates) best.offer(candidate.score, entry.first_row + candidate.row);
  }
}

}  // namespace vicino
