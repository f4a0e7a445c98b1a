// The nodes of a graph a second time, as blocks that hold all that a hop reads: what is walked from disk.
//
// A walk over graph.h reads the links of a node in one place and the codes of its neighbors in as many others. In memory that is the least
// there is to read; from disk nearly every one of these places is a page of its own. Here a node carries the codes of its neighbors and its
// own vector, so that a hop reads one block, scores all neighbors by it, and knows the node's distance exactly
// (DiskANN, Subramanya et al. 2019, with the codes of the neighbors in the block instead of those of all nodes in memory). It takes the file
// four to eight times as many bytes as vectors and graph, and is read in the tenth part of the places.
//
// Everything else is as the graph has it: copies, entries, ladder, the node of a row. So a search that scans, or walks over matches alone, uses
// the graph, and nothing here has to say it again.
//
//   first 4096   magic "VICPAGES", u32 format, u32 nodes, u32 links per node R, u32 bytes of a block, u32 bytes of a code,
//                u32 bytes of a code's factors, u32 bytes of a vector, 4 bytes 0, u64 size, zeros
//   blocks       of the nodes in their order, each of them
//     row, flags, norm   u32 row, u32 1 for a node that stands for several rows, f32 inverse norm of the vector under cosine, 4 bytes 0
//     vector             as the segment keeps it
//     links              u32 * R, at a multiple of 16; as in the graph
//     factors            of the codes of these R nodes, as the graph's plane of factors has them
//     codes              the codes of these, at a multiple of 64
//   A block is as large as it has to be, whole pages and then a power of two, so that it lies in no more pages than its size needs.
//
// Links and rows are checked as they are read: a damaged block gives CorruptionError, never a stray read.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "index/graph.h"

namespace vicino {

constexpr std::size_t kPageBytes = 4096;

/// Where the parts of a block lie.
struct BlockLayout {
  BlockLayout() = default;
  BlockLayout(std::uint32_t links, std::size_t code_stride, std::size_t factor_bytes, std::size_t row_bytes);
  static constexpr std::size_t vector = 16;
  std::size_t links = 0, factors = 0, codes = 0, size = 0;
};

class PageGraph {
 public:
  PageGraph() = default;
  /// Throws CorruptionError unless the buffer holds the blocks of this graph, FormatError when it is of a newer format.
  static PageGraph open(Blob buffer, const Graph& graph);

  /// As Graph::search, with the same results for what both find; `rescored` counts vectors of blocks. Of the graph only what is small is read,
  /// but for a crowd of near copies, which codes cannot tell apart: there the graph is walked. Rescores by the bound of the codes.
  WalkEnd search(const Graph& graph, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, std::size_t ef,
                 TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0, const WalkLimits& limits = {}) const;

  /// Compares every block with what the graph and the rows make. Throws CorruptionError.
  void verify(const Graph& graph, const VectorBlock& block) const;

  std::uint32_t block_bytes() const { return static_cast<std::uint32_t>(layout_.size); }
  std::size_t size_bytes() const { return buffer_.size(); }
  /// Of the codes of entries, which the first search keeps.
  std::size_t memory_bytes() const { return entries_->is_there.load(std::memory_order_relaxed) ? entries_->size : 0; }

 private:
  friend class PageSearch;
  /// Codes of the nodes where walks begin, in memory of their own: every search reads all of them.
  struct Entries {
    std::once_flag once;
    std::atomic<bool> is_there{false};
    std::size_t size = 0;
    std::shared_ptr<std::uint8_t[]> memory;
    CodeView view;
  };

  /// Sections of a mapped file begin at a page. Of other memory nothing is read from disk, and advice about it would do nothing.
  bool is_mapped() const { return reinterpret_cast<std::uintptr_t>(buffer_.data()) % kPageBytes == 0; }
  const std::uint8_t* block_of(std::uint32_t node) const { return blocks_ + node * layout_.size; }
  const CodeView& entry_codes(const Graph& graph) const;
  void check_block(const Graph& graph, const VectorBlock& block) const;

  Blob buffer_;
  const std::uint8_t* blocks_ = nullptr;
  BlockLayout layout_;
  std::size_t row_bytes_ = 0, factor_bytes_ = 0;
  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
};

/// Writes the buffer that PageGraph reads, a part at a time, so that nobody has to hold all of it.
class PageWriter {
 public:
  /// The graph, and the rows it is over, which must outlive this. Throws InvalidArgument for a graph without codes.
  PageWriter(const Graph& graph, const VectorBlock& block);

  std::uint32_t block_bytes() const { return static_cast<std::uint32_t>(layout_.size); }
  /// The first page of the buffer.
  void write_header(std::uint8_t* out) const;
  /// The blocks of nodes `first` to `first + count`, exclusive. Throws CorruptionError where the graph is damaged.
  void write_blocks(std::uint32_t first, std::uint32_t count, std::uint8_t* out) const;

 private:
  void write_block(std::uint32_t node, std::uint8_t* out) const;

  const Graph& graph_;
  VectorBlock block_;
  std::size_t row_bytes_ = 0, factor_bytes_ = 0, code_stride_ = 0;
  BlockLayout layout_;
};

/// Whether a walk from disk is possible over such rows: they must have codes. Throws InvalidArgument naming what they are.
void expect_pages_possible(Metric metric, Dtype dtype, std::uint32_t dim);

}  // namespace vicino
