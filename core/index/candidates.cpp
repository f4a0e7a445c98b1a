#include "index/candidates.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kPanelRows = 64;  // compared at a time with all that comes after them
constexpr std::size_t kPad = 16;        // floats: rows a power of two apart would share the sets of a cache
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

typedef float FourFloats __attribute__((vector_size(16)));

/// to[c][r] = from[r][c] for four rows and columns, whose lines are `stride` apart.
void transpose_four(const float* from, float* to, std::size_t stride) {
  FourFloats r[4];
  for (std::size_t i = 0; i < 4; ++i) std::memcpy(&r[i], from + i * stride, sizeof r[i]);
  const FourFloats low_01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), high_01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const FourFloats low_23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), high_23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const FourFloats columns[4] = {__builtin_shufflevector(low_01, low_23, 0, 1, 4, 5), __builtin_shufflevector(low_01, low_23, 2, 3, 6, 7),
                                 __builtin_shufflevector(high_01, high_23, 0, 1, 4, 5), __builtin_shufflevector(high_01, high_23, 2, 3, 6, 7)};
  for (std::size_t i = 0; i < 4; ++i) std::memcpy(to + i * stride, &columns[i], sizeof columns[i]);
}

/// Distances of some members of a leaf to all of them, a panel of rows at a time. Of two rows among those members the distance is computed once.
class LeafDistances {
 public:
  LeafDistances(const BuildSpace& space, std::span<const std::uint32_t> members, std::size_t first, std::size_t last, Scratch& scratch)
      : space_(space), scratch_(scratch), first_(first), last_(last), size_(members.size()), stride_(members.size() + kPad) {
    space.gather(members, scratch.leaf);
    if (scratch.distances.size() < (last - first) * stride_) scratch.distances.resize((last - first) * stride_);
  }

  /// Completes the rows of members start .. end; panels come in ascending order.
  void complete(std::size_t start, std::size_t end) {
    float* panel = (*this)[start];
    space_.distances(scratch_.leaf, start, end - start, scratch_.leaf, 0, first_, scratch_.dots, stride_, panel);
    space_.distances(scratch_.leaf, start, end - start, scratch_.leaf, start, size_, scratch_.dots, stride_, panel);
    // By squares of sixteen, whose lines stay in the first-level cache.
    constexpr std::size_t side = 16;
    for (std::size_t row = end; row < last_; row += side)
      for (std::size_t column = start; column < end; column += side)
        mirror(row, std::min(row + side, last_), column, std::min(column + side, end));
  }
  float* operator[](std::size_t member) { return scratch_.distances.data() + (member - first_) * stride_; }

 private:
  /// The distances of rows row .. row_end to columns column .. column_end, which are known the other way round.
  void mirror(std::size_t row, std::size_t row_end, std::size_t column, std::size_t column_end) {
    for (; column + 4 <= column_end; column += 4) {
      std::size_t r = row;
      for (; r + 4 <= row_end; r += 4) transpose_four((*this)[column] + r, (*this)[r] + column, stride_);
      for (; r < row_end; ++r)
        for (std::size_t c = column; c < column + 4; ++c) (*this)[r][c] = (*this)[c][r];
    }
    for (; column < column_end; ++column)
      for (std::size_t r = row; r < row_end; ++r) (*this)[r][column] = (*this)[column][r];
  }

  const BuildSpace& space_;
  Scratch& scratch_;
  std::size_t first_, last_, size_, stride_;
};

