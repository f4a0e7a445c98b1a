// What a search finds when nobody says what it is to find: by this the beam of graphs and the number of lists are measured when they are built.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

namespace vicino {

constexpr double kUsualRecall = 0.95;
constexpr std::size_t kUsualNeighbors = 10;  // of which it is the share that is found

/// The recalls of a sample of queries.
class SampledRecall {
 public:
  /// Of so many queries, each 0.
  explicit SampledRecall(std::size_t n_queries) : n_(static_cast<double>(n_queries)) {}

  /// One of them finds more.
  void raise(double before, double after) {
    sum_ += after - before;
    squares_ += after * after - before * before;
  }
  /// Whether the mean is above the usual recall by a standard error.
  bool is_enough() const {
    const double mean = sum_ / n_, variance = std::max(0.0, squares_ / n_ - mean * mean);
    return mean - std::sqrt(variance / n_) >= kUsualRecall;
  }

 private:
  double n_, sum_ = 0, squares_ = 0;
};

}  // namespace vicino
