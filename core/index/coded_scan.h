// A scan of the codes of some nodes of a graph: every one is scored, and the nearest of them by their rows.
//
// What such a scan costs is memory and, once codes come in time, little things: so codes are asked for a few groups ahead of their turn,
// distances are compared with the bound many at once, and what passes is only written down. Now and then the nearest of these are parted
// from the others, which gives the next bound; a sorted list would move each of them as often as something nearer comes. Where the codes of these
// nodes were packed (packed_codes.h), they are read as one stream, which gives the same distances sooner. In a crowd of rows that are nearly the
// same, codes cannot tell which are nearest: then all that may be are found by a second scan, and scored by their rows.
#pragma once
#include <cstdint>
#include <span>

#include "index/graph_walk.h"
#include "index/packed_codes.h"

namespace vicino {

class CodedScan {
 public:
  /// As Graph::scan, whose arguments must outlive this.
  CodedScan(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::uint64_t first_row,
            TopK& nearest, SearchStats& stats, const Cancel& cancel, const Rescoring& rescoring);

  void run(std::size_t candidates, std::span<const std::uint32_t> nodes, const PackedCodes* packed);

 private:
  std::span<const WalkKey> scan(std::span<const std::uint32_t> nodes, const PackedCodes* packed);
  bool is_undecided(std::span<const WalkKey> nearest, std::size_t n_nodes) const;
  std::span<const std::uint32_t> allowed_nodes();
  void score(std::span<const std::uint32_t> nodes, std::size_t start, std::size_t count);
  void collect(std::span<const std::uint32_t> nodes);
  void keep_nearest();

  const Graph& graph_;
  const std::uint64_t* allowed_;
  std::size_t k_;
  SearchStats& stats_;
  const Cancel& cancel_;
  const Rescoring& rescoring_;
  WalkMemory& memory_;
  CodeScorer scorer_;
  GraphHits hits_;
  std::size_t kept_ = 0;   // so many are rescored
  std::size_t found_ = 0;  // keys written down
  float bound_ = __builtin_inff();
};

}  // namespace vicino
