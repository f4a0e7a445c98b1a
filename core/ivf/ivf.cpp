// Opening and checking the buffer of inverted lists. The search is in ivf_search.cpp.
#include "ivf/ivf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ivf/ivf_layout.h"
#include "ivf/kmeans.h"
#include "ivf/list_codes.h"
#include "ivf/product_code.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDimsMax = 65536;

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("inverted lists: " + message + "; rebuild the index of this segment"); }

IvfHeader header_of(const Blob& buffer) {
  if (buffer.size() < sizeof(IvfHeader))
    fail("have " + std::to_string(buffer.size()) + " bytes, less than their header of " + std::to_string(sizeof(IvfHeader)));
  if (reinterpret_cast<std::uintptr_t>(buffer.data()) % alignof(std::uint64_t)) fail("are not aligned to 8 bytes");
  IvfHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (std::memcmp(header.magic, kIvfMagic, sizeof header.magic)) fail("do not begin with VICLISTS");
  if (header.format > kIvfFormat)
    throw FormatError("inverted lists: format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kIvfFormat) +
                      "; upgrade vicino");
  if (header.format == 0) fail("format 0 does not exist");
  return header;
}

void check_header(const IvfHeader& header, std::size_t size, std::uint32_t n_rows) {
  if (header.rows != n_rows) fail("are over " + std::to_string(header.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (header.dim < 1 || header.dim > kDimsMax) fail("are of " + std::to_string(header.dim) + " dimensions");
  if (header.kind > static_cast<std::uint8_t>(IvfKind::opq)) fail("are of unknown kind " + std::to_string(header.kind));
  if (header.metric > static_cast<std::uint8_t>(Metric::jaccard) || header.dtype > static_cast<std::uint8_t>(Dtype::coded) ||
      !is_allowed(static_cast<Metric>(header.metric), static_cast<Dtype>(header.dtype)))
    fail("have metric " + std::to_string(header.metric) + " over vectors of type " + std::to_string(header.dtype));
  if (header.kind != static_cast<std::uint8_t>(IvfKind::flat) && !can_have_codes(static_cast<Metric>(header.metric), static_cast<Dtype>(header.dtype)))
    fail("have codes of " + std::string(name_of(static_cast<Dtype>(header.dtype))) + " vectors under " + name_of(static_cast<Metric>(header.metric)));
  if (header.flags > kIvfHasCopies) fail("have unknown flags " + std::to_string(header.flags));
  if (!std::isfinite(header.unit) || !std::isfinite(header.trained_distance) || !std::isfinite(header.mean_distance)) fail("hold numbers that are not finite");
  if (header.entries > 2 * std::uint64_t{header.rows} || header.lists > header.entries || (header.entries && !header.lists))
    fail("counts of rows, lists and entries contradict each other");
  const std::uint64_t values = std::uint64_t{4} * header.lists * centroid_width(header.dim, header.metric == static_cast<std::uint8_t>(Metric::dot));
  if (header.values != (header.graph ? values : 0)) fail("have " + std::to_string(header.values) + " bytes of centroids");
  if (header.graph > size || header.codes > size) fail("are larger than what holds them");
  if ((header.codes != 0) != (header.entries && header.kind != static_cast<std::uint8_t>(IvfKind::flat))) fail("have codes where their kind has none, or none");
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

}  // namespace

Ivf Ivf::open(Blob buffer, std::uint32_t n_rows) {
  const IvfHeader header = header_of(buffer);
  check_header(header, buffer.size(), n_rows);
  const IvfLayout layout(header);
  if (header.size != layout.size || buffer.size() != layout.size)
    fail("have " + std::to_string(buffer.size()) + " bytes, their counts make " + std::to_string(layout.size));
  const auto at = [&]<class T>(const T*, std::size_t offset) { return reinterpret_cast<const T*>(buffer.data() + offset); };
  constexpr const float* floats = nullptr;

  Ivf ivf;
  ivf.kind_ = static_cast<IvfKind>(header.kind);
  ivf.n_rows_ = header.rows;
  ivf.n_lists_ = header.lists;
  ivf.has_copies_ = header.flags & kIvfHasCopies;
  ivf.training_ = {header.trained_distance, header.trained_rows};
  ivf.nprobe_ = std::min(header.nprobe, header.lists);
  ivf.mean_distance_ = header.mean_distance;
  const std::span mean(at(floats, layout.mean), header.dim);
  if (!all_finite(mean)) fail("hold a mean that is not finite");
  ivf.space_ = ClusterSpace(static_cast<Metric>(header.metric), static_cast<Dtype>(header.dtype), header.dim, header.unit, mean);
  ivf.centroids_ = {header.lists, at(static_cast<const std::int8_t*>(nullptr), layout.centroids), at(floats, layout.norms), at(floats, layout.scales),
                    at(floats, layout.extras), at(static_cast<const std::int32_t*>(nullptr), layout.sums)};
  ivf.values_ = {at(floats, layout.values), header.values / sizeof(float)};
  ivf.starts_ = {at(static_cast<const std::uint64_t*>(nullptr), layout.starts), std::size_t{header.lists} + 1};
  ivf.rows_ = {at(static_cast<const std::uint32_t*>(nullptr), layout.rows), header.entries};
  ivf.check_small_parts();
  const auto part = [&](std::size_t offset, std::size_t size) { return Bytes{buffer.data() + offset, size}; };
  if (header.graph) ivf.graph_ = std::make_shared<const Graph>(Graph::open(buffer.part(layout.graph, header.graph), header.lists));
  if (header.codes && ivf.kind_ == IvfKind::coded) {
    ivf.codes_ = ListCodes::open(part(layout.codes, header.codes), header.entries);
    const Transform& transform = ivf.codes_->ladder().transform();
    if (transform.dims() != header.dim || transform.metric() != ivf.space_.metric()) fail("have codes of other rows");
  } else if (header.codes) {
    ivf.products_ = ProductCodes::open(part(layout.codes, header.codes), header.entries, header.lists, header.dim);
  }
  ivf.buffer_ = std::move(buffer);
  return ivf;
}

void Ivf::check_small_parts() const {
  // A damaged code or sum gives a wrong order, never a stray read; a number that is none would spoil every order.
  for (const float* part : {centroids_.norms, centroids_.scales, centroids_.extras})
    if (!all_finite({part, n_lists_})) fail("hold a centroid that is not finite");
  if (!all_finite(values_)) fail("hold a centroid that is not finite");
  for (std::uint32_t list = 0; list < n_lists_; ++list)
    if (starts_[list] > starts_[list + 1]) fail("list " + std::to_string(list) + " ends before it begins");
  if (starts_.front() != 0 || starts_.back() != rows_.size()) fail("lists do not cover the entries");
}

std::span<const std::uint32_t> Ivf::rows_of(std::uint32_t list) const {
  const auto rows = rows_.subspan(starts_[list], starts_[list + 1] - starts_[list]);
  std::uint32_t largest = 0;
  for (const std::uint32_t row : rows) largest = std::max(largest, row);
  if (!rows.empty() && largest >= n_rows_) fail("list " + std::to_string(list) + " holds row " + std::to_string(largest) + " of " + std::to_string(n_rows_));
  return rows;
}

void Ivf::read_lists_ahead(std::span<const std::uint64_t> keys, const VectorBlock& block) const {
  // Which rows there are says where they lie, so these are asked for before the first of them is read.
  const auto list_of = [](std::uint64_t key) { return static_cast<std::uint32_t>(key); };
  for (const std::uint64_t key : keys) read_ahead(rows_.data() + starts_[list_of(key)], (starts_[list_of(key) + 1] - starts_[list_of(key)]) * sizeof rows_[0]);
  for (const std::uint64_t key : keys) {
    const std::size_t first = starts_[list_of(key)], count = starts_[list_of(key) + 1] - first;
    if (codes_) codes_->read_ahead(first, count);
    else if (products_) products_->read_ahead(first, count);
    else read_rows_ahead(list_of(key), block);
  }
}

void Ivf::read_rows_ahead(std::uint32_t list, const VectorBlock& block) const {
  const auto rows = rows_of(list);
  const std::size_t size = row_bytes(block.dtype, block.dim);
  const bool is_run = !rows.empty() && rows.back() - rows.front() + 1 == rows.size();
  if (is_run) {
    read_ahead(block.row(rows.front()), rows.size() * size);
    if (block.inverse_norms) read_ahead(block.inverse_norms + rows.front(), rows.size() * sizeof(float));
  } else {
    for (const std::uint32_t row : rows) read_ahead(block.row(row), size);
  }
}

void Ivf::check_block(const VectorBlock& block, Metric metric) const {
  if (block.rows != n_rows_)
    throw InvalidArgument("these inverted lists are over " + std::to_string(n_rows_) + " rows, got a block of " + std::to_string(block.rows));
  if (block.dim != space_.dim() || block.dtype != space_.dtype() || metric != space_.metric())
    fail("are of " + std::to_string(space_.dim()) + " dimensions, " + name_of(space_.dtype()) + " and " + name_of(space_.metric()) +
         ", the vectors are " + std::to_string(block.dim) + ", " + name_of(block.dtype) + " and " + name_of(metric));
}

void Ivf::verify() const {
  std::vector<std::uint8_t> times(n_rows_);
  for (std::uint32_t list = 0; list < n_lists_; ++list) {
    const auto rows = rows_of(list);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i && rows[i] <= rows[i - 1]) fail("rows of list " + std::to_string(list) + " do not ascend");
      if (++times[rows[i]] > (has_copies_ ? 2 : 1)) fail("row " + std::to_string(rows[i]) + " is in " + std::to_string(times[rows[i]]) + " lists");
    }
  }
  if (graph_) graph_->verify();
}

