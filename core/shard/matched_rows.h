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

 private:
  std::once_flag rows_once_, nodes_once_, bits_once_;
  std::atomic<bool> was_asked_{false};
  std::vector<std::uint32_t> rows_, nodes_;
  Bitmap bits_;
};

/// Of all entries, made as they are asked for.
class MatchForms {
 public:
  /// rows: those of the entry. An answer is not kept longer than they are.
  std::shared_ptr<MatchedRows> of(const std::shared_ptr<const Rows>& rows, std::uint32_t slot);

 private:
  struct Form {
    std::weak_ptr<const Rows> rows;
    std::uint32_t slot;
    std::shared_ptr<MatchedRows> matched;
  };
  std::mutex mutex_;
  std::vector<Form> forms_;
};

}  // namespace vicino
