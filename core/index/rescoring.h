// How what codes have found is scored by the rows themselves.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/vectors.h"

namespace vicino {

// A row is scored as long as its estimate less so many times the error bound, which 99 % of the estimates keep, beats the k-th best: at one
// time the rows beyond cost as much recall as a beam that is a sixth narrower.
constexpr float kRescoredErrors = 1.5f;

struct Rescoring {
  enum class By : std::uint8_t {
    bound,     // as many rows as the error bound of the code leaves a chance
    count,     // the `count` nearest by their codes
    estimates  // none: distances are what the codes say
  };
  By by = By::bound;
  std::size_t count = 0;

  /// How many of the nearest by their codes have to be known for k rows.
  std::size_t kept(std::size_t k) const { return by == By::count ? std::max(count, k) : k; }
};

/// An estimate as a distance that the metric can have: codes know nothing of its limits.
inline float as_distance(Metric metric, float estimate) {
  if (metric == Metric::cosine) return std::clamp(estimate, 0.0f, 2.0f);
  return metric == Metric::l2 ? std::max(estimate, 0.0f) : estimate;
}

}  // namespace vicino
