#include "index/build_space.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/distance.h"
#include "util/thread_pool.h"

namespace vicino {

namespace {

constexpr std::size_t kBatch = 256;  // nodes per unit of parallel work and of summation
constexpr double kNear = 0.02;       // of the rows' root mean square distance from their mean

/// Reads rows of any numeric type as doubles.
class RowReader {
 public:
  explicit RowReader(const VectorBlock& block) : block_(block) {}

  void read(std::uint32_t row, double* out) const {
    const std::uint8_t* bytes = block_.row(row);
    switch (block_.dtype) {
      case Dtype::float32: return copy(loops::Float32{}, bytes, out);
      case Dtype::float16: return copy(loops::Float16{}, bytes, out);
      case Dtype::int8: return copy(loops::Int8{}, bytes, out);
      case Dtype::uint8: return copy(loops::Uint8{}, bytes, out);
      case Dtype::coded: return copy(loops::Coded{}, bytes, out);
      case Dtype::binary: return;
    }
  }

 private:
  template <class Element>
  void copy(Element element, const std::uint8_t* bytes, double* out) const {
    for (std::size_t i = 0; i < block_.dim; ++i) out[i] = reference::element(element, bytes, i, block_.dim);
  }

  const VectorBlock& block_;
};

double norm_of(std::span<const double> values) {
  double total = 0;
  for (const double value : values) total += value * value;
  return std::sqrt(total);
}

std::size_t code_stride(std::uint32_t dim, Dtype dtype) {
  return dtype == Dtype::binary ? row_bytes(dtype, dim) : (static_cast<std::size_t>(dim) + 63) / 64 * 64;
}

}  // namespace

std::size_t BuildSpace::bytes_per_node(std::uint32_t dim, Dtype dtype) {
  return code_stride(dim, dtype) + (dtype == Dtype::binary ? 0 : sizeof(Factors)) + sizeof(std::uint32_t);
}

BuildSpace::BuildSpace(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, unsigned threads, const Cancel& cancel)
    : metric_(metric), dim_(block.dim), is_binary_(block.dtype == Dtype::binary), stride_(code_stride(block.dim, block.dtype)),
      rows_(rows.begin(), rows.end()), codes_(rows.size() * stride_) {
  if (!is_binary_) {
    factors_.resize(rows.size());
    encode(block, threads, cancel);
    return;
  }
  for (std::size_t node = 0; node < rows.size(); ++node) std::memcpy(codes_.data() + node * stride_, block.row(rows[node]), stride_);
}

void BuildSpace::encode(const VectorBlock& block, unsigned threads, const Cancel& cancel) {
  const RowReader reader(block);
  const std::size_t n = rows_.size(), dim = dim_, n_batches = (n + kBatch - 1) / kBatch;
  const auto for_each_node = [&](auto&& visit) {  // visit(node, batch, values of the row)
    parallel_for(threads, n_batches, [&](std::size_t batch, std::size_t) {
      cancel.check();
      std::vector<double> values(dim);
      for (std::size_t node = batch * kBatch; node < std::min(n, (batch + 1) * kBatch); ++node) {
        reader.read(rows_[node], values.data());
        visit(node, batch, std::span<double>(values));
      }
    });
  };

  // The largest norm brings everything to norm 1 at most: squares of extreme floats neither overflow nor vanish, and dot needs it anyway.
  std::vector<double> norms(n);
  for_each_node([&](std::size_t node, std::size_t, std::span<double> values) {
    norms[node] = norm_of(values);
    if (!std::isfinite(norms[node]))
      throw CorruptionError("the vector of row " + std::to_string(rows_[node]) + " holds numbers that are not finite; restore from a snapshot");
  });
  const double largest = n ? *std::max_element(norms.begin(), norms.end()) : 0;
  const auto multiplier = [&](std::size_t node) {
    const double norm = metric_ == Metric::cosine ? norms[node] : largest;
    return norm > 0 ? 1 / norm : 0;
  };

  // Sums per batch, added in order: the mean is the same for any number of threads. Batches are grouped so that few sums are held.
  constexpr std::size_t n_groups = 16;
  std::vector<std::vector<double>> sums(n_groups, std::vector<double>(dim));
  parallel_for(threads, n_groups, [&](std::size_t group, std::size_t) {
    std::vector<double> values(dim);
    for (std::size_t node = n * group / n_groups; node < n * (group + 1) / n_groups; ++node) {
      if (node % kBatch == 0) cancel.check();
      reader.read(rows_[node], values.data());
      const double factor = multiplier(node);
      for (std::size_t i = 0; i < dim; ++i) sums[group][i] += values[i] * factor;
    }
  });
  std::vector<double> mean(dim);
  for (const auto& sum : sums)
    for (std::size_t i = 0; i < dim; ++i) mean[i] += sum[i] / static_cast<double>(n);

  for_each_node([&](std::size_t node, std::size_t, std::span<double> values) {
    const double factor = multiplier(node);
    double extreme = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      values[i] = values[i] * factor - mean[i];
      extreme = std::max(extreme, std::fabs(values[i]));
    }
    const double steps = extreme > 0 ? 127 / extreme : 0;
    std::int8_t* code = codes_.data() + node * stride_;
    std::int32_t sum = 0, squared = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      const double scaled = values[i] * steps;
      const int step = static_cast<int>(scaled + (scaled < 0 ? -0.5 : 0.5));
      code[i] = static_cast<std::int8_t>(step);
      sum += step;
      squared += step * step;
    }
    Factors& factors = factors_[node];
    factors.scale = static_cast<float>(extreme / 127);
    factors.norm = (factors.scale * factors.scale) * static_cast<float>(squared);
    factors.sum = sum;
    if (metric_ == Metric::dot && largest > 0) {
      const double relative = norms[node] / largest;
      factors.extra = static_cast<float>(std::sqrt(std::max(0.0, 1 - relative * relative)));
    }
  });
  double squares = 0;
  for (const Factors& factors : factors_) squares += factors.norm;
  near_distance_min_ = n ? static_cast<float>(kNear * kNear * squares / static_cast<double>(n)) : 0;
}

