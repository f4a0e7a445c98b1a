// Exact search: the distance of the query to every allowed row.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/vectors.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

/// Offers `nearest` every row of the block whose bit is set in `allowed` (null: every row); row i is offered as first_row + i.
/// Throws Cancelled within about a millisecond of work after the flag or deadline.
void scan(const PreparedQuery& query, const VectorBlock& block, std::uint64_t first_row, const std::uint64_t* allowed, TopK& nearest,
          const Cancel& cancel);

/// The same for many queries, nearest[i] for queries[i]. Rows are read from memory once for all of them.
void scan_batch(std::span<const PreparedQuery> queries, const VectorBlock& block, std::uint64_t first_row, const std::uint64_t* allowed,
                std::span<TopK> nearest, const Cancel& cancel);

}  // namespace vicino
