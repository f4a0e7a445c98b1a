#include "ivf/list_batch.h"

#include <algorithm>
#include <iterator>

#include "ivf/product_batch.h"

namespace vicino {

namespace {

constexpr std::size_t kTileBytes = 256 * 1024;  // of rows that all queries of a batch score before the next are read

bool is_set(const std::uint64_t* bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

}  // namespace

// The next search need not ask ahead for what as many searches as there are queries would have touched.
IvfBatch::IvfBatch(const Task& task)
    : task_(task), disk_(*task.ivf.reads_, task.queries.size()), counts_(task.allowed ? task.ivf.n_lists_ : 0, kUnknown) {}

std::unique_ptr<IvfBatch> IvfBatch::of(const Task& task) {
  if (!task.ivf.shares_lists()) return nullptr;
  if (task.ivf.products_) return std::make_unique<ProductBatch>(task);
  return std::make_unique<FlatBatch>(task);
}

std::size_t IvfBatch::allowed_in(std::uint32_t list) {
  const Ivf& ivf = task_.ivf;
  if (!task_.allowed) return ivf.starts_[list + 1] - ivf.starts_[list];
  if (counts_[list] == kUnknown) {
    counts_[list] = 0;
    for (const std::uint32_t row : ivf.rows_of(list)) counts_[list] += is_set(task_.allowed, row);
  }
  return counts_[list];
}

void IvfBatch::plan_lists(std::size_t number, std::size_t query, std::span<const float> scored, Probing& probing, Order order) {
  bool is_first = order == Order::nearest_first;
  const std::size_t nprobe = std::max<std::size_t>(1, task_.effort.nprobe);
  probing.run(task_.ivf, nprobe, times() * task_.nearest[query].k(), scored, task_.cancel, [](auto) {}, [&](std::uint32_t list, std::uint32_t) {
    const std::size_t count = allowed_in(list);
    if (count) {
      (is_first ? nearest_ : others_).push_back({list, static_cast<std::uint32_t>(number)});
      is_first = false;
    }
    task_.stats.rows_scored += count;
    task_.stats.hops += count > 0;
    return count;
  });
}

/// By counting: queries of a list keep the order in which they were planned.
void IvfBatch::sort(std::span<const Visit> visits) {
  const std::uint32_t n = task_.ivf.n_lists_;
  starts_.assign(n + 2, 0);
  for (const Visit& visit : visits) ++starts_[visit.list + 2];
  lists_.clear();
  for (std::uint32_t list = 0; list < n; ++list) {
    if (starts_[list + 2]) lists_.push_back(list);
    starts_[list + 2] += starts_[list + 1];
  }
  queries_.resize(visits.size());
  for (const Visit& visit : visits) queries_[starts_[visit.list + 1]++] = visit.query;
}

void FlatBatch::plan(std::size_t first, std::size_t count, std::span<const float> scored, Probing& probing) {
  for (std::size_t i = 0; i < count; ++i) {
    if (scored.empty()) probing.set_query(task_.ivf, task_.queries[first + i]);
    plan_lists(first + i, first + i, scored.subspan(i * scored.size() / count, scored.size() / count), probing, Order::by_list);
  }
}

void FlatBatch::run() {
  for_each_list([&](std::uint32_t list, std::uint32_t, std::span<const std::uint32_t> queries) {
    auto rows = rows_of(list);
    if (task_.allowed) {
      chosen_.clear();
      std::ranges::copy_if(rows, std::back_inserter(chosen_), [&](std::uint32_t row) { return is_set(task_.allowed, row); });
      rows = chosen_;
    }
    const std::size_t tile = std::max<std::size_t>(16, kTileBytes / row_bytes(task_.block.dtype, task_.block.dim));
    for (std::size_t first = 0; first < rows.size(); first += tile) {
      const auto part = rows.subspan(first, std::min(tile, rows.size() - first));
      distances_.resize(std::max(distances_.size(), part.size()));
      for (const std::uint32_t query : queries) {
        task_.cancel.check();
        score(query, part);
      }
    }
  });
}

void FlatBatch::score(std::size_t query, std::span<const std::uint32_t> rows) {
  const bool is_run = rows.back() - rows.front() + 1 == rows.size();  // rows ascend
  const PreparedQuery& prepared = task_.queries[query];
  if (is_run) prepared.distances(task_.block, rows.front(), static_cast<std::uint32_t>(rows.size()), distances_.data());
  else prepared.distances_at(task_.block, rows, distances_.data());
  TopK& nearest = task_.nearest[query];
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (distances_[i] <= nearest.bound()) nearest.offer({distances_[i], task_.first_row + rows[i]});
}

}  // namespace vicino
