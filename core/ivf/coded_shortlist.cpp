#include "ivf/coded_shortlist.h"

#include <algorithm>
#include <bit>
#include <cfloat>

#include "index/rescoring.h"
#include "kernels/dispatch.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 16;
constexpr std::size_t kAskedAhead = 256;  // candidates whose rows are asked for before the first is read

constexpr auto is_nearer = [](const CodedCandidate& a, const CodedCandidate& b) { return a.estimate != b.estimate ? a.estimate < b.estimate : a.row < b.row; };

constexpr std::size_t kSortedAsKeysMax = 256;  // candidates; beyond, the sort for many keys is the better one

/// Unsigned numbers that are ordered as the floats are; both zeros give the same.
std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

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

/// Leaves those that have a chance, each once, nearest first.
void CodedShortlist::choose() {
  const float limit = threshold();
  // Kept or not is a toss for the branch predictor, so all are written and the next one overwrites what does not stay.
  std::size_t n = 0;
  for (const CodedCandidate& candidate : candidates_) {
    candidates_[n] = candidate;
    n += !(candidate.estimate - (effort_.rescore ? 0 : candidate.error) > limit);
  }
  candidates_.resize(n);
  if (times_ > 1) {
    std::ranges::sort(candidates_, [](const CodedCandidate& a, const CodedCandidate& b) { return a.row != b.row ? a.row < b.row : is_nearer(a, b); });
    const auto twice = std::ranges::unique(candidates_, {}, &CodedCandidate::row);
    candidates_.erase(twice.begin(), twice.end());
  }
  if (candidates_.size() <= kSortedAsKeysMax) sort_as_keys();
  else std::ranges::sort(candidates_, is_nearer);
  if (effort_.rescore && candidates_.size() > effort_.rescore) candidates_.resize(effort_.rescore);
}

void CodedShortlist::sort_as_keys() {
  const std::size_t n = candidates_.size();
  std::uint64_t keys[kSortedAsKeysMax];
  for (std::size_t i = 0; i < n; ++i) keys[i] = std::uint64_t{ordered_bits(candidates_[i].estimate)} << 32 | i;
  kernels().sort_keys(keys, n);
  CodedCandidate sorted[kSortedAsKeysMax];
  bool has_equals = false;
  for (std::size_t i = 0; i < n; ++i) {
    sorted[i] = candidates_[static_cast<std::uint32_t>(keys[i])];
    has_equals |= i > 0 && keys[i] >> 32 == keys[i - 1] >> 32;
  }
  std::copy_n(sorted, n, candidates_.begin());
  if (has_equals) std::ranges::sort(candidates_, is_nearer);
}

void CodedShortlist::rescore(const PreparedQuery& query, const RescoredBlock& rows, SearchStats& stats) {
  choose();
  const auto& candidates = candidates_;
  const VectorBlock& block = rows.block;
  if (effort_.estimates) {
    for (const CodedCandidate& c : candidates) nearest_->offer({as_distance(query.metric(), c.estimate), rows.first_row + c.row});
    return;
  }
  if (rows.is_cold)
    for (std::size_t i = 0; i < std::min(kAskedAhead, candidates.size()); ++i) read_ahead(block.row(candidates[i].row), row_bytes(block.dtype, block.dim));
  for (std::size_t start = 0; start < candidates.size(); start += kRescoredAtOnce) {
    std::uint32_t chosen[kRescoredAtOnce];
    float distances[kRescoredAtOnce];
    std::size_t count = 0;
    for (std::size_t i = start; i < std::min(start + kRescoredAtOnce, candidates.size()); ++i)
      if (effort_.rescore || candidates[i].estimate - candidates[i].error <= nearest_->bound()) chosen[count++] = candidates[i].row;
    query.distances_at(block, {chosen, count}, distances);
    stats.rescored += count;
    stats.rows_scored += count;
    for (std::size_t i = 0; i < count; ++i) nearest_->offer({distances[i], rows.first_row + chosen[i]});
  }
}

}  // namespace vicino
