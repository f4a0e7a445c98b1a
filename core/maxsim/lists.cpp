#include "maxsim/lists.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "maxsim/tokens.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kBatch = 128;             // tokens multiplied with all centroids at a time
constexpr std::uint64_t kSamplePerCentroid = 64;
constexpr int kRounds = 5;

/// Centroids while they move: directions in double, and their codes.
class Centroids {
 public:
  Centroids(std::uint32_t n, std::uint32_t dim) : n_(n), dim_(dim), wide_(wide_stride(dim)), codes_(n * wide_), steps_(n), sums_(n) {}

  void set(std::uint32_t centroid, std::span<const float> direction) {
    const TokenCode code = encode_token(direction, inverse_norm_of(direction), codes_.data() + centroid * wide_, wide_);
    steps_[centroid] = static_cast<float>(code.scale);
    sums_[centroid] = code.sum;
  }
  /// nearest[i] is the centroid of the largest cosine to codes[i], the first of equals, and dots[i] the product of their codes.
  void assign(std::span<const std::int8_t* const> codes, std::uint32_t* nearest, std::int32_t* dots, std::vector<std::int8_t>& padded,
              std::vector<std::int32_t>& products) const {
    padded.assign(codes.size() * wide_, 0);
    for (std::size_t i = 0; i < codes.size(); ++i)
      for (std::size_t at = 0; at < dim_; ++at)  // the kernel multiplies -127..127; int8 values may be -128
        padded[i * wide_ + at] = std::max<std::int8_t>(codes[i][at], -127);
    products.resize(codes.size() * n_);
    kernels().code_products(padded.data(), codes.size(), codes_.data(), sums_.data(), n_, wide_, products.data());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::int32_t* row = products.data() + i * n_;
      float best = -__builtin_inff();
      for (std::uint32_t c = 0; c < n_; ++c) {
        const float similarity = steps_[c] * static_cast<float>(row[c]);
        if (similarity <= best) continue;
        best = similarity;
        nearest[i] = c;
      }
      dots[i] = row[nearest[i]];
    }
  }
  std::uint32_t size() const { return n_; }
  void move_into(CentroidLists& lists) {
    lists.codes = std::move(codes_);
    lists.steps = std::move(steps_);
    lists.sums = std::move(sums_);
  }
  float step(std::uint32_t centroid) const { return steps_[centroid]; }

 private:
  std::uint32_t n_, dim_;
  std::size_t wide_;
  std::vector<std::int8_t> codes_;
  std::vector<float> steps_;
  std::vector<std::int32_t> sums_;
};

struct Assignment {
  std::vector<std::uint32_t> nearest;
  std::vector<std::int32_t> dots;
};

template <class TokenAt>
Assignment assign_all(const Centroids& centroids, const CodedTokens& tokens, std::uint64_t count, TokenAt&& token_at, unsigned threads,
                      const Cancel& cancel) {
  Assignment found{std::vector<std::uint32_t>(count), std::vector<std::int32_t>(count)};
  struct Scratch {
    std::vector<std::int8_t> padded;
    std::vector<std::int32_t> products;
  };
  std::vector<Scratch> scratch(std::max(1u, threads));
  parallel_for(threads, (count + kBatch - 1) / kBatch, [&](std::size_t batch, std::size_t worker) {
    if (threads <= 1 || cancel.cancelled()) cancel.check();
    const std::int8_t* codes[kBatch];
    const std::uint64_t first = batch * kBatch, n = std::min<std::uint64_t>(kBatch, count - first);
    for (std::uint64_t i = 0; i < n; ++i) codes[i] = tokens.code(token_at(first + i));
    centroids.assign({codes, n}, found.nearest.data() + first, found.dots.data() + first, scratch[worker].padded, scratch[worker].products);
  });
  return found;
}

/// Every centroid becomes the mean direction of its sample tokens; one that has none stays.
void move_centroids(Centroids& centroids, const CodedTokens& tokens, std::span<const std::uint64_t> sample, const Assignment& found) {
  const std::size_t dim = tokens.dim;
  std::vector<float> means(centroids.size() * dim);
  std::vector<std::uint32_t> counts(centroids.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const std::int8_t* code = tokens.code(sample[i]);
    std::int64_t squares = 0;
    for (std::size_t at = 0; at < dim; ++at) squares += code[at] * code[at];
    if (squares == 0) continue;
    const float factor = static_cast<float>(1 / std::sqrt(static_cast<double>(squares)));
    float* mean = means.data() + found.nearest[i] * dim;
    for (std::size_t at = 0; at < dim; ++at) mean[at] += factor * static_cast<float>(code[at]);
    ++counts[found.nearest[i]];
  }
  for (std::uint32_t c = 0; c < centroids.size(); ++c)
    if (counts[c]) centroids.set(c, {means.data() + c * dim, dim});
}

