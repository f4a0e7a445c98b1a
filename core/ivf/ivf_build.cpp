#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ivf/assignment.h"
#include "ivf/calibrate.h"
#include "ivf/ivf.h"
#include "ivf/ivf_layout.h"
#include "ivf/list_codes.h"
#include "ivf/list_plan.h"
#include "ivf/product_code.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kGraphFrom = 4096;  // so many centroids are scored faster than a graph over them is walked

/// A build with everything it was given.
class IvfBuilder {
 public:
  IvfBuilder(const VectorBlock& block, ListPlan plan, Metric metric, const IvfParams& params, unsigned threads, const Cancel& cancel)
      : block_(block), vectors_(block), plan_(std::move(plan)), metric_(metric), params_(params), threads_(threads), cancel_(cancel) {}

  void run(PieceWriter& out) {
    if (params_.copies) add_copies({plan_.space, vectors_, {}}, lists_, threads_, cancel_);
    lists_.distances = {};
    write(out);
  }

 private:
  /// Centroids as rows of floats, under dot with their further coordinate.
  std::vector<float> centroid_rows() const {
    const std::uint32_t width = centroid_width(block_.dim, metric_ == Metric::dot);
    std::vector<float> values(lists_.size() * width);
    for (std::size_t c = 0; c < lists_.size(); ++c) {
      std::copy_n(lists_.centroids.values_of(c), block_.dim, values.data() + c * width);
      if (metric_ == Metric::dot) values[c * width + block_.dim] = lists_.centroids.extras[c];
    }
    return values;
  }

  std::vector<std::uint8_t> graph_over(const std::vector<float>& values) const {
    std::vector<std::uint32_t> all(lists_.size());
    for (std::uint32_t c = 0; c < all.size(); ++c) all[c] = c;
    const VectorBlock block{reinterpret_cast<const std::uint8_t*>(values.data()), static_cast<std::uint32_t>(all.size()),
                            centroid_width(block_.dim, metric_ == Metric::dot), Dtype::float32, nullptr};
    GraphParams params;
    params.seed = params_.seed;
    return build_graph(block, all, Metric::l2, params, threads_, cancel_, nullptr);
  }

  /// Null for lists that have no codes.
  std::unique_ptr<PlannedCodes> planned_codes() const {
    if (lists_.rows.empty()) return nullptr;
    switch (params_.kind) {
      case IvfKind::flat: return nullptr;
      case IvfKind::coded: return ListCodes::plan(block_, lists_.rows, metric_, params_.seed, threads_, cancel_);
      case IvfKind::pq:
      case IvfKind::opq: return ProductCodes::plan({plan_.space, vectors_, lists_.rows, lists_.starts}, params_, threads_, cancel_);
    }
    __builtin_unreachable();
  }

  void write(PieceWriter& out) const {
    const bool has_graph = lists_.size() > 1 && (params_.graph == CentroidGraph::yes || (params_.graph == CentroidGraph::automatic && lists_.size() > kGraphFrom));
    const std::vector<float> values = has_graph ? centroid_rows() : std::vector<float>();
    const std::vector<std::uint8_t> graph = has_graph ? graph_over(values) : std::vector<std::uint8_t>();
    const std::unique_ptr<PlannedCodes> codes = planned_codes();
    const Points centroids = lists_.centroids.encode();

    IvfHeader header{};
    std::memcpy(header.magic, kIvfMagic, sizeof header.magic);
    header.format = kIvfFormat;
    header.rows = block_.rows;
    header.lists = static_cast<std::uint32_t>(lists_.size());
    header.dim = block_.dim;
    header.kind = static_cast<std::uint8_t>(params_.kind);
    header.metric = static_cast<std::uint8_t>(metric_);
    header.dtype = static_cast<std::uint8_t>(block_.dtype);
    header.flags = params_.copies ? kIvfHasCopies : 0;
    header.unit = plan_.space.unit();
    header.trained_distance = plan_.training.distance;
    header.mean_distance = plan_.mean_distance;
    header.trained_rows = plan_.training.rows;
    header.nprobe = calibrate_nprobe(plan_.space, lists_, centroids, block_, threads_, cancel_);
    header.entries = lists_.rows.size();
    header.values = values.size() * sizeof(float);
    header.graph = graph.size();
    header.codes = codes ? codes->size() : 0;
    const IvfLayout layout(header);
    header.size = layout.size;
    const std::size_t start = out.size();
    const auto part = [&](std::size_t offset, const auto& values_of_part) {
      out.pad_to(start + offset);
      out.values(values_of_part);
    };
    out.value(header);
    part(layout.mean, std::span(plan_.space.mean()).first(block_.dim));
    part(layout.centroids, centroids.codes);
    part(layout.norms, centroids.norms);
    part(layout.scales, centroids.scales);
    part(layout.extras, centroids.extras);
    part(layout.sums, centroids.sums);
    part(layout.values, values);
    part(layout.starts, lists_.starts);
    part(layout.rows, lists_.rows);
    part(layout.graph, graph);
    out.pad_to(start + layout.codes);
    if (codes) codes->write(out);
    out.pad_to(start + layout.size);
  }

  const VectorBlock& block_;
  VectorRows vectors_;
  ListPlan plan_;
  Metric metric_;
  const IvfParams& params_;
  unsigned threads_;
  const Cancel& cancel_;
  Lists& lists_ = plan_.lists;
};

}  // namespace

const char* name_of(IvfKind kind) {
  constexpr const char* names[] = {"flat", "coded", "pq", "opq"};
  return names[static_cast<std::size_t>(kind)];
}

void write_ivf(const VectorBlock& block, ListPlan plan, Metric metric, const IvfParams& params, unsigned threads, const Cancel& cancel,
               PieceWriter& out) {
  IvfBuilder(block, std::move(plan), metric, params, threads, cancel).run(out);
}

void write_ivf(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params, unsigned threads,
               const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained, PieceWriter& out) {
  write_ivf(block, plan_lists(VectorRows(block), rows, metric, params, threads, cancel, progress, trained), metric, params, threads, cancel, out);
}

std::vector<std::uint8_t> build_ivf(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params,
                                    unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained) {
  return gathered([&](PieceWriter& out) { write_ivf(block, rows, metric, params, threads, cancel, progress, trained, out); });
}

std::size_t ivf_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, Metric metric, const IvfParams& params, unsigned threads) {
  const std::size_t n_lists = std::min<std::size_t>(params.nlist ? params.nlist : ivf_lists_for(rows), std::max<std::size_t>(rows, 1));
  const std::size_t entries = rows * (1 + params.copies);
  std::size_t codes = 0, graph = 0;
  if (params.kind == IvfKind::coded) codes = ListCodes::build_bytes(entries, dim, dtype);
  if (params.kind == IvfKind::pq || params.kind == IvfKind::opq) codes = ProductCodes::build_bytes(entries, 2 * n_lists, dim, params, threads);
  if (params.graph == CentroidGraph::yes || (params.graph == CentroidGraph::automatic && 2 * n_lists > kGraphFrom))
    graph = graph_build_bytes(2 * n_lists, centroid_width(dim, metric == Metric::dot), Dtype::float32, {}, threads);
  // Second lists move as the first did, and hold distances to all centroids for each worker.
  const std::size_t copies = params.copies ? rows * 40 + std::max(1u, threads) * n_lists * 2 * 33 * 8 : 0;
  const ListPlanBytes plan = list_plan_bytes(rows, dim, params, threads);
  return std::max(plan.planning, plan.kept + copies + codes + graph) + (std::size_t{1} << 20);
}

}  // namespace vicino
