// The rows of a filter in the forms in which an entry is searched: few rows as a list, nodes of its graph as a list or as bits.
//
// A filter is a bitmap over rows, and the nodes of a graph lie in another order. Whether a node matches then takes two reads at random
// places, which row it stands for and that row's bit; and a scan in the order of rows reads its codes at random. So both are translated once
// and kept with the filter's answer, where the next search by the same filter finds them.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "index/graph.h"
#include "index/packed_codes.h"
#include "util/bitmap.h"

namespace vicino {

class Rows;

/// Of one vector of one entry. `allowed` is always the same bitmap. Safe to call from many threads.
class MatchedRows {
 public:
  /// Ascending.
  std::span<const std::uint32_t> rows(const Bitmap& allowed);
  /// Nodes that stand for a row that is allowed, ascending.
  std::span<const std::uint32_t> nodes(const Bitmap& allowed, const Graph& graph);
  /// The same as bits; null the first time it is asked for, as a single walk costs less than the translation.
  const std::uint64_t* node_bits(const Bitmap& allowed, const Graph& graph);
  /// The codes of `nodes` side by side, once so many scans asked for them that the copy pays; null before, and where there is none.
  const PackedCodes* packed(const Graph& graph);
  /// Whether they lie there. Copies them if so many walks were counted that it pays.
  bool is_packed(const Bitmap& allowed, const Graph& graph);
  /// So many walks were taken that a scan of packed codes would have cost less than.
  void count_walks(std::size_t n) { walks_.fetch_add(n, std::memory_order_relaxed); }

 private:
  void pack(const Graph& graph);

  std::once_flag rows_once_, nodes_once_, bits_once_;
  std::atomic<bool> was_asked_{false};
  std::vector<std::uint32_t> rows_, nodes_;
  Bitmap bits_;
  std::atomic<std::uint32_t> scans_{0};
  std::atomic<std::size_t> walks_{0};
  std::mutex packing_;
  std::shared_ptr<const PackedCodes> owned_;
  std::atomic<const PackedCodes*> packed_{nullptr};  // owned_, once it is made
};

/// Of all entries, made as they are asked for.
class MatchForms {
 public:
  /// rows: those of the entry. An answer is not kept longer than they are.
  std::shared_ptr<MatchedRows> of(const std::shared_ptr<const Rows>& rows, std::uint32_t slot);
  /// They are kept for searches to come, and no memory limit forbids to make these faster: codes may be packed.
  void keep() { are_kept_.store(true, std::memory_order_relaxed); }
  bool are_kept() const { return are_kept_.load(std::memory_order_relaxed); }

 private:
  struct Form {
    std::weak_ptr<const Rows> rows;
    std::uint32_t slot;
    std::shared_ptr<MatchedRows> matched;
  };
  std::mutex mutex_;
  std::vector<Form> forms_;
  std::atomic<bool> are_kept_{false};
};

}  // namespace vicino