/// Distinct tokens, one drawn from each of equal stretches: in order, and spread over the whole segment.
std::vector<std::uint64_t> draw(std::uint64_t n_tokens, std::uint64_t count, Random& random) {
  std::vector<std::uint64_t> drawn(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t begin = n_tokens * i / count, end = n_tokens * (i + 1) / count;  // count is at most 2^21
    drawn[i] = begin + random.below(static_cast<std::uint32_t>(std::min<std::uint64_t>(end - begin, 0xffffffff)));
  }
  return drawn;
}

Centroids train(const CodedTokens& tokens, std::uint64_t seed, unsigned threads, const Cancel& cancel) {
  Centroids centroids(centroids_for(tokens.n_tokens), tokens.dim);
  Random random(seed);
  const auto first = draw(tokens.n_tokens, centroids.size(), random);
  std::vector<float> direction(tokens.dim);
  for (std::uint32_t c = 0; c < centroids.size(); ++c) {
    const std::int8_t* code = tokens.code(first[c]);
    for (std::size_t at = 0; at < tokens.dim; ++at) direction[at] = code[at];
    centroids.set(c, direction);
  }
  const auto sample = draw(tokens.n_tokens, std::min(tokens.n_tokens, kSamplePerCentroid * centroids.size()), random);
  for (int round = 0; round < kRounds; ++round)
    move_centroids(centroids, tokens, sample, assign_all(centroids, tokens, sample.size(), [&](std::uint64_t i) { return sample[i]; }, threads, cancel));
  return centroids;
}

}  // namespace

std::uint32_t centroids_for(std::uint64_t n_tokens) {
  const auto wanted = static_cast<std::uint64_t>(4 * std::sqrt(static_cast<double>(n_tokens)));
  return static_cast<std::uint32_t>(std::bit_floor(std::clamp<std::uint64_t>(std::min(wanted, n_tokens), 1, 32768)));
}

std::size_t wide_stride(std::uint32_t dim) { return (static_cast<std::size_t>(dim) + 63) / 64 * 64; }

CentroidLists build_lists(const CodedTokens& tokens, std::uint64_t seed, unsigned threads, const Cancel& cancel) {
  Centroids centroids = train(tokens, seed, threads, cancel);
  const std::uint32_t n = centroids.size();
  const Assignment found = assign_all(centroids, tokens, tokens.n_tokens, [](std::uint64_t token) { return token; }, threads, cancel);

  CentroidLists lists;
  std::vector<double> lengths(n);
  std::vector<std::uint64_t> members(n);
  lists.starts.assign(n + 1, 0);
  std::vector<std::uint64_t> last(n, ~std::uint64_t{0});  // the row that a list ends with: a row is listed once
  const auto for_each_entry = [&](auto&& visit) {
    std::fill(last.begin(), last.end(), ~std::uint64_t{0});
    for (std::uint64_t token = 0; token < tokens.n_tokens; ++token) {
      const std::uint32_t c = found.nearest[token], row = tokens.row(token);
      if (last[c] != row) visit(c, row);
      last[c] = row;
    }
  };
  for (std::uint64_t token = 0; token < tokens.n_tokens; ++token) {
    const std::uint32_t c = found.nearest[token];
    lengths[c] += static_cast<double>(tokens.scales[token]) * centroids.step(c) * found.dots[token];
    ++members[c];
  }
  for_each_entry([&](std::uint32_t c, std::uint32_t) { ++lists.starts[c + 1]; });
  for (std::uint32_t c = 0; c < n; ++c) lists.starts[c + 1] += lists.starts[c];
  lists.rows.resize(lists.starts[n]);
  std::vector<std::uint64_t> at(lists.starts.begin(), lists.starts.end() - 1);
  for_each_entry([&](std::uint32_t c, std::uint32_t row) { lists.rows[at[c]++] = row; });
  lists.lengths.resize(n);
  for (std::uint32_t c = 0; c < n; ++c) lists.lengths[c] = members[c] ? static_cast<float>(lengths[c] / static_cast<double>(members[c])) : 0;
  centroids.move_into(lists);
  return lists;
}

}  // namespace vicino
