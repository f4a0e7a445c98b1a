#include "index/build_space.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/distance.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kBatch = 256;  // nodes per unit of parallel work
constexpr double kNear = 0.02;       // of the rows' root mean square distance from their mean

constexpr std::size_t kMeanRows = 16384;  // at most so many rows, evenly spread, give the mean; it is only where codes have their zero

/// Whether squares of such a number, and sums of them, are far from both ends of what a float holds.
bool is_ordinary(double norm) { return norm > 1e-12 && norm < 1e12; }

double norm_of(std::span<const float> values) {
  const double square = kernels().sum_vectors(values.data(), values.data(), values.size()).square;
  if (is_ordinary(std::sqrt(square))) return std::sqrt(square);
  double total = 0;
  for (const double value : values) total += value * value;
  return std::sqrt(total);
}

/// Multiplies a row of this norm.
void scale_row(std::span<float> values, double norm, double factor) {
  if (is_ordinary(norm) && is_ordinary(factor)) return kernels().combine_vectors(values.data(), static_cast<float>(factor), values.data(), 0.0f, values.size(), values.data());
  for (float& value : values) value = static_cast<float>(value * factor);
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
  const std::size_t n = rows_.size(), n_batches = (n + kBatch - 1) / kBatch;
  const auto for_each_node = [&](auto&& visit) {  // visit(node, values of the row, zero up to the stride)
    parallel_for(threads, n_batches, [&](std::size_t batch, std::size_t) {
      cancel.check();
      std::vector<float> values(stride_);
      for (std::size_t node = batch * kBatch; node < std::min(n, (batch + 1) * kBatch); ++node) {
        read_row(block.dtype, block.row(rows_[node]), block.dim, values.data());
        visit(node, std::span<float>(values));
      }
    });
  };

  // The largest norm brings everything to norm 1 at most: squares of extreme floats neither overflow nor vanish, and dot needs it anyway.
  std::vector<double> norms(n);
  for_each_node([&](std::size_t node, std::span<float> values) {
    norms[node] = norm_of(values);
    if (!std::isfinite(norms[node]))
      throw CorruptionError("the vector of row " + std::to_string(rows_[node]) + " holds numbers that are not finite; restore from a snapshot");
  });
  const double largest = n ? *std::max_element(norms.begin(), norms.end()) : 0;
  const auto normalize = [&](std::size_t node, std::span<float> values) {
    const double norm = metric_ == Metric::cosine ? norms[node] : largest;
    scale_row(values, norms[node], norm > 0 ? 1 / norm : 0);
  };
  const std::vector<float> mean = mean_of([&](std::size_t node, std::span<float> values) {
    read_row(block.dtype, block.row(rows_[node]), block.dim, values.data());
    normalize(node, values);
  }, cancel);

  for_each_node([&](std::size_t node, std::span<float> values) {
    const Kernels& table = kernels();
    normalize(node, values);
    table.combine_vectors(values.data(), 1.0f, mean.data(), -1.0f, stride_, values.data());
    const float extreme = table.sum_vectors(values.data(), values.data(), stride_).largest;
    std::int8_t* code = codes_.data() + node * stride_;
    Factors& factors = factors_[node];
    // Below this only rows that are the mean itself to a float's precision are left; their steps would be no numbers.
    factors.sum = table.round_vector(values.data(), extreme > 1e-30f ? 127 / extreme : 0, stride_, code);
    std::int32_t squared = 0;
    for (std::size_t i = 0; i < stride_; ++i) squared += code[i] * code[i];
    factors.scale = extreme / 127;
    factors.norm = (factors.scale * factors.scale) * static_cast<float>(squared);
    if (metric_ == Metric::dot && largest > 0) {
      const double relative = norms[node] / largest;
      factors.extra = static_cast<float>(std::sqrt(std::max(0.0, 1 - relative * relative)));
    }
  });
  double squares = 0;
  for (const Factors& factors : factors_) squares += factors.norm;
  near_distance_min_ = n ? static_cast<float>(kNear * kNear * squares / static_cast<double>(n)) : 0;
}

