#include "ivf/list_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ivf/product_code.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kListsMax = 1u << 20;
constexpr std::uint32_t kDimsMax = 65536;

void check_trained(const VectorRows& vectors, Metric metric, const ClusterSpace& trained) {
  if (trained.dim() == vectors.dim && trained.dtype() == vectors.dtype && trained.metric() == metric) return;
  throw InvalidArgument("the centroids that were given are of " + std::to_string(trained.dim()) + " dimensions, " + name_of(trained.dtype()) + " and " +
                        name_of(trained.metric()) + "; the rows are " + std::to_string(vectors.dim) + ", " + name_of(vectors.dtype) + " and " +
                        name_of(metric));
}

void check(const VectorRows& vectors, Metric metric, const IvfParams& params) {
  if (!is_allowed(metric, vectors.dtype))
    throw InvalidArgument(std::string("metric \"") + name_of(metric) + "\" does not go with " + name_of(vectors.dtype) + " vectors");
  if (vectors.dim < 1 || vectors.dim > kDimsMax)
    throw InvalidArgument("inverted lists need 1 to " + std::to_string(kDimsMax) + " dimensions, got " + std::to_string(vectors.dim));
  if (params.nlist > kListsMax) throw InvalidArgument("nlist must be at most " + std::to_string(kListsMax) + ", got " + std::to_string(params.nlist));
  if (params.copies > 1) throw InvalidArgument("copies must be 0 or 1, got " + std::to_string(params.copies));
  if (params.kind != IvfKind::flat && !can_have_codes(metric, vectors.dtype))
    throw InvalidArgument(std::string("ivf_") + name_of(params.kind) + " needs float32 or float16 vectors under cosine, dot or l2, got " +
                          name_of(vectors.dtype) + " under " + name_of(metric) + "; use ivf_flat");
  if (params.kind == IvfKind::pq || params.kind == IvfKind::opq) check_product_shape(vectors.dim, params.subvectors, params.bits, params.kind == IvfKind::opq);
}

std::uint32_t lists_wanted(std::size_t rows, const IvfParams& params) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(params.nlist ? params.nlist : ivf_lists_for(rows), rows));
}

float mean_of(const std::vector<float>& distances) {
  double total = 0;
  for (const float distance : distances) total += distance;
  return distances.empty() ? 0 : static_cast<float>(total / static_cast<double>(distances.size()));
}

}  // namespace

std::uint32_t ivf_lists_for(std::size_t rows) {
  return static_cast<std::uint32_t>(std::clamp<double>(4 * std::sqrt(static_cast<double>(rows)), 1, kListsMax));
}

ListPlan plan_lists(const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params, unsigned threads,
                    const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained) {
  check(vectors, metric, params);
  ListPlan plan;
  Centroids centroids;
  if (trained) {
    check_trained(vectors, metric, trained->space());
    plan.space = trained->space();
    plan.training = trained->training();
    centroids = trained->centroids();
  } else {
    plan.space = ClusterSpace(vectors, rows, metric, threads, cancel);
    const std::uint32_t wanted = lists_wanted(rows.size(), params);
    const Points sample = plan.space.encode(vectors, draw_evenly(rows, std::size_t{wanted} * params.sample), threads, cancel);
    centroids = train_centroids(sample, wanted, plan.space.center(), params.seed, threads, cancel);
  }
  const std::size_t mean = std::max<std::size_t>(1, rows.size() / std::max<std::size_t>(1, centroids.size()));
  plan.lists = assign_rows({plan.space, vectors, rows}, std::move(centroids), kCapRatio * mean, params.seed, threads, cancel, progress);
  plan.mean_distance = mean_of(plan.lists.distances);
  if (!trained) plan.training = {plan.mean_distance, static_cast<std::uint32_t>(rows.size())};
  return plan;
}

ListPlanBytes list_plan_bytes(std::size_t rows, std::uint32_t dim, const IvfParams& params, unsigned threads) {
  const std::size_t n_lists = std::max<std::size_t>(1, lists_wanted(rows, params));
  const std::size_t stride = ClusterSpace::stride_of(dim), workers = std::max(1u, threads), point = ClusterSpace::point_bytes(dim) + 16;
  // Sample points, and for each worker the part of them that it trains on; centroids as floats and codes, of which cutting may add as many again;
  // row, distance and list of every row, and the order a merge makes of them; what a worker holds of a batch.
  const std::size_t points = (1 + (workers + 3) / 4) * std::min(rows, n_lists * params.sample) * point;
  const std::size_t centroids = 2 * n_lists * (stride * 12 + 64);
  const std::size_t batches = workers * (2048 * point + 64 * 2 * n_lists * 8);
  const std::size_t kept = centroids + rows * 40 + (std::size_t{1} << 20);
  return {kept + points + batches, kept};
}

}  // namespace vicino
