// Rows that one search of lists found by their codes, as many as may be among the nearest, until they are scored on the rows themselves.
//
// Which of them are left at the end does not depend on the order in which they came: the k-th smallest upper bound of all decides.
#pragma once
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ivf/ivf.h"

namespace vicino {

struct CodedCandidate {
  float estimate, error;
  std::uint32_t row;
};

/// What is scored and where; the same for all searches of a call.
struct RescoredBlock {
  const VectorBlock& block;
  std::uint64_t first_row;
  bool is_cold;  // whether rows are asked for before they are read
};

class CodedShortlist {
 public:
  /// Begins anew, in the memory of the last search. Each of the rows may come `times` times, n_entries of them at most.
  void start(const IvfEffort& effort, std::size_t n_entries, std::size_t times, TopK& nearest);

  /// A row whose estimate, less its error, is above this will not be among the nearest.
  float threshold() const { return effort_.rescore ? limits_->bound() : std::min(limits_->bound(), nearest_->bound()); }
  /// A row whose estimate is above this need not be considered if its error is the given one.
  float limit(float error) const {
    const float bound = threshold(), own = effort_.rescore ? 0 : error;
    // A little more, so that no rounding takes a row that `consider` would take: what is found must not depend on when a list is scanned.
    const float limit = (bound + own) + (std::fabs(bound) + own) * 0x1p-20f;
    return limit < FLT_MAX ? limit : __builtin_inff();
  }
  void consider(CodedCandidate candidate);
  /// Scores the candidates on the rows, nearest first, and offers them to the nearest.
  void rescore(const PreparedQuery& query, const RescoredBlock& rows, SearchStats& stats);

  /// Upper bounds of the nearest rows' distances; for lists of rows themselves with copies the distances.
  TopK& limits() { return *limits_; }

 private:
  void choose();
  void leave(std::size_t first, float limit);
  static void sort(std::span<CodedCandidate> candidates);
  void score(std::span<const CodedCandidate> candidates, const PreparedQuery& query, const RescoredBlock& rows, SearchStats& stats);

  IvfEffort effort_;
  std::size_t times_ = 1;
  TopK* nearest_ = nullptr;
  std::optional<TopK> limits_;
  std::vector<CodedCandidate> candidates_;
};

}  // namespace vicino
