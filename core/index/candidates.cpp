#include "index/candidates.h"

#include <algorithm>
#include <limits>

#include "util/thread_pool.h"

namespace vicino {

namespace {

constexpr std::size_t kPanelRows = 32;
constexpr float kLargest = std::numeric_limits<float>::max();

struct Scratch {
  Panel leaf;
  std::vector<std::int32_t> dots;
  std::vector<float> distances;
  std::vector<std::uint32_t> positions;
  std::vector<CandidateKey> keys;
  float guess = 0;
};

/// A bound that at least `wanted` values do not exceed, and few more; `high` is known to be one. Each step is one wide pass over the
/// values, cheaper than any heap. The guess comes from the row before, whose answer is much the same; the bound decides what is looked
/// at, never what is chosen, so a guess cannot change the result.
float find_bound(const float* values, std::size_t count, std::size_t wanted, float high, float& guess) {
  const auto at_most = kernels().count_at_most;
  if (!(guess > 0)) {
    constexpr std::size_t n_samples = 16;
    for (std::size_t i = 0; i < n_samples; ++i) guess += std::min(values[count * i / n_samples], kLargest / n_samples) / n_samples;
  }
  float low = 0, middle = guess, growth = 1.25f;
  for (int step = 0; step < 20 && middle > low && middle < high; ++step) {
    const std::size_t found = at_most(values, count, middle);
    if (found < wanted) {
      low = middle;
      middle = std::min(middle * growth, low + (high - low) / 2);
      growth *= growth;
      continue;
    }
    high = middle;
    if (found <= 3 * wanted) break;
    middle = low > 0 ? low + (high - low) / 2 : middle * 0.8f;
  }
  guess = high;
  return high;
}

/// Keys of the `wanted` nearest of `node` among `members`, no farther than `bound`; the node itself is at infinity.
void select_nearest(const float* distances, std::span<const std::uint32_t> members, std::uint32_t node, std::size_t wanted, float bound,
                    Scratch& scratch) {
  const std::size_t count = members.size();
  if (kernels().count_at_most(distances, count, bound) > wanted) bound = find_bound(distances, count, wanted, bound, scratch.guess);
  const std::size_t found = kernels().collect_at_most(distances, count, bound, scratch.positions.data());
  scratch.keys.clear();
  for (std::size_t i = 0; i < found; ++i) {
    const std::uint32_t position = scratch.positions[i];
    scratch.keys.push_back(candidate_key(distances[position], node, members[position]));
  }
  if (found <= wanted) return;
  std::nth_element(scratch.keys.begin(), scratch.keys.begin() + static_cast<std::ptrdiff_t>(wanted), scratch.keys.end());
  scratch.keys.resize(wanted);
}

void collect_from_leaf(const BuildSpace& space, std::span<const std::uint32_t> members, std::span<const std::uint32_t> nodes,
                       std::size_t per_leaf, const Cancel& cancel, Scratch& scratch, Candidates& candidates) {
  // Both lists ascend, so the members whose candidates are wanted lie between these two.
  const auto first = std::lower_bound(members.begin(), members.end(), nodes.front()) - members.begin();
  const auto last = std::upper_bound(members.begin(), members.end(), nodes.back()) - members.begin();
  if (first == last || members.size() < 2) return;
  space.gather(members, scratch.leaf);
  scratch.distances.resize(kPanelRows * members.size());
  scratch.positions.resize(members.size() + kCollectSlack);
  scratch.guess = 0;
  for (auto start = first; start < last; start += kPanelRows) {
    cancel.check();
    const auto count = std::min<std::ptrdiff_t>(kPanelRows, last - start);
    space.distances(scratch.leaf, static_cast<std::size_t>(start), static_cast<std::size_t>(count), scratch.leaf, scratch.dots,
                    scratch.distances.data());
    for (std::ptrdiff_t r = 0; r < count; ++r) {
      const std::uint32_t node = members[static_cast<std::size_t>(start + r)];
      const auto place = std::lower_bound(nodes.begin(), nodes.end(), node);
      if (*place != node) continue;
      const auto i = static_cast<std::size_t>(place - nodes.begin());
      float* distances = scratch.distances.data() + static_cast<std::size_t>(r) * members.size();
      distances[start + r] = std::numeric_limits<float>::infinity();
      select_nearest(distances, members, node, per_leaf, candidates.bound(i), scratch);
      candidates.add(i, scratch.keys);
    }
  }
}

}  // namespace

void Candidates::add(std::size_t i, std::span<const CandidateKey> keys) {
  while (locks_[i].test_and_set(std::memory_order_acquire)) locks_[i].wait(true, std::memory_order_relaxed);
  if (counts_[i] + keys.size() > kRoom) compact(i);
  std::copy(keys.begin(), keys.end(), keys_.begin() + static_cast<std::ptrdiff_t>(i * kRoom + counts_[i]));
  counts_[i] += static_cast<std::uint32_t>(keys.size());
  locks_[i].clear(std::memory_order_release);
  locks_[i].notify_one();
}

std::span<const CandidateKey> Candidates::nearest(std::size_t i) {
  compact(i);
  return {keys_.data() + i * kRoom, counts_[i]};
}

void Candidates::compact(std::size_t i) {
  const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(i * kRoom);
  const auto end = begin + counts_[i];
  std::sort(begin, end);
  // The distance of two nodes is the same in every leaf, so the same candidate has the same key.
  const auto distinct = static_cast<std::uint32_t>(std::unique(begin, end) - begin);
  counts_[i] = std::min(distinct, kKept);
  if (counts_[i] == kKept) bounds_[i].store(candidate_distance(begin[kKept - 1]), std::memory_order_relaxed);
}

void collect_candidates(const BuildSpace& space, std::span<const Leaves> partitions, std::span<const std::uint32_t> nodes,
                        std::uint32_t per_leaf, unsigned threads, const Cancel& cancel, Candidates& candidates) {
  if (nodes.empty()) return;
  std::vector<Scratch> scratch(std::max(1u, threads));
  for (const Leaves& leaves : partitions)
    parallel_for(threads, leaves.size(), [&](std::size_t leaf, std::size_t worker) {
      collect_from_leaf(space, leaves[leaf], nodes, std::min(per_leaf, Candidates::kKept), cancel, scratch[worker], candidates);
    });
}

}  // namespace vicino
