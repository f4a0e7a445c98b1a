#include "index/entry_groups.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vicino {

namespace {

constexpr std::uint32_t kEntriesMin = 64;
// More than any graph has. A damaged header may say so, and grouping them would take minutes and gigabytes.
constexpr std::uint32_t kEntriesMax = 4096;
// Bytes. All entries by codes of one line cost no more than the hop that groups add now and then (measured: l2, 128 dimensions).
constexpr std::size_t kCodeMin = 128;
constexpr int kRounds = 4;

/// The entries as their codes have them, less the mean of all rows, and means of some of them.
class Points {
 public:
  Points(const GraphCodes& codes, std::uint32_t count) : dims_(codes.ladder().code_dims()), points_(count * dims_) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const float scale = codes.ladder().scale_of(codes.view(), CodeLevel::bits4, i);
      const std::uint8_t* nibbles = codes.view().high + i * codes.ladder().stride();
      float* point = points_.data() + i * dims_;
      for (std::size_t j = 0; j < dims_ / 2; ++j) {
        point[2 * j] = (static_cast<float>(nibbles[j] & 15) - 7.5f) * scale;
        point[2 * j + 1] = (static_cast<float>(nibbles[j] >> 4) - 7.5f) * scale;
      }
    }
  }
  const float* at(std::size_t i) const { return points_.data() + i * dims_; }
  std::size_t dims() const { return dims_; }
  float distance(const float* a, const float* b) const {
    const VectorSums sums = kernels().sum_vectors(a, b, dims_), other = kernels().sum_vectors(b, b, dims_);
    return sums.square + other.square - 2 * sums.product;
  }

 private:
  std::size_t dims_;
  std::vector<float> points_;
};

/// One entry after the other, each as far as can be from those before.
std::vector<std::uint32_t> far_apart(const Points& points, std::uint32_t count, std::size_t wanted) {
  std::vector<std::uint32_t> chosen{0};
  std::vector<float> nearest(count, std::numeric_limits<float>::max());
  while (chosen.size() < wanted) {
    for (std::uint32_t i = 0; i < count; ++i) nearest[i] = std::min(nearest[i], points.distance(points.at(i), points.at(chosen.back())));
    chosen.push_back(static_cast<std::uint32_t>(std::ranges::max_element(nearest) - nearest.begin()));
  }
  return chosen;
}

}  // namespace

bool EntryGroups::are_worthwhile(const GraphCodes& codes, std::uint32_t n_entries) {
  return n_entries >= kEntriesMin && n_entries <= kEntriesMax && codes.ladder().stride() >= kCodeMin;
}

EntryGroups::EntryGroups(const GraphCodes& codes, std::uint32_t n_entries) {
  const Points points(codes, n_entries);
  const auto n_groups = static_cast<std::size_t>(std::sqrt(static_cast<double>(n_entries)));
  const std::size_t dims = points.dims();
  std::vector<float> means(n_groups * dims);
  // Those far apart alone would be the odd ones out of most sets, with nearly all others around one of them.
  std::vector<std::uint32_t> first = far_apart(points, n_entries, n_groups / 2);
  for (std::size_t i = 0, rest = n_groups - first.size(); i < rest; ++i) first.push_back(static_cast<std::uint32_t>(n_entries * (2 * i + 1) / (2 * rest)));
  for (std::size_t g = 0; g < n_groups; ++g) std::copy_n(points.at(first[g]), dims, means.data() + g * dims);
  std::vector<std::size_t> group_of(n_entries);
  std::vector<float> distances(n_entries);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::size_t> sizes(n_groups);
    for (std::uint32_t i = 0; i < n_entries; ++i) {
      distances[i] = std::numeric_limits<float>::max();
      for (std::size_t g = 0; g < n_groups; ++g)
        if (const float distance = points.distance(points.at(i), means.data() + g * dims); distance < distances[i]) {
          distances[i] = distance;
          group_of[i] = g;
        }
      ++sizes[group_of[i]];
    }
    if (round + 1 == kRounds) break;
    std::vector<float> sums(means.size());
    for (std::uint32_t i = 0; i < n_entries; ++i)
      for (std::size_t j = 0; j < dims; ++j) sums[group_of[i] * dims + j] += points.at(i)[j];
    for (std::size_t g = 0; g < n_groups; ++g)
      for (std::size_t j = 0; sizes[g] && j < dims; ++j) means[g * dims + j] = sums[g * dims + j] / static_cast<float>(sizes[g]);
  }
  starts_.push_back(0);
  for (std::size_t g = 0; g < n_groups; ++g) {
    std::uint32_t head = n_entries;
    for (std::uint32_t i = 0; i < n_entries; ++i) {
      if (group_of[i] != g) continue;
      members_.push_back(i);
      if (head == n_entries || distances[i] < distances[head]) head = i;
    }
    if (head == n_entries) continue;  // nothing is nearest to this mean
    heads_.push_back(head);
    starts_.push_back(static_cast<std::uint32_t>(members_.size()));
  }
}

}  // namespace vicino
