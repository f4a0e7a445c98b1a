// The codes of a graph's nodes: what walks and filtered scans read instead of the rows.
//
// Rows of floats under cosine, dot or l2 have 4-bit codes (codes/ladder.h), trained on a sample of the rows, in the order of nodes. Rows of
// small integers and bits are their own codes, l1 has none, and of rows with few dimensions the codes would be too coarse to navigate by.
//
//   header 64   u64 bytes of the ladder, u64 bytes from one code to the next, u32 nodes, u32 format of the factors, f32 unit of `add`,
//               f32 unit of `scale`, u32 bytes of packed factors, and what these mean: f32 low and step of `add`, low and step of `scale`,
//               u32 1 with an 8-bit code
//   ladder      Ladder::to_bytes
//   high        codes, one a node
//   factors     one a node; walks read them packed beside the links, scans and rescoring from here
//   low, fine   the low nibbles and the factors of the 8-bit code, where the header's last flag says so; read by rescoring before the rows
// Each part starts at a multiple of 64.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codes/ladder.h"

namespace vicino {

/// Which codes the nodes of a graph have, where its rows can have any: a walk goes by 4 bits, and with 8 the nodes it found are scored by these
/// before their rows are read.
enum class NodeCodes : std::uint8_t { none, bits4, bits8 };

class GraphCodes {
 public:
  /// Whether rows of this kind can have codes.
  static bool are_possible(Metric metric, Dtype dtype, std::uint32_t dim);
  /// Codes of the rows that nodes stand for; empty where there are none.
  static std::vector<std::uint8_t> build(const VectorBlock& block, std::span<const std::uint32_t> row_of_node, Metric metric, NodeCodes wanted,
                                         std::uint64_t seed, unsigned threads, const Cancel& cancel);
  /// Upper bound of the memory `build` takes, its result included.
  static std::size_t build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, NodeCodes wanted = NodeCodes::bits4);
  /// Throws CorruptionError unless the bytes are the codes of so many nodes. They must outlive the codes.
  static std::shared_ptr<GraphCodes> open(Bytes bytes, std::uint32_t n_nodes);

  const Ladder& ladder() const { return ladder_; }
  const CodeView& view() const { return view_; }
  const PackedFactors& packing() const { return packing_; }
  std::size_t hot_bytes() const { return hot_bytes_; }
  /// The largest scale of any node's 4-bit code, or something above it; infinite where nobody has looked.
  float largest_scale() const { return largest_scale_; }
  /// Looks at the factors of all nodes, where their packing does not tell.
  void find_largest_scale();
  /// Whether there is an 8-bit code as well.
  bool has_fine() const { return view_.low != nullptr; }
  /// Memory for packed codes (packed_codes.h); false where these would take more than they may. Safe to call from many threads.
  bool take_for_packing(std::size_t bytes) const;
  void give_back(std::size_t bytes) const { packed_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// What packed codes take.
  std::size_t packed_bytes() const { return packed_bytes_.load(std::memory_order_relaxed); }

 private:
  Ladder ladder_;
  CodeView view_;
  PackedFactors packing_;
  std::size_t hot_bytes_ = 0;
  float largest_scale_ = __builtin_inff();
  mutable std::atomic<std::size_t> packed_bytes_{0};
};

}  // namespace vicino