void collect_from_leaf(const BuildSpace& space, std::span<const std::uint32_t> members, std::span<const std::uint32_t> nodes,
                       std::size_t per_leaf, const Cancel& cancel, Scratch& scratch, Candidates& candidates) {
  // Both lists ascend, so the members whose candidates are wanted lie between these two.
  const auto first = static_cast<std::size_t>(std::lower_bound(members.begin(), members.end(), nodes.front()) - members.begin());
  const auto last = static_cast<std::size_t>(std::upper_bound(members.begin(), members.end(), nodes.back()) - members.begin());
  if (first == last || members.size() < 2) return;
  LeafDistances distances(space, members, first, last, scratch);
  scratch.positions.resize(members.size() + kCollectSlack);
  scratch.guess = 0;
  const bool are_all = nodes.back() - nodes.front() + 1 == nodes.size();  // then a node's place needs no search
  for (std::size_t start = first; start < last; start += kPanelRows) {
    cancel.check();
    const std::size_t end = std::min(start + kPanelRows, last);
    // What is known of a node lies apart from what is known of the next: asked for before the distances, its keys after them.
    const auto panel = are_all ? members.subspan(start, end - start) : std::span<const std::uint32_t>();
    for (const std::uint32_t node : panel) candidates.prefetch(node - nodes.front());
    distances.complete(start, end);
    for (const std::uint32_t node : panel) candidates.prefetch_room(node - nodes.front());
    for (std::size_t member = start; member < end; ++member) {
      const std::uint32_t node = members[member];
      const auto i = are_all ? node - nodes.front() : static_cast<std::size_t>(std::ranges::lower_bound(nodes, node) - nodes.begin());
      if (nodes[i] != node) continue;
      distances[member][member] = std::numeric_limits<float>::infinity();
      select_nearest(distances[member], members, node, per_leaf, candidates.bound(i), scratch);
      candidates.add(i, scratch.keys);
    }
  }
}

}  // namespace

void Candidates::add(std::size_t i, std::span<const CandidateKey> keys) {
  while (locks_[i].test_and_set(std::memory_order_acquire)) locks_[i].wait(true, std::memory_order_relaxed);
  if (count(i) + keys.size() > kRoom) compact(i);
  const std::uint32_t before = count(i);
  std::copy(keys.begin(), keys.end(), keys_.begin() + static_cast<std::ptrdiff_t>(i * kRoom + before));
  counts_[i].store(before + static_cast<std::uint32_t>(keys.size()), std::memory_order_relaxed);
  locks_[i].clear(std::memory_order_release);
  locks_[i].notify_one();
}

std::span<const CandidateKey> Candidates::nearest(std::size_t i) {
  compact(i);
  return {keys_.data() + i * kRoom, count(i)};
}

void Candidates::compact(std::size_t i) {
  const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(i * kRoom);
  const auto end = begin + count(i);
  kernels().sort_keys(&*begin, count(i));
  // The distance of two nodes is the same in every leaf, so the same candidate has the same key.
  const auto distinct = static_cast<std::uint32_t>(std::unique(begin, end) - begin);
  counts_[i].store(std::min(distinct, kKept), std::memory_order_relaxed);
  if (distinct >= kKept) bounds_[i].store(candidate_distance(begin[kKept - 1]), std::memory_order_relaxed);
}

std::size_t leaf_scratch_bytes(std::uint32_t leaf) { return std::size_t{leaf} * (leaf + kPad) * sizeof(float) + kPanelRows * sizeof(std::int32_t) * std::size_t{leaf}; }

void collect_candidates(const BuildSpace& space, std::span<const Leaves> partitions, std::span<const std::uint32_t> nodes,
                        std::uint32_t per_leaf, unsigned threads, const Cancel& cancel, Candidates& candidates) {
  if (nodes.empty()) return;
  std::size_t largest = 0;
  for (const Leaves& leaves : partitions)
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) largest = std::max(largest, leaves[leaf].size());
  std::vector<Scratch> scratch(std::max(1u, threads));
  for (Scratch& each : scratch) {
    each.distances.reserve(largest * (largest + kPad));
    each.dots.reserve(kPanelRows * largest);
  }
  for (const Leaves& leaves : partitions)
    parallel_for(threads, leaves.size(), [&](std::size_t leaf, std::size_t worker) {
      collect_from_leaf(space, leaves[leaf], nodes, std::min(per_leaf, Candidates::kKept), cancel, scratch[worker], candidates);
    });
}

}  // namespace vicino
