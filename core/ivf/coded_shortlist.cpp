#include "ivf/coded_shortlist.h"

#include <algorithm>
#include <cfloat>

#include "index/rescoring.h"
#include "kernels/dispatch.h"
#include "kernels/walk_keys.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 16;
constexpr std::size_t kAskedAhead = 256;  // candidates whose rows are asked for before the first is read

constexpr auto is_nearer = [](const CodedCandidate& a, const CodedCandidate& b) { return a.estimate != b.estimate ? a.estimate < b.estimate : a.row < b.row; };

constexpr std::size_t kSortedAsKeysMax = 128;  // candidates; as many as the wide sort takes
constexpr std::size_t kScoredFirst = 32;       // of more than these

}  // namespace

void CodedShortlist::start(const IvfEffort& effort, std::size_t n_entries, std::size_t times, TopK& nearest) {
  effort_ = effort;
  times_ = times;
  nearest_ = &nearest;
  limits_.emplace(times * (effort.rescore ? std::min(effort.rescore, n_entries) : nearest.k()));
  candidates_.clear();
}

void CodedShortlist::consider(CodedCandidate candidate) {
  if (!(candidate.estimate < FLT_MAX)) candidate.estimate = FLT_MAX;  // damaged codes make anything, NaN included
  if (!(candidate.error < FLT_MAX)) candidate.error = FLT_MAX;
  const float error = effort_.rescore ? 0 : candidate.error;
  if (candidate.estimate - error > threshold()) return;
  candidates_.push_back(candidate);
  limits_->offer({candidate.estimate + error, candidate.row});
}

/// Leaves those that have a chance, each once, in no order.
void CodedShortlist::choose() {
  leave(0, threshold());
  if (times_ > 1) {
    std::ranges::sort(candidates_, [](const CodedCandidate& a, const CodedCandidate& b) { return a.row != b.row ? a.row < b.row : is_nearer(a, b); });
    const auto twice = std::ranges::unique(candidates_, {}, &CodedCandidate::row);
    candidates_.erase(twice.begin(), twice.end());
  }
  if (effort_.rescore && candidates_.size() > effort_.rescore) {
    std::ranges::nth_element(candidates_, candidates_.begin() + static_cast<std::ptrdiff_t>(effort_.rescore), is_nearer);
    candidates_.resize(effort_.rescore);
  }
}

/// Of the candidates from `first` on those whose estimate, less its error, is not above the limit.
void CodedShortlist::leave(std::size_t first, float limit) {
  // Kept or not is a toss for the branch predictor, so all are written and the next one overwrites what does not stay.
  std::size_t n = first;
  for (std::size_t i = first; i < candidates_.size(); ++i) {
    const CodedCandidate candidate = candidates_[i];
    candidates_[n] = candidate;
    n += !(candidate.estimate - (effort_.rescore ? 0 : candidate.error) > limit);
  }
  candidates_.resize(n);
}

void CodedShortlist::rescore(const PreparedQuery& query, const RescoredBlock& rows, SearchStats& stats) {
  choose();
  if (effort_.estimates) {
    for (const CodedCandidate& c : candidates_) nearest_->offer({as_distance(query.metric(), c.estimate), rows.first_row + c.row});
    return;
  }
  std::size_t done = 0;
  if (!effort_.rescore && candidates_.size() > kSortedAsKeysMax) {
    // What the nearest of many are, scored, leaves no chance to most of the others.
    std::ranges::nth_element(candidates_, candidates_.begin() + kScoredFirst, is_nearer);
    done = kScoredFirst;
    sort(std::span(candidates_).first(done));
    score(std::span(candidates_).first(done), query, rows, stats);
    leave(done, nearest_->bound());
  }
  const auto rest = std::span(candidates_).subspan(done);
  sort(rest);
  score(rest, query, rows, stats);
}

/// Nearest first.
void CodedShortlist::sort(std::span<CodedCandidate> candidates) {
  const std::size_t n = candidates.size();
  if (n > kSortedAsKeysMax) {
    std::ranges::sort(candidates, is_nearer);
    return;
  }
  std::uint64_t keys[kSortedAsKeysMax];
  for (std::size_t i = 0; i < n; ++i) keys[i] = std::uint64_t{ordered_bits(candidates[i].estimate)} << 32 | i;
  kernels().sort_keys(keys, n);
  CodedCandidate sorted[kSortedAsKeysMax];
  bool has_equals = false;
  for (std::size_t i = 0; i < n; ++i) {
    sorted[i] = candidates[static_cast<std::uint32_t>(keys[i])];
    has_equals |= i > 0 && keys[i] >> 32 == keys[i - 1] >> 32;
  }
  std::copy_n(sorted, n, candidates.begin());
  if (has_equals) std::ranges::sort(candidates, is_nearer);
}

void CodedShortlist::score(std::span<const CodedCandidate> candidates, const PreparedQuery& query, const RescoredBlock& rows, SearchStats& stats) {
  const VectorBlock& block = rows.block;
  if (rows.is_cold)
    for (const CodedCandidate& c : candidates.first(std::min(kAskedAhead, candidates.size()))) read_ahead(block.row(c.row), row_bytes(block.dtype, block.dim));
  for (std::size_t start = 0; start < candidates.size(); start += kRescoredAtOnce) {
    std::uint32_t chosen[kRescoredAtOnce];
    float distances[kRescoredAtOnce];
    std::size_t count = 0;
    for (const CodedCandidate& c : candidates.subspan(start, std::min(kRescoredAtOnce, candidates.size() - start)))
      if (effort_.rescore || c.estimate - c.error <= nearest_->bound()) chosen[count++] = c.row;
    query.distances_at(block, {chosen, count}, distances);
    stats.rescored += count;
    stats.rows_scored += count;
    for (std::size_t i = 0; i < count; ++i) nearest_->offer({distances[i], rows.first_row + chosen[i]});
  }
}

}  // namespace vicino
