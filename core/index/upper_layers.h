// The layers above the base of a hierarchical graph (hnsw.h): by a few long steps through them a walk comes near its query before it begins.
//
// Layer 1 lies above the base; each holds the first nodes of the one below, fewer and fewer, and node 0 is in all. A descent goes in each
// layer from node to nearest neighbor as long as that leads nearer, then on in the next from where it stands.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "util/errors.h"

namespace vicino {

/// A view of links that lie elsewhere. They are checked as they are read.
class UpperLayers {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;
  UpperLayers() = default;
  /// counts[i]: nodes of layer i + 1, which do not ascend. links: m slots a node, of layer 1 first; kNone fills the end.
  UpperLayers(std::span<const std::uint32_t> counts, std::span<const std::uint32_t> links, std::uint32_t m) : m_(m) {
    std::size_t start = 0;
    for (const std::uint32_t count : counts) {
      layers_.push_back(links.subspan(start, std::size_t{count} * m));
      start += std::size_t{count} * m;
    }
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(layers_.size()); }
  /// Nodes of a layer, which is at least 1.
  std::uint32_t n_nodes(std::uint32_t layer) const { return static_cast<std::uint32_t>(layers_[layer - 1].size() / m_); }
  /// Throws CorruptionError for a link that leads out of the layer.
  std::span<const std::uint32_t> links_of(std::uint32_t layer, std::uint32_t node) const {
    const auto slots = layers_[layer - 1].subspan(std::size_t{node} * m_, m_);
    std::size_t used = 0;
    for (; used < slots.size() && slots[used] != kNone; ++used)
      if (slots[used] >= n_nodes(layer))
        throw CorruptionError("hnsw: node " + std::to_string(node) + " of layer " + std::to_string(layer) + " links to node " +
                              std::to_string(slots[used]) + " of " + std::to_string(n_nodes(layer)) + "; rebuild the index of this segment");
    return slots.first(used);
  }

  /// The node a descent ends at; kNone when it met none but `hidden`. `score(nodes, out)` writes distances.
  template <class Score>
  std::uint32_t descend(std::uint32_t hidden, Score&& score) const {
    std::uint32_t nearest = 0;
    float distance;
    score(std::span<const std::uint32_t>(&nearest, 1), &distance);
    if (hidden == 0) distance = __builtin_inff();
    std::vector<float> distances(m_);
    for (std::uint32_t layer = size(); layer > 0; --layer)
      for (bool has_moved = true; has_moved;) {
        has_moved = false;
        const auto links = links_of(layer, nearest);
        if (links.empty()) break;
        score(links, distances.data());
        for (std::size_t i = 0; i < links.size(); ++i)
          if (links[i] != hidden && distances[i] < distance) {
            nearest = links[i];
            distance = distances[i];
            has_moved = true;
          }
      }
    return nearest == hidden ? kNone : nearest;
  }

 private:
  std::uint32_t m_ = 0;
  std::vector<std::span<const std::uint32_t>> layers_;
};

}  // namespace vicino
