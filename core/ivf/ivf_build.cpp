#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ivf/assignment.h"
#include "ivf/ivf.h"
#include "ivf/ivf_layout.h"
#include "ivf/list_codes.h"
#include "ivf/product_code.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kSamplePerList = 64;
constexpr std::uint32_t kGraphFrom = 4096;  // so many centroids are scored faster than a graph over them is walked
constexpr std::uint32_t kListsMax = 1u << 20;
constexpr std::uint32_t kDimsMax = 65536;

/// A build with everything it was given.
class IvfBuilder {
 public:
  IvfBuilder(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params, unsigned threads,
             const Cancel& cancel)
      : block_(block), rows_(rows), metric_(metric), params_(params), threads_(threads), cancel_(cancel) {}

  void check(const Ivf* trained) const {
    if (!is_allowed(metric_, block_.dtype))
      throw InvalidArgument(std::string("metric \"") + name_of(metric_) + "\" does not go with " + name_of(block_.dtype) + " vectors");
    if (block_.dim < 1 || block_.dim > kDimsMax)
      throw InvalidArgument("inverted lists need 1 to " + std::to_string(kDimsMax) + " dimensions, got " + std::to_string(block_.dim));
    if (params_.nlist > kListsMax)
      throw InvalidArgument("nlist must be at most " + std::to_string(kListsMax) + ", got " + std::to_string(params_.nlist));
    if (params_.copies > 1) throw InvalidArgument("copies must be 0 or 1, got " + std::to_string(params_.copies));
    if (params_.kind != IvfKind::flat && (!is_float(block_.dtype) || metric_ == Metric::l1))
      throw InvalidArgument(std::string("ivf_") + name_of(params_.kind) + " needs float32 or float16 vectors under cosine, dot or l2, got " +
                            name_of(block_.dtype) + " under " + name_of(metric_) + "; use ivf_flat");
    if (trained && (trained->space().dim() != block_.dim || trained->space().dtype() != block_.dtype || trained->space().metric() != metric_))
      throw InvalidArgument("the centroids that were given are of " + std::to_string(trained->space().dim()) + " dimensions, " +
                            name_of(trained->space().dtype()) + " and " + name_of(trained->space().metric()) + "; the rows are " +
                            std::to_string(block_.dim) + ", " + name_of(block_.dtype) + " and " + name_of(metric_));
    if (params_.kind == IvfKind::pq || params_.kind == IvfKind::opq) check_product_shape(block_.dim, params_.subvectors, params_.bits, params_.kind == IvfKind::opq);
  }

  std::vector<std::uint8_t> run(std::atomic<std::uint64_t>* progress, const Ivf* trained) {
    space_ = trained ? trained->space() : ClusterSpace(block_, rows_, metric_, threads_, cancel_);
    Centroids centroids = trained ? trained->centroids() : train();
    const RowsToAssign from{space_, block_, rows_};
    const std::size_t mean = std::max<std::size_t>(1, rows_.size() / std::max<std::size_t>(1, centroids.size()));
    lists_ = assign_rows(from, std::move(centroids), kCapRatio * mean, params_.seed, threads_, cancel_, progress);
    mean_ = mean_distance();
    if (params_.copies) add_copies(from, lists_, threads_, cancel_);
    return write(trained ? static_cast<float>(trained->trained_distance()) : mean_);
  }

 private:
  Centroids train() const {
    const std::uint32_t wanted = params_.nlist ? params_.nlist : ivf_lists_for(rows_.size());
    const auto n_lists = static_cast<std::uint32_t>(std::min<std::size_t>(wanted, rows_.size()));
    const auto sample = draw_evenly(rows_, std::size_t{n_lists} * kSamplePerList);
    return train_centroids(space_.encode(block_, sample, threads_, cancel_), n_lists, space_.center(), params_.seed, threads_, cancel_);
  }

  /// Of rows from the centroids of their lists.
  float mean_distance() const {
    double total = 0;
    for (const float distance : lists_.distances) total += distance;
    return lists_.rows.empty() ? 0 : static_cast<float>(total / static_cast<double>(lists_.rows.size()));
  }

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

  std::vector<std::uint8_t> encode() const {
    if (lists_.rows.empty()) return {};
    switch (params_.kind) {
      case IvfKind::flat: return {};
      case IvfKind::coded: return ListCodes::build(block_, lists_.rows, metric_, params_.seed, threads_, cancel_);
      case IvfKind::pq:
      case IvfKind::opq:
        return ProductCodes::build({space_, block_, lists_.rows, lists_.starts}, params_, threads_, cancel_);
    }
    __builtin_unreachable();
  }

