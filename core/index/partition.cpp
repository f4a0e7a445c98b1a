#include "index/partition.h"

#include <algorithm>
#include <limits>

#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::uint32_t kLeadersMax = 256;   // their codes stay in the second-level cache
constexpr std::uint32_t kPanelRows = 128;
constexpr std::uint32_t kPour = 128;         // buckets below this share a leaf with their neighbors in leader order
constexpr unsigned kDepthMax = 12;
constexpr std::uint32_t kOverlapMax = 2;

using Nodes = std::span<const std::uint32_t>;
using Buckets = std::vector<std::vector<std::uint32_t>>;

struct Scratch {
  Panel panel;
  std::vector<std::int32_t> dots;
  std::vector<float> distances;
  std::vector<std::uint32_t> positions;
};

/// Distinct random members of the set, ascending.
std::vector<std::uint32_t> draw_leaders(Nodes set, std::uint32_t count, Random& random) {
  std::vector<std::uint32_t> leaders;
  for (std::uint32_t i = 0; i < count; ++i) leaders.push_back(set[random.below(static_cast<std::uint32_t>(set.size()))]);
  std::ranges::sort(leaders);
  leaders.erase(std::unique(leaders.begin(), leaders.end()), leaders.end());
  return leaders;
}

/// A bound that at least the two smallest values do not exceed, and few others: of sixteen interleaved parts the second smallest minimum.
float bound_of_two(const float* values, std::size_t count) {
  constexpr std::size_t parts = 16;
  float least[parts];
  std::fill_n(least, parts, std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + parts <= count; i += parts)
    for (std::size_t part = 0; part < parts; ++part) least[part] = values[i + part] < least[part] ? values[i + part] : least[part];
  for (std::size_t part = 0; i + part < count; ++part) least[part] = std::min(least[part], values[i + part]);
  std::nth_element(least, least + 1, least + parts);
  return least[1];
}

/// chosen[i * overlap + j] = position of the j-th nearest leader of node i of `part`; equal distances go to the earlier leader.
void choose_leaders(const BuildSpace& space, Nodes part, const Panel& leaders, std::uint32_t overlap, Scratch& scratch, std::uint16_t* chosen) {
  const std::size_t width = leaders.size();
  scratch.distances.resize(kPanelRows * width);
  scratch.positions.resize(width + kCollectSlack);
  for (std::size_t start = 0; start < part.size(); start += kPanelRows) {
    const std::size_t count = std::min<std::size_t>(kPanelRows, part.size() - start);
    space.gather(part.subspan(start, count), scratch.panel);
    space.distances(scratch.panel, 0, count, leaders, scratch.dots, scratch.distances.data());
    for (std::size_t r = 0; r < count; ++r) {
      const float* distances = scratch.distances.data() + r * width;
      const std::size_t found = kernels().collect_at_most(distances, width, bound_of_two(distances, width), scratch.positions.data());
      float best[kOverlapMax] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
      std::uint16_t leader[kOverlapMax] = {};
      for (std::size_t i = 0; i < found; ++i) {
        const auto position = static_cast<std::uint16_t>(scratch.positions[i]);
        const float distance = distances[position];
        if (distance >= best[1]) continue;
        const bool nearest = distance < best[0];
        best[1] = nearest ? best[0] : distance;
        leader[1] = nearest ? leader[0] : position;
        if (!nearest) continue;
        best[0] = distance;
        leader[0] = position;
      }
      std::copy_n(leader, overlap, chosen + (start + r) * overlap);
    }
  }
}

/// Cuts in random order: the last resort for a set whose nodes all choose one leader, such as copies in all but the last bit.
void cut_plainly(Nodes set, std::uint32_t leaf_max, Random& random, Buckets& leaves) {
  std::vector<std::uint32_t> shuffled(set.begin(), set.end());
  for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[random.below(static_cast<std::uint32_t>(i))]);
  const std::size_t n_leaves = (shuffled.size() + leaf_max - 1) / leaf_max;
  for (std::size_t i = 0; i < n_leaves; ++i)
    leaves.emplace_back(shuffled.begin() + static_cast<std::ptrdiff_t>(shuffled.size() * i / n_leaves),
                        shuffled.begin() + static_cast<std::ptrdiff_t>(shuffled.size() * (i + 1) / n_leaves));
}

/// Joins neighboring small buckets until none is small, but for one when all are. A node may have come twice.
Buckets pour_together(Buckets buckets, std::uint32_t pour) {
  Buckets poured;
  std::vector<std::uint32_t> small;
  for (auto& bucket : buckets) {
    if (bucket.size() >= pour) {
      poured.push_back(std::move(bucket));
      continue;
    }
    small.insert(small.end(), bucket.begin(), bucket.end());
    if (small.size() >= pour) poured.push_back(std::move(small)), small.clear();
  }
  if (!small.empty()) poured.push_back(std::move(small));
  for (auto& bucket : poured) {
    std::ranges::sort(bucket);
    bucket.erase(std::unique(bucket.begin(), bucket.end()), bucket.end());
  }
  return poured;
}