/// read(node, values): the normalized row.
template <class Read>
std::vector<float> BuildSpace::mean_of(Read&& read, const Cancel& cancel) const {
  const std::size_t n = rows_.size(), count = std::min(n, kMeanRows);
  std::vector<double> sums(stride_);
  std::vector<float> values(stride_), mean(stride_);
  for (std::size_t i = 0; i < count; ++i) {
    if (i % kBatch == 0) cancel.check();
    read(n * i / count, std::span<float>(values));
    for (std::size_t j = 0; j < dim_; ++j) sums[j] += values[j];
  }
  for (std::size_t j = 0; j < dim_; ++j) mean[j] = static_cast<float>(sums[j] / static_cast<double>(std::max<std::size_t>(count, 1)));
  return mean;
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

void BuildSpace::distances(const Panel& rows, std::size_t first, std::size_t count, const Panel& columns, std::size_t c_first, std::size_t c_last,
                           std::vector<std::int32_t>& dots, std::size_t stride, float* out) const {
  const Kernels& table = kernels();
  if (count == 0 || c_last <= c_first) return;
  const std::size_t n = c_last - c_first;
  const std::int8_t* codes = columns.codes_.data() + c_first * stride_;
  if (is_binary_) {
    const Kernel kernel = metric_ == Metric::jaccard ? table.jaccard : table.hamming;
    constexpr std::size_t group = 64;
    const std::uint8_t* pointers[group];
    for (std::size_t c = 0; c < n; c += group) {
      const std::size_t width = std::min(group, n - c);
      for (std::size_t i = 0; i < width; ++i) pointers[i] = reinterpret_cast<const std::uint8_t*>(codes) + (c + i) * stride_;
      for (std::size_t r = 0; r < count; ++r)
        kernel(rows.codes_.data() + (first + r) * stride_, pointers, width, dim_, out + r * stride + c_first + c);
    }
    return;
  }
  if (dots.size() < count * n) dots.resize(count * n);
  table.code_products(rows.codes_.data() + first * stride_, count, codes, columns.sums_.data() + c_first, n, stride_, dots.data());
  for (std::size_t r = 0; r < count; ++r) {
    const CodeFactors self{rows.norms_[first + r], rows.scales_[first + r], rows.extras_[first + r]};
    table.code_distances(dots.data() + r * n, n, self, columns.norms_.data() + c_first, columns.scales_.data() + c_first,
                         columns.extras_.data() + c_first, out + r * stride + c_first);
  }
}

void BuildSpace::distances_at(std::uint32_t node, std::span<const std::uint32_t> others, float* out) const {
  const Kernels& table = kernels();
  constexpr std::size_t group = 64;
  const std::int8_t *self = code_of(node), *codes[group];
  float norms[group], scales[group], extras[group];
  std::int32_t sums[group], dots[group];
  for (std::size_t start = 0; start < others.size(); start += group) {
    const std::size_t count = std::min(group, others.size() - start);
    for (std::size_t i = 0; i < count; ++i) codes[i] = code_of(others[start + i]);
    if (is_binary_) {
      const Kernel kernel = metric_ == Metric::jaccard ? table.jaccard : table.hamming;
      kernel(self, reinterpret_cast<const std::uint8_t* const*>(codes), count, dim_, out + start);
      continue;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Factors& factors = factors_[others[start + i]];
      norms[i] = factors.norm;
      scales[i] = factors.scale;
      extras[i] = factors.extra;
      sums[i] = factors.sum;
    }
    table.code_products_at(self, codes, sums, count, stride_, dots);
    const Factors& own = factors_[node];
    table.code_distances(dots, count, {own.norm, own.scale, own.extra}, norms, scales, extras, out + start);
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
