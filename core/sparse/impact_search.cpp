#include "sparse/impact_search.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/dispatch.h"

namespace vicino {

namespace {

/// Rows looked through for the first time, before there is anything to compare them with; then twice as many each time.
constexpr std::uint32_t kFirstRows = 256;
/// Cache lines of the next window's postings that are asked for ahead.
constexpr std::uint32_t kLinesAhead = 4;
constexpr float kRounding = 1.000001f;  // of what is written, and once more of what is computed

struct Candidate {
  std::uint32_t row;
  std::uint16_t bound;
};

/// One term: what its postings are worth in units of which the bounds of a whole row fit into 16 bits, and the walk through it.
class ImpactWalk {
 public:
  ImpactWalk(const FlatList& list, const Impacts& impacts, double units) : list_(list), impacts_(impacts.find(list.info)), what_(impacts.name()) {
    const double all = list.info.bound * static_cast<double>(list.weight) * units * kRounding * kRounding;
    if (!impacts_) {
      factor_ = list.weight * units * kRounding;
      read_postings();
      return;
    }
    for (std::uint32_t code = 0; code < 256; ++code) bounds_[code] = static_cast<std::uint16_t>(std::ceil(all * code / 255) + (code ? 0 : 1));
    slack_ = all / 255 + 1;
  }

  /// How much less than its bound a posting may be worth.
  double slack() const { return slack_; }

  /// Adds the bounds of a window's postings to its sums. Returns how many there are.
  std::uint32_t add(std::uint32_t window, std::uint16_t* sums) {
    if (!impacts_) return add_postings(window, sums);
    const std::uint32_t begin = impacts_->begin(window), end = impacts_->ends[window];
    const std::uint16_t* __restrict const places = impacts_->places;
    const std::uint8_t* __restrict const codes = impacts_->codes;
    for (std::uint32_t line = 0; line < kLinesAhead; ++line) {
      __builtin_prefetch(places + end + 32 * line);
      __builtin_prefetch(codes + end + 64 * line);
    }
    // The mask keeps a damaged file within the window.
    for (std::uint32_t i = begin; i < end; ++i) sums[places[i] & (kImpactWindow - 1)] += bounds_[codes[i]];
    return end - begin;
  }

  /// Adds to scores[i] what the posting of candidates[i] is worth in units of the final sum, `weight` of which a weight of 1 is.
  void add_exactly(std::span<const Candidate> candidates, double scale, std::vector<float>& weights, std::vector<std::uint32_t>& places,
                   std::vector<std::uint32_t>& shares, std::vector<std::uint32_t>& scores) const {
    weights.clear();
    places.clear();
    for (std::uint32_t i = 0; i < candidates.size(); ++i)
      if (const auto weight = weight_of(candidates[i].row)) {
        weights.push_back(*weight);
        places.push_back(i);
      }
    shares.resize(weights.size());
    kernels().weight_shares(weights.data(), weights.size(), static_cast<float>(list_.weight * scale), shares.data());
    for (std::size_t i = 0; i < places.size(); ++i) scores[places[i]] += shares[i];
  }

 private:
  /// A list that is too short for impacts is read as a whole.
  void read_postings() {
    const auto cursor = list_.index->postings(list_.info);
    PostingBlock block;
    for (std::uint32_t first = 0; cursor->next(first, block); first = block.rows[block.count - 1] + 1) {
      rows_.insert(rows_.end(), block.rows, block.rows + block.count);
      weights_.insert(weights_.end(), block.weights, block.weights + block.count);
      if (block.rows[block.count - 1] + 1 >= list_.index->n_rows()) break;
    }
    slack_ = 2;
  }

  std::uint32_t add_postings(std::uint32_t window, std::uint16_t* sums) {
    const std::size_t begin = at_;
    for (; at_ < rows_.size() && rows_[at_] / kImpactWindow == window; ++at_)
      sums[rows_[at_] % kImpactWindow] += static_cast<std::uint16_t>(std::max(1.0, std::ceil(weights_[at_] * factor_)));
    return static_cast<std::uint32_t>(at_ - begin);
  }

  std::optional<float> weight_of(std::uint32_t row) const {
    if (impacts_) return impacts_->weight(row, what_);
    const auto found = std::ranges::lower_bound(rows_, row);
    if (found == rows_.end() || *found != row) return std::nullopt;
    return weights_[static_cast<std::size_t>(found - rows_.begin())];
  }

