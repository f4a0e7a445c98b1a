#include "index/prune.h"

#include <algorithm>
#include <limits>

namespace vicino {

namespace {

/// How much nearer a candidate is to a kept link than to the node. Above 1 the link leads to it. Equal distances occlude nothing, so
/// that a node among many at one distance, or on one spot, still gets all its links.
float occlusion_of(float to_node, float to_link) {
  if (to_link > 0) return to_node / to_link;
  return to_node > 0 ? std::numeric_limits<float>::infinity() : 0;
}

}  // namespace

std::span<const std::uint32_t> Pruner::select(std::uint32_t node, std::span<const CandidateKey> candidates, std::uint32_t limit) {
  const std::size_t n = candidates.size();
  nodes_.resize(n);
  for (std::size_t i = 0; i < n; ++i) nodes_[i] = candidate_node(candidates[i], node);
  space_.gather(nodes_, others_);
  occlusion_.assign(n, 0);
  is_selected_.assign(n, 0);
  distances_.resize(n);
  std::size_t kept = 0;
  // The first pass keeps what no link leads to, the second what links lead to only by a detour.
  for (const float allowed : {1.0f, alpha_}) {
    for (std::size_t i = 0; i < n && kept < limit; ++i) {
      if (is_selected_[i] || occlusion_[i] > allowed) continue;
      is_selected_[i] = 1;
      ++kept;
      space_.distances(others_, i, 1, others_, dots_, distances_.data());
      for (std::size_t j = 0; j < n; ++j)
        occlusion_[j] = std::max(occlusion_[j], occlusion_of(candidate_distance(candidates[j]), distances_[j]));
    }
  }
  selected_.clear();
  for (std::size_t i = 0; i < n; ++i)
    if (is_selected_[i]) selected_.push_back(nodes_[i]);
  return selected_;
}

std::span<const CandidateKey> Pruner::rank(std::uint32_t node, std::vector<std::uint32_t>& others, std::size_t limit) {
  std::ranges::sort(others);
  others.erase(std::unique(others.begin(), others.end()), others.end());
  std::erase(others, node);
  space_.gather({&node, 1}, self_);
  keys_.clear();
  constexpr std::size_t batch = 256;  // a node that everybody links to is ranked piece by piece
  for (std::size_t start = 0; start < others.size(); start += batch) {
    const std::size_t count = std::min(batch, others.size() - start);
    space_.gather(std::span(others).subspan(start, count), others_);
    distances_.resize(count);
    space_.distances(self_, 0, 1, others_, dots_, distances_.data());
    for (std::size_t i = 0; i < count; ++i) keys_.push_back(candidate_key(distances_[i], node, others[start + i]));
  }
  std::ranges::sort(keys_);
  if (keys_.size() > limit) keys_.resize(limit);
  return keys_;
}

}  // namespace vicino