class Carver {
 public:
  Carver(const BuildSpace& space, const CarveParams& params, unsigned threads, const Cancel& cancel)
      : space_(space), params_(params), threads_(threads), cancel_(cancel) {}

  Leaves run(Nodes nodes) {
    Leaves leaves;
    if (nodes.empty()) return leaves;
    Random random(params_.seed);
    if (nodes.size() <= params_.leaf_max) {
      append(leaves, nodes);
      return leaves;
    }
    // The first level is shared by all threads, the buckets below it are one thread's work each.
    const Buckets buckets = split(nodes, params_.overlap, random, threads_);
    std::vector<Buckets> parts(buckets.size());
    std::vector<std::uint64_t> seeds(buckets.size());
    for (auto& seed : seeds) seed = random.next();
    parallel_for(threads_, buckets.size(), [&](std::size_t i, std::size_t) {
      Random own(seeds[i]);
      descend(buckets[i], nodes.size(), 1, own, parts[i]);
    });
    std::size_t total = 0;
    for (const auto& part : parts)
      for (const auto& leaf : part) total += leaf.size();
    leaves.members.reserve(total);
    for (auto& part : parts) {
      for (auto& leaf : part) {
        std::ranges::sort(leaf);
        append(leaves, leaf);
      }
      part = {};
    }
    return leaves;
  }

 private:
  static void append(Leaves& leaves, Nodes leaf) {
    leaves.members.insert(leaves.members.end(), leaf.begin(), leaf.end());
    leaves.starts.push_back(static_cast<std::uint32_t>(leaves.members.size()));
  }

  void descend(Nodes set, std::size_t parent_size, unsigned depth, Random& random, Buckets& leaves) {
    cancel_.check();
    if (set.size() <= params_.leaf_max) {
      leaves.emplace_back(set.begin(), set.end());
      return;
    }
    // A set that hardly shrinks is made of rows that look alike to every leader.
    if (depth >= kDepthMax || set.size() > parent_size - parent_size / 10) return cut_plainly(set, params_.leaf_max, random, leaves);
    for (const auto& bucket : split(set, 1, random, 1)) descend(bucket, set.size(), depth + 1, random, leaves);
  }

  Buckets split(Nodes set, std::uint32_t overlap, Random& random, unsigned threads) {
    const std::size_t wanted = 2 * overlap * set.size() / params_.leaf_max;
    const auto n_leaders = static_cast<std::uint32_t>(std::clamp<std::size_t>(wanted, 2 * overlap, kLeadersMax));
    const auto leader_nodes = draw_leaders(set, n_leaders, random);
    overlap = std::min<std::uint32_t>(overlap, static_cast<std::uint32_t>(leader_nodes.size()));
    Panel leaders;
    space_.gather(leader_nodes, leaders);

    std::vector<std::uint16_t> chosen(set.size() * overlap);
    constexpr std::size_t batch = 1024;
    std::vector<Scratch> scratch(std::max(1u, threads));
    parallel_for(threads, (set.size() + batch - 1) / batch, [&](std::size_t i, std::size_t worker) {
      cancel_.check();
      const std::size_t start = i * batch, count = std::min(batch, set.size() - start);
      choose_leaders(space_, set.subspan(start, count), leaders, overlap, scratch[worker], chosen.data() + start * overlap);
    });

    std::vector<std::uint32_t> counts(leader_nodes.size());
    for (const std::uint16_t leader : chosen) ++counts[leader];
    Buckets buckets(leader_nodes.size());
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i].reserve(counts[i]);
    for (std::size_t i = 0; i < chosen.size(); ++i) buckets[chosen[i]].push_back(set[i / overlap]);
    return pour_together(std::move(buckets), std::min(kPour, params_.leaf_max / 2));
  }

  const BuildSpace& space_;
  const CarveParams& params_;
  unsigned threads_;
  const Cancel& cancel_;
};

}  // namespace

Leaves carve(const BuildSpace& space, std::span<const std::uint32_t> nodes, const CarveParams& params, unsigned threads, const Cancel& cancel) {
  return Carver(space, params, threads, cancel).run(nodes);
}

std::vector<std::uint32_t> leaf_order(const Leaves& leaves, std::uint32_t n_nodes) {
  std::vector<bool> is_named(n_nodes);
  std::vector<std::uint32_t> order;
  order.reserve(n_nodes);
  for (const std::uint32_t node : leaves.members)
    if (!is_named[node]) {
      is_named[node] = true;
      order.push_back(node);
    }
  return order;
}

}  // namespace vicino
