#include "index/repair.h"

#include <algorithm>
#include <numeric>

#include "index/candidates.h"
#include "index/partition.h"
#include "index/prune.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::uint32_t kRescueBelow = 4;       // in-links; fewer, and a beam rarely comes by
constexpr std::uint32_t kRescueOutBelow = 6;    // links; fewer, and the candidates were hardly more than one spot
constexpr std::uint32_t kRescueOldLinks = 8;    // the way back to the rest of the graph
constexpr std::uint32_t kRescueLeaf = 128;
constexpr std::uint32_t kRescueReplicates = 6;
constexpr std::uint32_t kRescuePerLeaf = 12;
constexpr std::size_t kRescueChunk = 32768;     // nodes whose candidates are held at a time
constexpr std::uint32_t kInLinksMin = 2;
constexpr std::uint32_t kNoParent = 0xffffffff;

std::vector<std::uint32_t> count_in_links(LinkTable links) {
  std::vector<std::uint32_t> counts(links.n_nodes());
  for (std::uint32_t node = 0; node < links.n_nodes(); ++node)
    for (const std::uint32_t to : links[node]) ++counts[to];
  return counts;
}

bool has_link(LinkTable links, std::uint32_t from, std::uint32_t to) { return std::ranges::find(links[from], to) != links[from].end(); }

}  // namespace

std::span<std::uint32_t> LinkTable::operator[](std::uint32_t node) const {
  const auto all = slots(node);
  std::size_t used = all.size();
  while (used && all[used - 1] == kFree) --used;
  return all.first(used);
}

void LinkTable::set(std::uint32_t node, std::span<const std::uint32_t> links) const {
  const auto all = slots(node);
  std::ranges::fill(std::ranges::copy(links, all.begin()).out, all.end(), kFree);
}

void rescue(const BuildSpace& space, LinkTable links, const RepairParams& params, const Cancel& cancel) {
  const auto in_links = count_in_links(links);
  std::vector<std::uint32_t> poor;
  for (std::uint32_t node = 0; node < links.n_nodes(); ++node)
    if (in_links[node] < kRescueBelow || links[node].size() < kRescueOutBelow) poor.push_back(node);
  if (poor.size() < 2 || links.stride() < 2) return;

  std::vector<Leaves> partitions;
  for (std::uint32_t replicate = 0; replicate < (poor.size() > kRescueLeaf ? kRescueReplicates : 1); ++replicate)
    partitions.push_back(carve(space, poor, {kRescueLeaf, 2, params.seed + replicate}, params.threads, cancel));

  const std::uint32_t n_old = std::min(kRescueOldLinks, links.stride() / 2);
  for (std::size_t start = 0; start < poor.size(); start += kRescueChunk) {
    const auto nodes = std::span(poor).subspan(start, std::min(kRescueChunk, poor.size() - start));
    Candidates candidates(nodes.size());
    collect_candidates(space, partitions, nodes, kRescuePerLeaf, params.threads, cancel, candidates);
    constexpr std::size_t batch = 64;
    parallel_for(params.threads, (nodes.size() + batch - 1) / batch, [&](std::size_t index, std::size_t) {
      cancel.check();
      Pruner pruner(space, links.stride(), params.alpha);
      for (std::size_t i = index * batch; i < std::min(nodes.size(), (index + 1) * batch); ++i) {
        const auto old = links[nodes[i]];
        std::vector<std::uint32_t> all(old.begin(), old.begin() + std::min<std::ptrdiff_t>(n_old, static_cast<std::ptrdiff_t>(old.size())));
        for (const std::uint32_t link : pruner.select(nodes[i], candidates.nearest(i), links.stride() - n_old))
          if (std::ranges::find(all, link) == all.end()) all.push_back(link);
        // Old links fill what the rescue left free.
        for (std::size_t j = n_old; j < old.size() && all.size() < links.stride(); ++j)
          if (std::ranges::find(all, old[j]) == all.end()) all.push_back(old[j]);
        std::vector<std::uint32_t> nearest_first;
        for (const CandidateKey key : pruner.rank(nodes[i], all, links.stride())) nearest_first.push_back(candidate_node(key, nodes[i]));
        links.set(nodes[i], nearest_first);
      }
    });
  }
}

void raise_in_links(LinkTable links) {
  auto in_links = count_in_links(links);
  for (std::uint32_t node = 0; node < links.n_nodes(); ++node) {
    for (const std::uint32_t from : links[node]) {
      if (in_links[node] >= kInLinksMin) break;
      if (has_link(links, from, node)) continue;
      const auto slots = links.slots(from);
      std::uint32_t& last = slots.back();
      if (last == LinkTable::kFree) {
        *std::ranges::find(slots, LinkTable::kFree) = node;
      } else if (in_links[last] > kRescueBelow) {
        --in_links[last];
        last = node;
      } else {
        continue;
      }
      ++in_links[node];
    }
  }
}

namespace {

/// The breadth-first walk and what it has seen.
class Reach {
 public:
  Reach(const BuildSpace& space, LinkTable links) : space_(space), links_(links), parents_(links.n_nodes(), kNoParent) {}

  void walk_from(std::uint32_t node, std::uint32_t parent) {
    parents_[node] = parent;
    std::vector<std::uint32_t> queue{node};
    for (std::size_t i = 0; i < queue.size(); ++i)
      for (const std::uint32_t to : links_[queue[i]])
        if (parents_[to] == kNoParent) {
          parents_[to] = queue[i];
          queue.push_back(to);
        }
  }
  bool reached(std::uint32_t node) const { return parents_[node] != kNoParent; }

  /// Links a reached node to `node` and walks on from there. Nearest places first; the links of all reached nodes outnumber those the
  /// walk used, so some place is always free.
  void attach(std::uint32_t node, std::span<const std::uint32_t> entries) {
    std::vector<std::uint32_t> places(links_[node].begin(), links_[node].end());
    places.insert(places.end(), entries.begin(), entries.end());
    std::erase_if(places, [&](std::uint32_t place) { return !reached(place); });
    Pruner pruner(space_, links_.stride(), 1);
    for (const CandidateKey key : pruner.rank(node, places, places.size()))
      if (try_link(candidate_node(key, node), node)) return;
    for (std::uint32_t place = 0; place < links_.n_nodes(); ++place)
      if (reached(place) && try_link(place, node)) return;
  }

 private:
  bool try_link(std::uint32_t from, std::uint32_t node) {
    const auto slots = links_.slots(from);
    // The farthest link that the walk did not use; a free slot counts as farthest.
    for (std::size_t i = slots.size(); i-- > 0;) {
      const bool used = slots[i] != LinkTable::kFree && parents_[slots[i]] == from;
      if (used) continue;
      const std::size_t place = slots[i] == LinkTable::kFree ? links_[from].size() : i;
      slots[place] = node;
      walk_from(node, from);
      return true;
    }
    return false;
  }

  const BuildSpace& space_;
  LinkTable links_;
  std::vector<std::uint32_t> parents_;
};

}  // namespace

void make_reachable(const BuildSpace& space, LinkTable links, std::span<const std::uint32_t> entries) {
  Reach reach(space, links);
  reach.walk_from(entries[0], entries[0]);
  for (std::uint32_t node = 0; node < links.n_nodes(); ++node)
    if (!reach.reached(node)) reach.attach(node, entries);
}

}  // namespace vicino