void BuildSpace::reorder(std::span<const std::uint32_t> order) {
  // Follows each cycle of the permutation with one node in hand, so that no second copy of the codes is needed.
  std::vector<bool> done(order.size());
  std::vector<std::int8_t> held(stride_);
  for (std::size_t start = 0; start < order.size(); ++start) {
    if (done[start]) continue;
    std::copy_n(codes_.data() + start * stride_, stride_, held.data());
    const std::uint32_t held_row = rows_[start];
    const Factors held_factors = is_binary_ ? Factors{} : factors_[start];
    std::size_t to = start;
    for (;;) {
      done[to] = true;
      const std::size_t from = order[to];
      const bool last = from == start;
      std::copy_n(last ? held.data() : codes_.data() + from * stride_, stride_, codes_.data() + to * stride_);
      rows_[to] = last ? held_row : rows_[from];
      if (!is_binary_) factors_[to] = last ? held_factors : factors_[from];
      if (last) break;
      to = from;
    }
  }
}

void BuildSpace::gather(std::span<const std::uint32_t> nodes, Panel& panel) const {
  panel.size_ = nodes.size();
  if (panel.codes_.size() < nodes.size() * stride_) panel.codes_.resize(nodes.size() * stride_);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // Rows that lie apart are asked for a few steps before they are copied.
    if (i + 4 < nodes.size())
      for (std::size_t at = 0; at < std::min<std::size_t>(stride_, 512); at += 64)
        __builtin_prefetch(codes_.data() + static_cast<std::size_t>(nodes[i + 4]) * stride_ + at);
    std::memcpy(panel.codes_.data() + i * stride_, codes_.data() + static_cast<std::size_t>(nodes[i]) * stride_, stride_);
  }
  if (is_binary_) return;
  panel.norms_.resize(nodes.size());
  panel.scales_.resize(nodes.size());
  panel.extras_.resize(nodes.size());
  panel.sums_.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Factors& factors = factors_[nodes[i]];
    panel.norms_[i] = factors.norm;
    panel.scales_[i] = factors.scale;
    panel.extras_[i] = factors.extra;
    panel.sums_[i] = factors.sum;
  }
}

void BuildSpace::distances(const Panel& rows, std::size_t first, std::size_t count, const Panel& columns, std::vector<std::int32_t>& dots,
                           float* out) const {
  const Kernels& table = kernels();
  const std::size_t n = columns.size_;
  if (count == 0 || n == 0) return;
  if (is_binary_) {
    const Kernel kernel = metric_ == Metric::jaccard ? table.jaccard : table.hamming;
    constexpr std::size_t group = 64;
    const std::uint8_t* pointers[group];
    for (std::size_t c = 0; c < n; c += group) {
      const std::size_t width = std::min(group, n - c);
      for (std::size_t i = 0; i < width; ++i) pointers[i] = reinterpret_cast<const std::uint8_t*>(columns.codes_.data()) + (c + i) * stride_;
      for (std::size_t r = 0; r < count; ++r)
        kernel(rows.codes_.data() + (first + r) * stride_, pointers, width, dim_, out + r * n + c);
    }
    return;
  }
  if (dots.size() < count * n) dots.resize(count * n);
  table.code_products(rows.codes_.data() + first * stride_, count, columns.codes_.data(), columns.sums_.data(), n, stride_, dots.data());
  for (std::size_t r = 0; r < count; ++r) {
    const CodeFactors self{rows.norms_[first + r], rows.scales_[first + r], rows.extras_[first + r]};
    table.code_distances(dots.data() + r * n, n, self, columns.norms_.data(), columns.scales_.data(), columns.extras_.data(), out + r * n);
  }
}

std::uint32_t BuildSpace::central_node() const {
  // Codes are centered, so the smallest norm is the one nearest to the mean. For bits any node serves as well as another.
  const auto nearer = [](const Factors& a, const Factors& b) { return a.norm + a.extra * a.extra < b.norm + b.extra * b.extra; };
  return is_binary_ ? 0 : static_cast<std::uint32_t>(std::min_element(factors_.begin(), factors_.end(), nearer) - factors_.begin());
}

std::vector<std::uint32_t> BuildSpace::dominant_nodes(std::uint32_t count) const {
  if (metric_ != Metric::dot) return {};
  std::vector<std::uint32_t> nodes(size());
  std::iota(nodes.begin(), nodes.end(), 0u);
  count = std::min(count, size());
  // The further coordinate falls as the norm rises.
  std::partial_sort(nodes.begin(), nodes.begin() + count, nodes.end(), [&](std::uint32_t a, std::uint32_t b) {
    return factors_[a].extra != factors_[b].extra ? factors_[a].extra < factors_[b].extra : a < b;
  });
  nodes.resize(count);
  return nodes;
}

}  // namespace vicino
