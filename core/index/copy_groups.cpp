#include "index/copy_groups.h"

#include <algorithm>
#include <cstring>

#include "index/partition.h"
#include "util/hash.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kRowsPerCheck = 128;
constexpr std::size_t kCrowd = 8;      // near copies among a node's candidates; fewer leave room enough for others
// A leader takes crowded nodes up to twice the distance, squared here, at which they are near: a crowd is then one group, not many that overlap.
constexpr float kReach = 4;

struct Absorbed {
  std::uint32_t row, leader;
};

/// The first member of a leaf takes all that are near it, then the first of the rest does, and so on.
void absorb_within(const BuildSpace& space, std::span<const std::uint32_t> members, const Cancel& cancel, std::vector<Absorbed>& absorbed) {
  Panel leaf;
  std::vector<std::int32_t> dots;
  std::vector<float> distances(members.size());
  std::vector<char> is_taken(members.size());
  space.gather(members, leaf);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (is_taken[i]) continue;
    if (i % kRowsPerCheck == 0) cancel.check();
    space.distances(leaf, i, 1, leaf, dots, distances.data());
    const float radius = kReach * space.near_distance(members[i]);
    for (std::size_t j = i + 1; j < members.size(); ++j)
      if (!is_taken[j] && distances[j] <= radius) {
        is_taken[j] = 1;
        absorbed.push_back({space.row(members[j]), space.row(members[i])});
      }
  }
}

}  // namespace

CopyGroups group_equal_rows(const VectorBlock& block, std::span<const std::uint32_t> rows, const Cancel& cancel) {
  const std::size_t size = row_bytes(block.dtype, block.dim);
  struct Keyed {
    std::uint64_t hash;
    std::uint32_t row;
    bool operator<(const Keyed& other) const { return hash != other.hash ? hash < other.hash : row < other.row; }
  };
  std::vector<Keyed> keyed(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % kRowsPerCheck == 0) cancel.check();
    keyed[i] = {hash_bytes({block.row(rows[i]), size}), rows[i]};
  }
  std::sort(keyed.begin(), keyed.end());

  // Inside a run of equal hashes rows ascend, so the first of each kind is its representative.
  CopyGroups groups;
  for (std::size_t start = 0; start < keyed.size();) {
    std::vector<std::uint32_t> distinct;
    std::size_t end = start;
    for (; end < keyed.size() && keyed[end].hash == keyed[start].hash; ++end) {
      const std::uint32_t row = keyed[end].row;
      const auto same = std::ranges::find_if(distinct, [&](std::uint32_t other) { return !std::memcmp(block.row(row), block.row(other), size); });
      if (same == distinct.end()) distinct.push_back(row);
      else groups.copies.push_back({*same, false, row});
    }
    groups.representatives.insert(groups.representatives.end(), distinct.begin(), distinct.end());
    start = end;
  }
  std::ranges::sort(groups.representatives);
  std::ranges::sort(groups.copies);
  return groups;
}

bool is_crowded(const BuildSpace& space, std::uint32_t node, std::span<const CandidateKey> candidates) {
  const float radius = space.near_distance(node);
  const auto first_apart = std::ranges::find_if(candidates, [&](CandidateKey key) { return candidate_distance(key) > radius; });
  const auto n_near = static_cast<std::size_t>(first_apart - candidates.begin());
  return n_near >= kCrowd && 2 * n_near >= candidates.size();
}

bool group_near_copies(const BuildSpace& space, std::span<const std::uint32_t> crowded, std::uint32_t leaf, std::uint64_t seed,
                       unsigned threads, const Cancel& cancel, CopyGroups& groups) {
  if (crowded.empty()) return false;
  // Without overlap every node is in one leaf, so that none is taken twice.
  const Leaves leaves = carve(space, crowded, {leaf, 1, seed}, threads, cancel);
  std::vector<std::vector<Absorbed>> parts(leaves.size());
  parallel_for(threads, leaves.size(), [&](std::size_t i, std::size_t) { absorb_within(space, leaves[i], cancel, parts[i]); });
  std::vector<Absorbed> absorbed;
  for (auto& part : parts) {
    absorbed.insert(absorbed.end(), part.begin(), part.end());
    part = {};
  }
  if (absorbed.empty()) return false;
  std::ranges::sort(absorbed, {}, &Absorbed::row);

  const auto find = [&](std::uint32_t row) -> const Absorbed* {
    const auto found = std::ranges::lower_bound(absorbed, row, {}, &Absorbed::row);
    return found != absorbed.end() && found->row == row ? &*found : nullptr;
  };
  // A copy of a row that was absorbed goes where that row went. Leaders are never absorbed.
  for (Copy& copy : groups.copies)
    if (const Absorbed* found = find(copy.representative)) copy = {found->leader, true, copy.row};
  for (const auto& [row, leader] : absorbed) groups.copies.push_back({leader, true, row});
  std::ranges::sort(groups.copies);
  std::erase_if(groups.representatives, [&](std::uint32_t row) { return find(row) != nullptr; });
  return true;
}

}  // namespace vicino
