#include "maxsim/scorer.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "util/errors.h"

namespace vicino {

namespace {

constexpr float kNothing = -__builtin_inff();
// Rounding of float sums, relative to |query token| * |token|: kernels add 128 products at a time, each step within 2^-24.
constexpr double kRounding = 2e-5;

}  // namespace

MultiScorer::MultiScorer(const MultiSpec& spec, std::span<const float> query, const Kernels& table)
    : spec_(spec), table_(table), n_tokens_(spec.dim ? query.size() / spec.dim : 0), query_(query.begin(), query.end()), tokens_(spec, table) {
  check_multi_spec(spec);
  if (query.empty() || query.size() % spec.dim)
    throw InvalidArgument("the query of a multi-vector search is one or more tokens of " + std::to_string(spec.dim) + " numbers, got " +
                          std::to_string(query.size()) + " numbers");
  const std::size_t stride = (static_cast<std::size_t>(spec.dim) + 3) / 4 * 4;
  std::vector<std::int8_t> codes(n_tokens_ * stride);
  for (std::size_t t = 0; t < n_tokens_; ++t) {
    const std::span token(query_.data() + t * spec.dim, spec.dim);
    if (spec.metric == Metric::cosine) {
      const double factor = inverse_norm_of(token);
      for (float& value : token) value = static_cast<float>(value * factor);
    }
    const TokenCode code = encode_token(token, 1, codes.data() + t * stride, stride);
    scales_.push_back(code.scale);
    norms_ += norm_of(token);
    lost_ += code.lost;
  }
  codes_ = PackedMaxSimQuery::of_codes(codes.data(), n_tokens_, stride);
  packed_ = pack_maxsim_floats(query_.data(), n_tokens_, spec.dim);
  best_.resize(codes_.n_groups * kMaxSimLanes);
  best_token_.resize(best_.size());
}

float MultiScorer::score(Bytes value) {
  tokens_.read(value);
  std::fill(best_.begin(), best_.end(), kNothing);
  std::fill(best_token_.begin(), best_token_.end(), 0u);
  table_.maxsim_floats(tokens_.values(), tokens_.size(), spec_.dim, tokens_.factors().data(), packed_.data(), codes_.n_groups, best_.data(),
                       best_token_.data());
  double total = 0;
  for (std::size_t t = 0; t < n_tokens_; ++t) total += best_[t];
  // A sum of floats may overflow on its way, and the inverse norm of a tiny token is beyond floats.
  const bool regular = std::all_of(tokens_.factors().begin(), tokens_.factors().end(), [](float f) { return f == 0 || std::isnormal(f); });
  if (!std::isfinite(total) || !regular) {
    score_in_double();
    total = 0;
    for (std::size_t t = 0; t < n_tokens_; ++t) total += best_[t];
  }
  return static_cast<float>(std::clamp<double>(total, -FLT_MAX, FLT_MAX));
}

void MultiScorer::score_in_double() {
  for (std::size_t q = 0; q < n_tokens_; ++q) {
    best_[q] = kNothing;
    for (std::size_t t = 0; t < tokens_.size(); ++t) {
      double dot = 0;
      for (std::size_t i = 0; i < spec_.dim; ++i) dot += static_cast<double>(query_[q * spec_.dim + i]) * tokens_[t][i];
      if (spec_.metric == Metric::cosine) dot *= inverse_norm_of({tokens_[t], spec_.dim});
      const auto similarity = static_cast<float>(std::clamp<double>(dot, -FLT_MAX, FLT_MAX));
      if (!(similarity > best_[q])) continue;
      best_[q] = similarity;
      best_token_[q] = static_cast<std::uint32_t>(t);
    }
  }
}

std::uint32_t MultiScorer::leading_query_token() const {
  return static_cast<std::uint32_t>(std::max_element(best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(n_tokens_)) - best_.begin());
}

MultiScorer::Estimate MultiScorer::estimate(const MultiIndex& index, std::uint32_t row, const RowBytes& value) {
  const std::uint64_t first = index.first_token(row);
  std::fill(best_.begin(), best_.end(), kNothing);
  table_.maxsim_codes(index.codes(row, value), index.n_tokens_of(row), index.stride(), index.scales().data() + first,
                      index.corrections().data() + first, codes_.view(), best_.data());
  double total = 0;
  for (std::size_t t = 0; t < n_tokens_; ++t) total += scales_[t] * best_[t];
  const double norm = index.norm(row), residual = index.residual(row);
  const double error = norms_ * residual + lost_ * norm + kRounding * norms_ * (norm + residual);
  // A scale below the range of floats makes 0 * inf of it: nothing is known then.
  if (!std::isfinite(total) || !std::isfinite(error)) return {0, __builtin_inf()};
  return {total, error};
}

}  // namespace vicino