bool Ivf::shares_lists() const { return products_ ? products_->has_blocks() : kind_ == IvfKind::flat && !has_copies_; }

std::size_t Ivf::hot_bytes() const {
  const std::size_t centroids = n_lists_ * (ClusterSpace::point_bytes(space_.dim()) + sizeof(std::uint64_t)) + values_.size_bytes();
  return centroids + rows_.size_bytes() + (graph_ ? graph_->hot_bytes() : 0) + (codes_ ? codes_->hot_bytes() : 0) +
         (products_ ? products_->hot_bytes() : 0);
}

double Ivf::imbalance() const {
  double squares = 0;
  for (std::uint32_t list = 0; list < n_lists_; ++list) {
    const auto size = static_cast<double>(starts_[list + 1] - starts_[list]);
    squares += size * size;
  }
  const auto entries = static_cast<double>(rows_.size());
  return rows_.empty() ? 1 : squares * n_lists_ / (entries * entries);
}

Centroids Ivf::centroids() const {
  Centroids centroids{space_.stride(), std::vector<float>(n_lists_ * space_.stride()), std::vector<float>(centroids_.extras, centroids_.extras + n_lists_)};
  for (std::size_t list = 0; list < n_lists_; ++list) {
    float* values = centroids.values.data() + list * space_.stride();
    const std::int8_t* code = centroids_.codes + list * space_.stride();
    for (std::size_t at = 0; at < space_.stride(); ++at) values[at] = centroids_.scales[list] * static_cast<float>(code[at]);
  }
  return centroids;
}

}  // namespace vicino
