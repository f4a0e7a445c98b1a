// One query against one row's tokens: in full precision, and by codes with a bound on what coding lost.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/maxsim.h"
#include "maxsim/index.h"
#include "maxsim/tokens.h"

namespace vicino {

class MultiScorer {
 public:
  /// Throws InvalidArgument unless `query` is at least one token of the spec's dimension.
  MultiScorer(const MultiSpec& spec, std::span<const float> query, const Kernels& table);

  /// In full precision. Values beyond the range of float saturate.
  float score(Bytes value);
  /// Of the last score(): the row's best token per query token, and the query token that adds most.
  std::span<const std::uint32_t> best_tokens() const { return {best_token_.data(), n_tokens_}; }
  std::uint32_t leading_query_token() const;

  struct Estimate {
    double score;
    double error;  // the score in full precision is within score +- error; infinite when that is unknown
  };
  Estimate estimate(const MultiIndex& index, std::uint32_t row, const RowBytes& value);

  std::size_t n_tokens() const { return n_tokens_; }
  /// What score() multiplies with, n_tokens x dim: under cosine of norm 1.
  std::span<const float> query() const { return query_; }

 private:
  void score_in_double();

  MultiSpec spec_;
  const Kernels& table_;
  std::size_t n_tokens_;
  std::vector<float> query_, packed_;
  PackedMaxSimQuery codes_;
  std::vector<double> scales_;  // of the query's codes
  double norms_ = 0, lost_ = 0;  // summed over query tokens
  Tokens tokens_;
  std::vector<float> best_;
  std::vector<std::uint32_t> best_token_;
};

}  // namespace vicino
