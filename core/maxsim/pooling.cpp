#include "maxsim/pooling.h"

#include <algorithm>
#include <limits>
#include <string>

#include "maxsim/tokens.h"
#include "util/errors.h"

namespace vicino {

namespace {

/// Groups that merge, nearest two first. Distances are Ward's: how much the sum of squares within groups grows by a merge.
class Ward {
 public:
  Ward(std::span<const float> tokens, std::uint32_t dim)
      : n_(tokens.size() / dim), costs_(n_ * n_), sizes_(n_, 1), group_(n_), nearest_(n_) {
    std::vector<double> units(tokens.size());
    for (std::size_t t = 0; t < n_; ++t) {
      const double factor = inverse_norm_of(tokens.subspan(t * dim, dim));
      for (std::size_t i = 0; i < dim; ++i) units[t * dim + i] = tokens[t * dim + i] * factor;
      group_[t] = t;
    }
    for (std::size_t a = 0; a < n_; ++a)
      for (std::size_t b = 0; b < a; ++b) {
        double squared = 0;
        for (std::size_t i = 0; i < dim; ++i) {
          const double apart = units[a * dim + i] - units[b * dim + i];
          squared += apart * apart;
        }
        costs_[a * n_ + b] = costs_[b * n_ + a] = squared / 2;
      }
    for (std::size_t a = 0; a < n_; ++a) find_nearest(a);
  }

  /// group[t] is the first token of the group that t is in.
  std::vector<std::size_t> cut(std::size_t n_groups) && {
    for (std::size_t left = n_; left > n_groups; --left) merge_nearest();
    return std::move(group_);
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  /// Among later groups only: each pair is known to its earlier member.
  void find_nearest(std::size_t a) {
    nearest_[a] = kNone;
    for (std::size_t b = a + 1; b < n_; ++b)
      if (sizes_[b] && (nearest_[a] == kNone || costs_[a * n_ + b] < costs_[a * n_ + nearest_[a]])) nearest_[a] = b;
  }

  void merge_nearest() {
    std::size_t a = kNone;
    for (std::size_t c = 0; c < n_; ++c)
      if (sizes_[c] && nearest_[c] != kNone && (a == kNone || costs_[c * n_ + nearest_[c]] < costs_[a * n_ + nearest_[a]])) a = c;
    const std::size_t b = nearest_[a];
    const auto size_a = static_cast<double>(sizes_[a]), size_b = static_cast<double>(sizes_[b]);
    for (std::size_t c = 0; c < n_; ++c) {
      if (!sizes_[c] || c == a || c == b) continue;
      const auto size_c = static_cast<double>(sizes_[c]);  // Lance and Williams 1967
      costs_[a * n_ + c] = costs_[c * n_ + a] =
          ((size_a + size_c) * costs_[a * n_ + c] + (size_b + size_c) * costs_[b * n_ + c] - size_c * costs_[a * n_ + b]) / (size_a + size_b + size_c);
    }
    sizes_[a] += sizes_[b];
    sizes_[b] = 0;
    for (std::size_t& group : group_)
      if (group == b) group = a;
    for (std::size_t c = 0; c < b; ++c) {
      if (!sizes_[c]) continue;
      if (c == a || nearest_[c] == a || nearest_[c] == b) find_nearest(c);
      else if (c < a && costs_[c * n_ + a] < costs_[c * n_ + nearest_[c]]) nearest_[c] = a;
    }
  }

  std::size_t n_;
  std::vector<double> costs_;
  std::vector<std::size_t> sizes_, group_, nearest_;
};

}  // namespace

std::vector<float> pool_tokens(std::span<const float> tokens, std::uint32_t dim, std::uint32_t factor) {
  const std::size_t n = tokens.size() / dim;
  if (factor < 1) throw InvalidArgument("the pooling factor must be at least 1, got 0");
  if (n > kPooledTokensMax)
    throw InvalidArgument("at most " + std::to_string(kPooledTokensMax) + " tokens can be pooled at once, got " + std::to_string(n) + "; pool them in parts");
  if (factor == 1 || n < 2) return {tokens.begin(), tokens.end()};
  const std::vector<std::size_t> group = Ward(tokens, dim).cut((n + factor - 1) / factor);
  std::vector<float> pooled;
  std::vector<double> mean(dim);
  for (std::size_t first = 0; first < n; ++first) {
    if (group[first] != first) continue;
    std::fill(mean.begin(), mean.end(), 0.0);
    double size = 0;
    for (std::size_t t = first; t < n; ++t) {
      if (group[t] != first) continue;
      for (std::size_t i = 0; i < dim; ++i) mean[i] += tokens[t * dim + i];
      ++size;
    }
    for (const double value : mean) pooled.push_back(static_cast<float>(value / size));
  }
  return pooled;
}

}  // namespace vicino
