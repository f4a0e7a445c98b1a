#include "ivf/coded_shortlist.h"

#include <algorithm>
#include <cfloat>

#include "index/rescoring.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 16;
constexpr std::size_t kAskedAhead = 256;  // candidates whose rows are asked for before the first is read

constexpr auto is_nearer = [](const CodedCandidate& a, const CodedCandidate& b) { return a.estimate != b.estimate ? a.estimate < b.estimate : a.row < b.row; };

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
  auto& candidates = candidates_;
  const float limit = threshold();
  std::erase_if(candidates, [&](const CodedCandidate& c) { return c.estimate - (effort_.rescore ? 0 : c.error) > limit; });
  if (times_ > 1) {
    std::ranges::sort(candidates, [](const CodedCandidate& a, const CodedCandidate& b) { return a.row != b.row ? a.row < b.row : is_nearer(a, b); });
    const auto twice = std::ranges::unique(candidates, {}, &CodedCandidate::row);
    candidates.erase(twice.begin(), twice.end());
  }
  std::ranges::sort(candidates, is_nearer);
  if (effort_.rescore && candidates.size() > effort_.rescore) candidates.resize(effort_.rescore);
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
