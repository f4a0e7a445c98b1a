#include "ivf/probing.h"

#include "index/graph.h"
#include "kernels/dispatch.h"

namespace vicino {

namespace {

constexpr std::size_t kBeamSlack = 32;  // of a walk over centroids, which meets some of the nearest late
constexpr std::size_t kSampledMin = 256, kSample = 128;  // centroids; how many of them, about, are in a sample
constexpr std::size_t kSampleSlack = 4;  // so many of the sample more than are wanted, for a sample errs

}  // namespace

std::span<const float> Probing::score(const Ivf& ivf, std::span<const PreparedQuery> queries) {
  const std::size_t n = ivf.n_lists_;
  points_.resize(queries.size(), ivf.space().stride());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    set_query(ivf, queries[i]);
    points_.set(i, query_.data(), 0);
  }
  distances_.resize(std::max(distances_.size(), queries.size() * n));
  point_distances(points_.view(), 0, queries.size(), ivf.centroids_, ivf.space().stride(), dots_, distances_.data());
  return std::span(distances_).first(queries.size() * n);
}

std::span<const float> Probing::distances_of(const Ivf& ivf, std::span<const float> scored) {
  if (!scored.empty()) return scored;
  const std::size_t n = ivf.n_lists_;
  points_.resize(1, ivf.space().stride());
  points_.set(0, query_.data(), 0);
  distances_.resize(std::max(distances_.size(), n));
  point_distances(points_.view(), 0, 1, ivf.centroids_, ivf.space().stride(), dots_, distances_.data());
  return std::span(distances_).first(n);
}

void Probing::order_all(const Ivf& ivf, std::span<const float> scored) {
  order_.resize(ivf.n_lists_);
  for (std::size_t list = 0; list < order_.size(); ++list) order_[list] = key_of(scored[list], list);
}

/// A sample says how near the lists are that are wanted, and a bit more: the few that are as near are put in order.
bool Probing::order_nearest(const Ivf& ivf, std::size_t wanted, std::span<const float> scored) {
  const std::size_t n = ivf.n_lists_;
  if (n < kSampledMin || wanted > n / 2) return false;
  const std::size_t step = n / kSample;
  sample_.clear();
  for (std::size_t list = 0; list < n; list += step) sample_.push_back(scored[list]);
  const std::size_t place = std::min(wanted * 5 / 4 / step + kSampleSlack, sample_.size() - 1);
  std::nth_element(sample_.begin(), sample_.begin() + static_cast<std::ptrdiff_t>(place), sample_.end());
  near_.resize(n + kCollectSlack);
  const std::size_t found = kernels().collect_at_most(scored.data(), n, sample_[place], near_.data());
  if (found < wanted) return false;
  order_.clear();
  for (std::size_t i = 0; i < found; ++i) order_.push_back(key_of(scored[near_[i]], near_[i]));
  const auto end = order_.begin() + static_cast<std::ptrdiff_t>(wanted);
  if (end != order_.end()) std::nth_element(order_.begin(), end, order_.end());
  std::sort(order_.begin(), end);
  order_.resize(wanted);
  return true;
}

void Probing::walk(const Ivf& ivf, std::size_t wanted, const Cancel& cancel) {
  const auto width = static_cast<std::uint32_t>(ivf.values_.size() / ivf.n_lists_);
  if (query_.size() < width) query_.resize(width);  // under dot the further coordinate of a query is 0
  const PreparedQuery query(Metric::l2, Dtype::float32, width, query_.data());
  const VectorBlock block{reinterpret_cast<const std::uint8_t*>(ivf.values_.data()), ivf.n_lists_, width, Dtype::float32, nullptr};
  TopK found(wanted);
  SearchStats walked;
  ivf.graph_->search(query, block, nullptr, 2 * wanted + kBeamSlack, found, walked, cancel);
  order_.clear();
  for (const Hit& hit : std::move(found).take_sorted()) order_.push_back(key_of(hit.distance, hit.row));
}

}  // namespace vicino