  std::vector<std::uint8_t> write(float trained_distance) const {
    const bool has_graph = lists_.size() > 1 && (params_.graph == CentroidGraph::yes || (params_.graph == CentroidGraph::automatic && lists_.size() > kGraphFrom));
    const std::vector<float> values = has_graph ? centroid_rows() : std::vector<float>();
    const std::vector<std::uint8_t> graph = has_graph ? graph_over(values) : std::vector<std::uint8_t>();
    const std::vector<std::uint8_t> codes = encode();
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
    header.unit = space_.unit();
    header.trained_distance = trained_distance;
    header.mean_distance = mean_;
    header.entries = lists_.rows.size();
    header.values = values.size() * sizeof(float);
    header.graph = graph.size();
    header.codes = codes.size();
    const IvfLayout layout(header);
    header.size = layout.size;
    std::vector<std::uint8_t> out(layout.size);
    const auto put = [&](std::size_t offset, const auto& values_of_part, std::size_t count) {
      if (count) std::memcpy(out.data() + offset, values_of_part.data(), count * sizeof values_of_part[0]);
    };
    std::memcpy(out.data(), &header, sizeof header);
    put(layout.mean, space_.mean(), block_.dim);
    put(layout.centroids, centroids.codes, centroids.codes.size());
    put(layout.norms, centroids.norms, centroids.size());
    put(layout.scales, centroids.scales, centroids.size());
    put(layout.extras, centroids.extras, centroids.size());
    put(layout.sums, centroids.sums, centroids.size());
    put(layout.values, values, values.size());
    put(layout.starts, lists_.starts, lists_.starts.size());
    put(layout.rows, lists_.rows, lists_.rows.size());
    put(layout.graph, graph, graph.size());
    put(layout.codes, codes, codes.size());
    return out;
  }

  const VectorBlock& block_;
  std::span<const std::uint32_t> rows_;
  Metric metric_;
  const IvfParams& params_;
  unsigned threads_;
  const Cancel& cancel_;
  ClusterSpace space_;
  Lists lists_;
  float mean_ = 0;  // squared distance of a row from the centroid of its list
};

}  // namespace

const char* name_of(IvfKind kind) {
  constexpr const char* names[] = {"flat", "coded", "pq", "opq"};
  return names[static_cast<std::size_t>(kind)];
}

std::uint32_t ivf_lists_for(std::size_t rows) {
  return static_cast<std::uint32_t>(std::clamp<double>(4 * std::sqrt(static_cast<double>(rows)), 1, kListsMax));
}

std::vector<std::uint8_t> build_ivf(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params,
                                    unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained) {
  IvfBuilder builder(block, rows, metric, params, threads, cancel);
  builder.check(trained);
  return builder.run(progress, trained);
}

std::size_t ivf_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, Metric metric, const IvfParams& params, unsigned threads) {
  const std::size_t n_lists = std::min<std::size_t>(params.nlist ? params.nlist : ivf_lists_for(rows), std::max<std::size_t>(rows, 1));
  const std::size_t entries = rows * (1 + params.copies), stride = ClusterSpace::stride_of(dim), workers = std::max(1u, threads);
  // Sample points twice, for a level of training gathers its own; centroids as floats and codes, of which cutting may add as many again;
  // rows, distances and lists of all entries while they move from hand to hand; what a worker holds of a batch.
  const std::size_t points = 2 * std::min(rows, n_lists * kSamplePerList) * (ClusterSpace::point_bytes(dim) + 16);
  const std::size_t centroids = 2 * n_lists * (stride * 12 + 64);
  const std::size_t moving = entries * 40;
  const std::size_t batches = workers * (2048 * (ClusterSpace::point_bytes(dim) + 16) + 64 * 2 * n_lists * 8);
  std::size_t codes = 0, graph = 0;
  if (params.kind == IvfKind::coded) codes = 2 * ListCodes::build_bytes(entries, dim, dtype);
  if (params.kind == IvfKind::pq || params.kind == IvfKind::opq) codes = 2 * ProductCodes::build_bytes(entries, 2 * n_lists, dim, params, threads);
  if (params.graph == CentroidGraph::yes || (params.graph == CentroidGraph::automatic && 2 * n_lists > kGraphFrom))
    graph = graph_build_bytes(2 * n_lists, centroid_width(dim, metric == Metric::dot), Dtype::float32, {}, threads);
  return points + centroids + moving + batches + codes + graph + (std::size_t{1} << 20);
}

}  // namespace vicino
