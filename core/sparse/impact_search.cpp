#include "sparse/impact_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "sparse/shortlist.h"

namespace vicino {

namespace {

/// Rows looked through for the first time, before there is anything to compare them with; then twice as many each time.
constexpr std::uint32_t kFirstRows = 256;
/// Cache lines of the next window's postings that are asked for ahead.
constexpr std::uint32_t kLinesAhead = 4;
constexpr float kRounding = 1.000001f;  // of what is written, and once more of what is computed
/// Postings whose worth is worked out together.
constexpr std::uint32_t kTogether = 256;
/// A list's worth in 256ths of a code must fit into 16 bits, and a posting is rounded up by less than so many units.
constexpr double kLargestBoundedSum = kLargestRoundedSum * 255 / 256, kRoundedUp = 2;
/// Four places of postings, kept within the window even where a file is damaged.
constexpr std::uint64_t kPlaces = 0x0001000100010001 * std::uint64_t{kImpactWindow - 1};

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
    per_code_ = static_cast<std::uint16_t>(std::ceil(all * 256 / 255));
    slack_ = all / 255 + kRoundedUp;
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
    for (std::uint32_t i = begin; i < end; i += kTogether) add_some(places + i, codes + i, std::min(kTogether, end - i), sums);
    return end - begin;
  }

  std::optional<float> weight_of(std::uint32_t row) const {
    if (impacts_) return impacts_->weight(row, what_);
    const auto found = std::ranges::lower_bound(rows_, row);
    if (found == rows_.end() || *found != row) return std::nullopt;
    return weights_[static_cast<std::size_t>(found - rows_.begin())];
  }
  /// What the query makes of a weight of 1.
  float factor() const { return list_.weight; }

 private:
  /// What a posting of this code is worth at most; at least 1.
  static std::uint16_t bound_of(std::uint8_t code, std::uint16_t per_code) {
    return static_cast<std::uint16_t>((std::uint32_t{static_cast<std::uint16_t>(code << 8)} * per_code >> 16) + 1);
  }

  /// A multiplication of vectors in place of a table: the tables of thirty lists leave no room for the sums in the first-level cache. Sums have to be reached
  /// one by one, but places and bounds come out of memory four at a time.
  void add_some(const std::uint16_t* __restrict places, const std::uint8_t* __restrict codes, std::uint32_t count, std::uint16_t* __restrict sums) const {
    std::uint16_t bounds[kTogether];
    const std::uint16_t per_code = per_code_;
    for (std::uint32_t k = 0; k < count; ++k) bounds[k] = bound_of(codes[k], per_code);
    std::uint32_t k = 0;
    for (; k + 4 <= count; k += 4) {
      std::uint64_t four_places, four_bounds;
      std::memcpy(&four_places, places + k, sizeof four_places);
      std::memcpy(&four_bounds, bounds + k, sizeof four_bounds);
      four_places &= kPlaces;
      sums[four_places & 0xffff] += static_cast<std::uint16_t>(four_bounds);
      sums[four_places >> 16 & 0xffff] += static_cast<std::uint16_t>(four_bounds >> 16);
      sums[four_places >> 32 & 0xffff] += static_cast<std::uint16_t>(four_bounds >> 32);
      sums[four_places >> 48] += static_cast<std::uint16_t>(four_bounds >> 48);
    }
    for (; k < count; ++k) sums[places[k] & (kImpactWindow - 1)] += bounds[k];
  }

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

  const FlatList& list_;
  std::optional<ImpactList> impacts_;
  const std::string& what_;
  std::uint16_t per_code_ = 0;  // in 256ths of a unit
  double slack_ = 0, factor_ = 0;
  std::vector<std::uint32_t> rows_;  // of a list without impacts, and its weights
  std::vector<float> weights_;
  std::size_t at_ = 0;
};

/// The exact scores of rows.
void score(std::span<const ImpactWalk> walks, double scale, std::vector<Candidate>& candidates) {
  for (Candidate& candidate : candidates) candidate.score = 0;
  std::vector<float> weights;
  std::vector<std::uint32_t> places, shares;
  for (const ImpactWalk& walk : walks) {
    weights.clear();
    places.clear();
    for (std::uint32_t i = 0; i < candidates.size(); ++i)
      if (const auto weight = walk.weight_of(candidates[i].row)) {
        weights.push_back(*weight);
        places.push_back(i);
      }
    shares.resize(weights.size());
    kernels().weight_shares(weights.data(), weights.size(), static_cast<float>(walk.factor() * scale), shares.data());
    for (std::size_t i = 0; i < places.size(); ++i) candidates[places[i]].score += shares[i];
  }
}

}  // namespace

void offer_best_by_impacts(const SparseEntry& entry, const Impacts& impacts, std::span<const FlatList> lists, double scale, BestRows& best, SparseStats& stats,
                           const Cancel& cancel) {
  double most = 0;
  for (const FlatList& list : lists) most += static_cast<double>(list.weight) * list.info.bound;
  const auto n = static_cast<double>(lists.size());
  const double units = most > 0 ? (kLargestBoundedSum - (kRoundedUp + 1) * n) / (most * kRounding * kRounding * kRounding) : 0, ratio = units / scale;
  std::vector<ImpactWalk> walks;
  walks.reserve(lists.size());
  double slack = 1 + n * ratio;
  for (const FlatList& list : lists) slack += walks.emplace_back(list, impacts, units).slack();
  // A score is a sum of shares that were each rounded to a whole number, so it may lie that far beyond what the bound says.
  Shortlist shortlist(best.k(), slack, (best.threshold() - n) * ratio / kRounding - 1);
  WindowSums sums;
  std::vector<Candidate> candidates;
  std::uint32_t rows_at_once = kFirstRows;
  for (std::uint32_t first = 0, window = 0; first < entry.n_rows; first += kImpactWindow, ++window) {
    cancel.check();
    for (ImpactWalk& walk : walks) stats.postings += walk.add(window, sums.begin());
    const std::uint32_t size = std::min(kImpactWindow, entry.n_rows - first);
    for (std::uint32_t at = 0, end = 0; at < size; at = end, rows_at_once = std::min(2 * rows_at_once, kImpactWindow)) {
      end = std::min(size, at + rows_at_once);
      candidates.clear();
      sums.take(first + at, at, end - at, shortlist.limit(), entry.allowed, candidates);
      for (const Candidate& candidate : candidates) shortlist.offer(candidate);
      shortlist.raise_limit();
    }
  }
  candidates = std::move(shortlist).take();
  stats.candidates += candidates.size();
  score(walks, scale, candidates);
  for (const Candidate& candidate : candidates) best.offer(candidate.score, entry.first_row + candidate.row);
}

}  // namespace vicino
