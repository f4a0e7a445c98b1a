#include "ivf/product_batch.h"

#include <algorithm>

#include "ivf/product_query.h"

namespace vicino {

namespace {

// Tables and vectors of the queries that are scanned for together: they are read for one list after the other, so they should stay near, but
// the more queries there are, the more of them share a list. Half as much is a tenth slower on 768 dimensions, half again more is no faster.
constexpr std::size_t kTogetherBytes = 1024 * 1024;

bool is_set(const std::uint64_t* bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

}  // namespace

ProductBatch::ProductBatch(const Task& task)
    : IvfBatch(task), vector_size_(space().stride()), table_size_(products().shape().places() << products().shape().bits) {
  const std::size_t groups = kTogetherBytes / (table_size_ + vector_size_ * sizeof(float)) / Probing::kTogether;
  together_ = std::min(std::max<std::size_t>(1, groups) * Probing::kTogether, task.queries.size());
  planned_.resize(together_);
  vectors_.resize(together_ * vector_size_);
  tables_.resize(together_ * table_size_);
}

void ProductBatch::plan(std::size_t first, std::size_t count, std::span<const float> scored, Probing& probing) {
  const ProductCodes& codes = products();
  const std::size_t turned_size = codes.turned_size();
  turned_.resize(count * turned_size);
  ProductFit fits[Probing::kTogether];
  const float* vectors[Probing::kTogether];
  float* turned[Probing::kTogether];
  for (std::size_t i = 0; i < count; ++i) {
    const PreparedQuery& query = task_.queries[first + i];
    probing.set_query(task_.ivf, query);
    plan_lists(n_planned_ + i, first + i, scored.subspan(i * scored.size() / count, scored.size() / count), probing, Order::nearest_first);
    products_.vector = probing.query();
    fits[i] = fit_products(space(), query, task_.block, products_.vector);
    float* vector = vectors_.data() + (n_planned_ + i) * vector_size_;
    std::copy_n(products_.vector.data(), vector_size_, vector);
    vectors[i] = vector;
    turned[i] = turned_.data() + i * turned_size;
  }
  codes.turn_together({vectors, count}, {turned, count});
  for (std::size_t i = 0; i < count; ++i) {
    Planned& planned = planned_[n_planned_];
    products_.vector.assign(vectors[i], vectors[i] + vector_size_);
    products_.turned.assign(turned[i], turned[i] + turned_size);
    codes.prepare_turned(fits[i].base, fits[i].gain, products_);
    std::uint8_t* table = tables_.data() + n_planned_ * table_size_;
    std::ranges::copy(products_.table, table);
    planned.query = first + i;
    planned.terms = products_.terms;
    planned.scan = products_.scan;
    planned.scan.table = table;
    planned.shortlist.start(task_.effort, task_.ivf.n_entries(), times(), task_.nearest[first + i]);
    ++n_planned_;
  }
}

void ProductBatch::run() {
  for_each_list([&](std::uint32_t list, std::uint32_t next, std::span<const std::uint32_t> queries) {
    if (next != list) products().prefetch(next, begin_of(next), begin_of(next + 1) - begin_of(next));
    scan(list, queries);
  });
  for (std::size_t i = 0; i < n_planned_; ++i) {
    task_.cancel.check();
    planned_[i].shortlist.rescore(task_.queries[planned_[i].query], {task_.block, task_.first_row, is_cold()}, task_.stats);
  }
  n_planned_ = 0;
}

void ProductBatch::scan(std::uint32_t list, std::span<const std::uint32_t> queries) {
  const auto rows = rows_of(list);
  const std::size_t begin = begin_of(list);
  if (task_.allowed) {
    entries_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (is_set(task_.allowed, rows[i])) entries_.push_back(static_cast<std::uint32_t>(i));
    blocks_of_entries(begin, begin + rows.size(), entries_, wanted_);
  }
  // A product is the same either way round, so the mean takes the place of the query.
  const auto mean = products().mean_of(list);
  visitors_.clear();
  for (const std::uint32_t query : queries) visitors_.push_back(reinterpret_cast<const std::uint8_t*>(vectors_.data() + query * vector_size_));
  of_mean_.resize(std::max(of_mean_.size(), queries.size()));
  kernels().dot[0](mean.data(), visitors_.data(), queries.size(), static_cast<std::uint32_t>(mean.size()), of_mean_.data());
  for (std::size_t first = 0; first < queries.size(); first += kScannedTogether) {
    task_.cancel.check();
    scan_together(begin, rows, queries.subspan(first, std::min(kScannedTogether, queries.size() - first)), of_mean_.data() + first);
  }
}

void ProductBatch::scan_together(std::size_t begin, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> queries, const float* products_of_mean) {
  ProductScan scans[kScannedTogether];
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const Planned& planned = planned_[queries[q]];
    scans[q] = planned.scan;
    scans[q].shift = planned.terms.shift(products_of_mean[q]);
    scans[q].limit = planned.shortlist.limit(planned.terms.error);
  }
  products().scan({scans, queries.size()}, begin, rows.size(), task_.allowed ? wanted_.data() : nullptr, [&](std::size_t q, std::size_t entry, float estimate) {
    Planned& planned = planned_[queries[q]];
    planned.shortlist.consider({estimate, planned.terms.error, rows[entry - begin]});
    scans[q].limit = planned.shortlist.limit(planned.terms.error);
  });
}

}  // namespace vicino
