// Many searches of one index, list by list: what a list holds is in the cache while all queries that probe it score it. Which lists each query
// probes is decided first.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ivf/ivf.h"
#include "ivf/probing.h"

namespace vicino {

class IvfBatch {
 public:
  struct Task {
    const Ivf& ivf;
    std::span<const PreparedQuery> queries;
    const VectorBlock& block;
    const std::uint64_t* allowed;
    const IvfEffort& effort;
    std::span<TopK> nearest;
    SearchStats& stats;
    const Cancel& cancel;
    std::uint64_t first_row;
  };
  explicit IvfBatch(const Task& task);
  virtual ~IvfBatch() = default;
  /// The way in which many queries of such an index are faster together, or null.
  static std::unique_ptr<IvfBatch> of(const Task& task);

  /// How many queries are planned before they are run.
  virtual std::size_t together() const = 0;
  /// Decides the lists of these queries, at most Probing::kTogether. `scored`: their distances from all centroids, or nothing.
  virtual void plan(std::size_t first, std::size_t count, std::span<const float> scored, Probing& probing) = 0;
  /// Scans the lists of the queries that were planned since the last run.
  virtual void run() = 0;

 protected:
  /// What queries with a bound find in their nearest list spares them most of what they would find elsewhere, so it may come before all others.
  enum class Order : std::uint8_t { by_list, nearest_first };
  /// `number` stands for the query when lists are scanned.
  void plan_lists(std::size_t number, std::size_t query, std::span<const float> scored, Probing& probing, Order order);
  /// Calls scan(list, next, queries) for every list that was planned; `next` is the list that comes then, or the same.
  template <class Scan>
  void for_each_list(Scan&& scan) {
    for (auto* visits : {&nearest_, &others_}) {
      sort(*visits);
      for (std::size_t i = 0; i < lists_.size(); ++i) {
        if (disk_.is_cold() && i % kListsAhead == 0) task_.ivf.read_lists_ahead(std::span(lists_).subspan(i, std::min(kListsAhead, lists_.size() - i)), task_.block);
        const auto list = static_cast<std::uint32_t>(lists_[i]);
        const auto next = static_cast<std::uint32_t>(lists_[std::min(i + 1, lists_.size() - 1)]);
        scan(list, next, std::span<const std::uint32_t>(queries_).subspan(starts_[list], starts_[list + 1] - starts_[list]));
      }
      visits->clear();
    }
  }
  bool is_cold() const { return disk_.is_cold(); }
  std::size_t begin_of(std::uint32_t list) const { return task_.ivf.starts_[list]; }
  std::span<const std::uint32_t> rows_of(std::uint32_t list) const { return task_.ivf.rows_of(list); }
  const ClusterSpace& space() const { return task_.ivf.space_; }
  const ProductCodes& products() const { return *task_.ivf.products_; }
  std::size_t times() const { return task_.ivf.has_copies_ ? 2 : 1; }

  const Task task_;

 private:
  static constexpr std::uint32_t kUnknown = ~std::uint32_t{0};
  static constexpr std::size_t kListsAhead = 32;  // asked for before they are read

  struct Visit {
    std::uint32_t list, query;
  };
  std::size_t allowed_in(std::uint32_t list);
  void sort(std::span<const Visit> visits);

  ColdReads::Search disk_;
  std::vector<std::uint32_t> counts_;  // allowed rows of lists, as far as they were counted
  std::vector<Visit> nearest_, others_;
  // Sorted: the lists that are visited, where the queries of each begin, and these.
  std::vector<std::uint64_t> lists_;
  std::vector<std::uint32_t> starts_, queries_;
};

/// Lists of rows: distances of a tile of them from every query that probes the list.
class FlatBatch final : public IvfBatch {
 public:
  using IvfBatch::IvfBatch;
  std::size_t together() const override { return task_.queries.size(); }
  void plan(std::size_t first, std::size_t count, std::span<const float> scored, Probing& probing) override;
  void run() override;

 private:
  void score(std::size_t query, std::span<const std::uint32_t> rows);

  std::vector<std::uint32_t> chosen_;
  std::vector<float> distances_;
};

}  // namespace vicino
