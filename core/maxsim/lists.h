// Inverted lists of a multi index: directions that stand for many tokens, found by spherical k-means over a bounded sample of codes, and the
// rows of the tokens nearest to each.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "util/cancel.h"

namespace vicino {

/// The codes of the tokens of a segment. A token's direction is that of its code.
struct CodedTokens {
  std::uint64_t n_tokens = 0;
  std::uint32_t dim = 0;
  std::function<const std::int8_t*(std::uint64_t token)> code;
  std::function<std::uint32_t(std::uint64_t token)> row;  // not decreasing
  const float* scales = nullptr;
};

struct CentroidLists {
  std::vector<std::int8_t> codes;  // n x wide
  std::vector<float> steps, lengths;
  std::vector<std::int32_t> sums;
  std::vector<std::uint64_t> starts;
  std::vector<std::uint32_t> rows;
};

/// Centroids for so many tokens: the power of two at or below 4 sqrt(n), as ColBERTv2's indexes have about 16 sqrt(n) for residual codes, fewer
/// here because rows that are found are scored by their own codes.
std::uint32_t centroids_for(std::uint64_t n_tokens);
std::size_t wide_stride(std::uint32_t dim);

/// Does not depend on the number of threads.
CentroidLists build_lists(const CodedTokens& tokens, std::uint64_t seed, unsigned threads, const Cancel& cancel);

}  // namespace vicino
