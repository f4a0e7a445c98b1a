// The rows that may be among the best, found by sums of 16 bits.
//
// A sum of 32 bits would be exact, but twice as many rows fit into the first-level cache this way, and looking through a window takes half as long. So
// a share is rounded to units of which the largest possible sum has 65,535, and the few rows within that rounding of the best are scored anew.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "util/bitmap.h"

namespace vicino {

struct Candidate {
  std::uint32_t row, score;
};

/// Of more lists, rounding would be a noticeable part of a sum.
constexpr std::size_t kRoundedListsMax = 1024;
constexpr double kLargestRoundedSum = 65535;

class Shortlist {
 public:
  /// slack: a row whose sum is more than that below the k-th largest is not among the best k. known: the same of a sum below this.
  Shortlist(std::size_t k, double slack, double known) : k_(k), slack_(slack), limit_(known >= 1 ? static_cast<std::uint32_t>(known) : 1) {}

  /// Sums below this do not matter; at least 1.
  std::uint32_t limit() const { return limit_; }
  void offer(Candidate candidate);
  /// Learns from what was offered.
  void raise_limit();
  /// Those offered that still matter, in their order.
  std::vector<Candidate> take() &&;

 private:
  void forget_others();

  std::size_t k_, full_ = std::size_t{1} << 16;
  double slack_;
  std::uint32_t limit_;
  std::vector<std::uint32_t> largest_;  // the k largest sums, the least at the front
  std::vector<Candidate> candidates_;
};

/// The sums of the rows of a window, of this thread.
class WindowSums {
 public:
  static constexpr std::uint32_t kRows = 1u << 14;

  WindowSums();
  std::uint16_t* begin() { return sums_; }
  /// Appends those of the rows first ... first + n - 1, the first of them in sums[at], that are allowed and have at least `wanted`; forgets their sums.
  /// `first` and `at` are multiples of 64.
  void take(std::uint32_t first, std::uint32_t at, std::uint32_t n, std::uint32_t wanted, const Bitmap* allowed, std::vector<Candidate>& out);

 private:
  std::uint16_t* sums_;
};

}  // namespace vicino
