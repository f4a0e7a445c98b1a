#include "ivf/probing.h"

#include "index/graph.h"

namespace vicino {

namespace {

constexpr std::size_t kBeamSlack = 32;  // of a walk over centroids, which meets some of the nearest late

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

void Probing::order_all(const Ivf& ivf, std::span<const float> scored) {
  const std::size_t n = ivf.n_lists_;
  if (scored.empty()) {
    points_.resize(1, ivf.space().stride());
    points_.set(0, query_.data(), 0);
    distances_.resize(std::max(distances_.size(), n));
    point_distances(points_.view(), 0, 1, ivf.centroids_, ivf.space().stride(), dots_, distances_.data());
    scored = std::span(distances_).first(n);
  }
  order_.resize(n);
  for (std::size_t list = 0; list < n; ++list) order_[list] = key_of(scored[list], list);
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
