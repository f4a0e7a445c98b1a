// Fewer tokens per record: near tokens become their mean, which costs little relevance at half of them (Clavie, Chaffin and Adams 2024,
// "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance Impact via Token Pooling", arXiv 2409.14683).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace vicino {

/// ceil(n / factor) means of groups of tokens, n x dim in and out, ordered by each group's first token. Groups come from Ward's hierarchical
/// clustering of the tokens brought to norm 1; a mean is that of the tokens as they are. O(n^2) memory and about O(n^2 (dim + log n)) time.
/// Throws InvalidArgument for a factor below 1 or more than kPooledTokensMax tokens.
std::vector<float> pool_tokens(std::span<const float> tokens, std::uint32_t dim, std::uint32_t factor);

constexpr std::size_t kPooledTokensMax = 8192;

}  // namespace vicino
