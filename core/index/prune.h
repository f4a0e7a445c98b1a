// Which of its candidates a node keeps as links: near ones that lie in different directions (Subramanya et al., DiskANN, 2019).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "index/build_space.h"
#include "index/candidates.h"

namespace vicino {

class Pruner {
 public:
  Pruner(const BuildSpace& space, std::uint32_t links_max, float alpha) : space_(space), links_max_(links_max), alpha_(alpha) {}

  /// Links of `node` from candidates that ascend and are distinct; nearest first. Valid until the next call.
  std::span<const std::uint32_t> select(std::uint32_t node, std::span<const CandidateKey> candidates, std::uint32_t limit);
  std::span<const std::uint32_t> select(std::uint32_t node, std::span<const CandidateKey> candidates) {
    return select(node, candidates, links_max_);
  }
  /// Ascending keys of the nearest `limit` of `others`, which may repeat and name the node itself. Valid until the next call.
  std::span<const CandidateKey> rank(std::uint32_t node, std::vector<std::uint32_t>& others, std::size_t limit);

 private:
  /// A candidate that may still become a link.
  struct Open {
    std::uint32_t position;  // among the candidates
    float to_node, occlusion;
  };
  std::size_t keep(std::size_t at);

  const BuildSpace& space_;
  std::uint32_t links_max_;
  float alpha_;
  std::vector<Open> open_;
  std::vector<std::uint32_t> open_nodes_;  // of the same positions
  std::vector<float> distances_;
  std::vector<std::uint32_t> kept_, selected_;
  std::vector<CandidateKey> keys_;
};

}  // namespace vicino
