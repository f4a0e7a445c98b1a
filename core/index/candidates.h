// The nearest nodes seen so far of each of a range of nodes, collected from leaves in any order.
//
// A candidate is one 64-bit key: the bits of its distance above (candidate - node) modulo 2^32. Keys of one node order its candidates by
// distance, and among equal distances by who comes next after the node itself: rows that all look alike then name different neighbors,
// where the smallest number would make the first few of them everybody's only neighbors. The nearest `kKept` of a union do not depend on
// the order in which its parts came, so threads cannot change the result.
#pragma once
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/build_space.h"
#include "index/partition.h"

namespace vicino {

using CandidateKey = std::uint64_t;

inline CandidateKey candidate_key(float distance, std::uint32_t node, std::uint32_t candidate) {
  return static_cast<CandidateKey>(std::bit_cast<std::uint32_t>(distance)) << 32 | static_cast<std::uint32_t>(candidate - node);
}
inline float candidate_distance(CandidateKey key) { return std::bit_cast<float>(static_cast<std::uint32_t>(key >> 32)); }
inline std::uint32_t candidate_node(CandidateKey key, std::uint32_t node) { return node + static_cast<std::uint32_t>(key); }

class Candidates {
 public:
  static constexpr std::uint32_t kKept = 64;
  static constexpr std::uint32_t kRoom = 128;  // between two compactions; the larger, the fewer

  explicit Candidates(std::size_t n_nodes)
      : keys_(n_nodes * kRoom), counts_(n_nodes), bounds_(n_nodes, kNoBound), locks_(std::make_unique<std::atomic_flag[]>(n_nodes)) {}

  /// Candidates at a greater distance than this cannot stay; it only falls.
  float bound(std::size_t i) const { return bounds_[i].load(std::memory_order_relaxed); }
  /// Asks for what `bound` and `add` read first.
  VICINO_PREFETCHES void prefetch(std::size_t i) const {
    __builtin_prefetch(&counts_[i]);
    __builtin_prefetch(&bounds_[i]);
    __builtin_prefetch(&locks_[i]);
  }
  /// Asks for the two lines that `add` writes next, going by a count that others may change meanwhile.
  VICINO_PREFETCHES void prefetch_room(std::size_t i) const {
    const CandidateKey* const room = keys_.data() + i * kRoom + count(i);
    __builtin_prefetch(room, 1, 2);
    __builtin_prefetch(room + 8, 1, 2);
  }
  /// Adds up to kKept keys to those of node i. Safe from many threads.
  void add(std::size_t i, std::span<const CandidateKey> keys);
  /// The nearest kKept of node i, nearest first, each node once. Not while others add to i.
  std::span<const CandidateKey> nearest(std::size_t i);

  static std::size_t bytes_per_node() { return kRoom * sizeof(CandidateKey) + sizeof(std::uint32_t) + sizeof(std::atomic<float>) + sizeof(std::atomic_flag); }

 private:
  static constexpr float kNoBound = 3.402823466e38f;
  std::uint32_t count(std::size_t i) const { return counts_[i].load(std::memory_order_relaxed); }
  void compact(std::size_t i);

  template <class T>
  struct Shared : std::atomic<T> {
    using std::atomic<T>::atomic;
    Shared(const Shared& other) : std::atomic<T>(other.load()) {}
  };
  std::vector<CandidateKey> keys_;
  std::vector<Shared<std::uint32_t>> counts_;  // changed under the lock, read for prefetching without it
  std::vector<Shared<float>> bounds_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

/// Memory of one thread for the distances within leaves of so many rows.
std::size_t leaf_scratch_bytes(std::uint32_t leaf);

/// Fills the candidates of nodes[i] from every leaf it is in: the `per_leaf` nearest of each. `nodes` is ascending.
void collect_candidates(const BuildSpace& space, std::span<const Leaves> partitions, std::span<const std::uint32_t> nodes,
                        std::uint32_t per_leaf, unsigned threads, const Cancel& cancel, Candidates& candidates);

}  // namespace vicino
