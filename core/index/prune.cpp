#include "index/prune.h"

#include <algorithm>
#include <limits>

#include "kernels/dispatch.h"

namespace vicino {

namespace {

/// How much nearer a candidate is to a kept link than to the node. Above 1 the link leads to it. Equal distances occlude nothing, so
/// that a node among many at one distance, or on one spot, still gets all its links.
float occlusion_of(float to_node, float to_link) {
  if (to_link > 0) return to_node / to_link;
  return to_node > 0 ? std::numeric_limits<float>::infinity() : 0;
}

}  // namespace

/// Makes an open candidate a link and closes what it occludes too much for either pass, which is soon most of them. Returns where the walk
/// over the open ones goes on: behind those that came before this one and are still open.
std::size_t Pruner::keep(std::size_t at) {
  const std::uint32_t link = open_nodes_[at];
  kept_.push_back(open_[at].position);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
  open_nodes_.erase(open_nodes_.begin() + static_cast<std::ptrdiff_t>(at));
  distances_.resize(open_.size());
  space_.distances_at(link, open_nodes_, distances_.data());
  std::size_t n_open = 0, n_before = 0;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    Open candidate = open_[i];
    candidate.occlusion = std::max(candidate.occlusion, occlusion_of(candidate.to_node, distances_[i]));
    open_[n_open] = candidate;
    open_nodes_[n_open] = open_nodes_[i];
    const bool stays = candidate.occlusion <= alpha_;
    n_open += stays;
    n_before += stays && i < at;
  }
  open_.resize(n_open);
  open_nodes_.resize(n_open);
  return n_before;
}

std::span<const std::uint32_t> Pruner::select(std::uint32_t node, std::span<const CandidateKey> candidates, std::uint32_t limit) {
  open_.clear();
  open_nodes_.clear();
  kept_.clear();
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    open_.push_back({i, candidate_distance(candidates[i]), 0});
    open_nodes_.push_back(candidate_node(candidates[i], node));
  }
  space_.prefetch(open_nodes_);
  // The first pass keeps what no link leads to, the second what links lead to only by a detour.
  for (const float allowed : {1.0f, alpha_})
    for (std::size_t at = 0; at < open_.size() && kept_.size() < limit;) at = open_[at].occlusion > allowed ? at + 1 : keep(at);
  std::ranges::sort(kept_);
  selected_.clear();
  for (const std::uint32_t position : kept_) selected_.push_back(candidate_node(candidates[position], node));
  return selected_;
}

std::span<const CandidateKey> Pruner::rank(std::uint32_t node, std::vector<std::uint32_t>& others, std::size_t limit) {
  std::ranges::sort(others);
  others.erase(std::unique(others.begin(), others.end()), others.end());
  std::erase(others, node);
  space_.prefetch(std::span(others).first(std::min<std::size_t>(others.size(), 128)));
  distances_.resize(others.size());
  space_.distances_at(node, others, distances_.data());
  keys_.clear();
  for (std::size_t i = 0; i < others.size(); ++i) keys_.push_back(candidate_key(distances_[i], node, others[i]));
  kernels().sort_keys(keys_.data(), keys_.size());
  if (keys_.size() > limit) keys_.resize(limit);
  return keys_;
}

}  // namespace vicino
