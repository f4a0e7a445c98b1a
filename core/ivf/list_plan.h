// Which lists there are and which rows they hold: what is decided before an index is written, and can be decided before its rows are.
// A merge plans the lists of the rows it is about to write and writes them in this order, so that every list is one run of the file:
// scanned as fast as memory gives it, and read from a disk in one piece (docs/design/0009-ivf.md).
#pragma once
#include <atomic>
#include <cstdint>
#include <span>

#include "ivf/assignment.h"
#include "ivf/cluster_space.h"
#include "ivf/ivf.h"

namespace vicino {

struct ListPlan {
  ClusterSpace space;
  Lists lists;
  ListTraining training;
  float mean_distance = 0;  // squared, of a row from the centroid of its list
};

/// Plans the lists of `rows` (ascending numbers of rows that have a vector), see build_ivf.
ListPlan plan_lists(const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params, unsigned threads,
                    const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained);

/// Writes the index of planned lists, whose rows are those of the block.
void write_ivf(const VectorBlock& block, ListPlan plan, Metric metric, const IvfParams& params, unsigned threads, const Cancel& cancel,
               PieceWriter& out);

/// Upper bounds of the memory that planning takes, the plan included, and of the plan.
struct ListPlanBytes {
  std::size_t planning, kept;
};
ListPlanBytes list_plan_bytes(std::size_t rows, std::uint32_t dim, const IvfParams& params, unsigned threads);

}  // namespace vicino