  const FlatList& list_;
  std::optional<ImpactList> impacts_;
  const std::string& what_;
  std::array<std::uint16_t, 256> bounds_;
  double slack_ = 0, factor_ = 0;
  std::vector<std::uint32_t> rows_;  // of a list without impacts, and its weights
  std::vector<float> weights_;
  std::size_t at_ = 0;
};

/// The k largest bounds so far.
class LargestBounds {
 public:
  explicit LargestBounds(std::size_t k) : k_(k) {}
  void offer(std::uint16_t bound) {
    if (heap_.size() == k_) {
      if (bound <= heap_.front()) return;
      std::ranges::pop_heap(heap_, std::greater());
      heap_.pop_back();
    }
    heap_.push_back(bound);
    std::ranges::push_heap(heap_, std::greater());
  }
  /// The least of them; 0 while there are fewer than k.
  std::uint16_t least() const { return heap_.size() == k_ ? heap_.front() : 0; }

 private:
  std::size_t k_;
  std::vector<std::uint16_t> heap_;
};

/// All zero between calls, also when a damaged list ends one early.
class WindowSums {
 public:
  ~WindowSums() { std::ranges::fill(values_, std::uint16_t{0}); }
  std::uint16_t* data() { return values_.data(); }

 private:
  alignas(64) std::array<std::uint16_t, kImpactWindow> values_{};
};

}  // namespace

void offer_best_by_impacts(const SparseEntry& entry, const Impacts& impacts, std::span<const FlatList> lists, double scale, BestRows& best, SparseStats& stats,
                           const Cancel& cancel) {
  double most = 0;
  for (const FlatList& list : lists) most += static_cast<double>(list.weight) * list.info.bound;
  const auto n = static_cast<double>(lists.size());
  // Every posting is rounded up by less than one unit.
  const double units = most > 0 ? (65535 - 2 * n) / (most * kRounding * kRounding * kRounding) : 0;
  std::vector<ImpactWalk> walks;
  walks.reserve(lists.size());
  double slack = 1;
  for (const FlatList& list : lists) slack += walks.emplace_back(list, impacts, units).slack();
  // A score is a sum of shares that were each rounded to a whole number, so it may lie that far beyond what the bound says.
  const double known = (best.threshold() - n) / scale * units / kRounding - 1;
  double limit = std::max(1.0, std::floor(known));
  LargestBounds largest(best.k());
  std::vector<Candidate> candidates;
  static thread_local std::array<std::uint32_t, kImpactWindow> places;
  static thread_local std::array<std::uint16_t, kImpactWindow> bounds;
  WindowSums sums;
  const auto take = [&](std::uint32_t window, std::uint32_t begin, std::uint32_t end) {
    const std::uint32_t first = window * kImpactWindow + begin;
    const std::uint64_t* allowed = entry.allowed ? entry.allowed->words() + first / 64 : nullptr;
    const std::size_t found =
        kernels().take_sums(sums.data() + begin, end - begin, static_cast<std::uint16_t>(std::min(limit, 65535.0)), allowed, places.data(), bounds.data());
    for (std::size_t i = 0; i < found; ++i) {
      candidates.push_back({first + places[i], bounds[i]});
      largest.offer(bounds[i]);
    }
    limit = std::max(limit, std::floor(largest.least() - slack - n * units / scale));
  };
  std::uint32_t rows_at_once = kFirstRows;
  for (std::uint32_t window = 0; window * std::uint64_t{kImpactWindow} < entry.n_rows; ++window) {
    cancel.check();
    for (ImpactWalk& walk : walks) stats.postings += walk.add(window, sums.data());
    const std::uint32_t end = (std::min(kImpactWindow, entry.n_rows - window * kImpactWindow) + 63) / 64 * 64;
    for (std::uint32_t begin = 0; begin < end; begin += rows_at_once, rows_at_once = std::min(2 * rows_at_once, kImpactWindow))
      take(window, begin, std::min(end, begin + rows_at_once));
  }
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.bound < limit; });
  stats.candidates += candidates.size();
  std::vector<std::uint32_t> scores(candidates.size()), matched, shares;
  std::vector<float> weights;
  for (const ImpactWalk& walk : walks) walk.add_exactly(candidates, scale, weights, matched, shares, scores);
  for (std::size_t i = 0; i < candidates.size(); ++i) best.offer(scores[i], entry.first_row + candidates[i].row);
}

}  // namespace vicino
