// Search by several examples at once: every candidate is scored by a rule over its similarities to all of them, as Qdrant scores
// recommendation, discovery, context and relevance feedback.
//
//   best      the nearest of the first `n_first` examples against the nearest of the others: s(p) when p > n, else -s(n), where
//             s(x) = (x / (1 + |x|) + 1) / 2
//   sum       the sum over the first `n_first` examples minus the sum over the others
//   discover  s(similarity to example 0), plus for every pair 1 where the positive is nearer, -1 where the negative is
//   context   the sum over pairs of x / (1 + |x|) with x = min(positive - negative - epsilon, 0)
//   feedback  weight * similarity to example 0, plus over pairs weight of the pair * (positive - negative)
//
// The rules are no metric, so there is no graph to walk: all candidates are scored, the rows read once for all examples.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "shard/snapshot.h"

namespace vicino {

enum class ExampleRule : std::uint8_t { best, sum, discover, context, feedback };

struct ExamplePair {
  std::uint32_t positive, negative;  // positions among the examples
  float weight = 1;
};

struct ExampleRequest {
  ColumnSpec column;
  ExampleRule rule = ExampleRule::best;
  std::size_t k = 10;
  std::uint32_t n_first = 0;
  float weight = 1;
  std::vector<ExamplePair> pairs;
};

struct ExampleOutcome {
  std::vector<Hit> hits;  // best first; Hit::row is a Locator, Hit::distance is minus the score
  std::uint64_t rows_scored = 0;
};

/// examples: n rows in the column's query type. Throws InvalidArgument for a pair or `n_first` beyond them.
ExampleOutcome search_by_example(const Snapshot& snapshot, const ExampleRequest& request, std::span<const std::uint8_t> examples,
                                 std::size_t n_examples, const Matches* matches, const Cancel& cancel);

}  // namespace vicino
