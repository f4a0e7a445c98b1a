#include "codes/transform.h"

#include <algorithm>
#include <cmath>

#include "codes/principal.h"
#include "util/byte_io.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kDimsMax = 65536;
// Below this many rows the leading directions of a sample say little about those of the data.
constexpr std::uint32_t kHeadSampleMin = 1024;
constexpr double kHeadEnergy = 0.95;

std::uint32_t padded(std::uint32_t dims) { return (dims + 63) / 64 * 64; }

/// Blocks of the largest power of two that divides `dims`, and as many rounds as it takes for every coordinate to reach every block.
RotationShape rotation_of(std::size_t dims) {
  RotationShape shape{dims, dims & (~dims + 1), 2};
  const std::size_t n_blocks = dims / shape.block, groups = shape.block / 16;
  for (std::size_t reached = groups; reached < n_blocks; reached *= groups) ++shape.rounds;
  return shape;
}

/// Random signs, with the factor that keeps each round's length.
std::vector<float> signs_of(const RotationShape& shape, std::uint64_t seed) {
  std::vector<float> signs(shape.dims * shape.rounds);
  const auto length = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.block)));
  Random random(seed);
  for (float& sign : signs) sign = random.next() >> 63 ? length : -length;
  return signs;
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

void append_floats(std::string& out, const std::vector<float>& values, std::size_t count) {
  append_bytes(out, {reinterpret_cast<const std::uint8_t*>(values.data()), count * sizeof(float)});
}

std::vector<float> read_floats(ByteReader& reader, std::size_t count, std::size_t padded_count) {
  const Bytes bytes = reader.take(count * sizeof(float));
  std::vector<float> values(padded_count);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  if (!all_finite(values)) reader.fail("holds a number that is not finite");
  return values;
}

/// Values as codes of one step each, which is returned.
float round_to_codes(const float* values, std::size_t count, std::int8_t* codes) {
  const float largest = kernels().sum_vectors(values, values, count).largest;
  kernels().round_vector(values, largest > 0 ? 127 / largest : 0, count, codes);
  return largest / 127;
}

}  // namespace

bool Transform::fit(const VectorBlock& rows, std::uint32_t row, float* out) const {
  const std::uint8_t* bytes = rows.row(row);
  read_row(rows.dtype, bytes, dims_, out);
  std::fill(out + dims_, out + work_dims_, 0.0f);
  if (metric_ == Metric::cosine) {
    float inverse_norm;
    if (rows.inverse_norms) inverse_norm = rows.inverse_norms[row];
    else compute_inverse_norms({bytes, 1, rows.dim, rows.dtype, nullptr}, &inverse_norm);
    kernels().combine_vectors(out, inverse_norm, out, 0.0f, work_dims_, out);
  }
  return std::all_of(out, out + dims_, [](float value) { return value == 0; });
}

void Transform::derive() {
  double square = 0;
  for (const float value : mean_) square += static_cast<double>(value) * value;
  mean_square_ = static_cast<float>(square);
  if (head_.empty()) {
    signs_ = signs_of(rotation_of(code_dims_), seed_);
    return;
  }
  head_sums_.assign(code_dims_, 0);
  for (std::size_t r = 0; r < code_dims_; ++r)
    for (std::size_t j = 0; j < work_dims_; ++j) head_sums_[r] += head_[r * work_dims_ + j];
}

Transform Transform::train(const VectorBlock& sample, Metric metric, const TransformOptions& options, unsigned threads, const Cancel& cancel) {
  if (!is_float(sample.dtype))
    throw InvalidArgument(std::string("codes need float32 or float16 vectors, got ") + name_of(sample.dtype) + "; such rows are compact as they are");
  if (metric != Metric::cosine && metric != Metric::dot && metric != Metric::l2)
    throw InvalidArgument(std::string("there are no codes for the metric ") + name_of(metric) + "; use cosine, dot or l2, or codes=\"none\"");
  if (sample.dim == 0 || sample.dim > kDimsMax)
    throw InvalidArgument("codes need 1 to " + std::to_string(kDimsMax) + " dimensions, got " + std::to_string(sample.dim));
  Transform transform;
  transform.metric_ = metric;
  transform.dims_ = sample.dim;
  transform.code_dims_ = transform.work_dims_ = padded(sample.dim);
  transform.seed_ = options.seed;
  transform.mean_.assign(transform.work_dims_, 0.0f);
  std::vector<double> sums(transform.work_dims_);
  std::vector<float> row(transform.work_dims_);
  for (std::uint32_t i = 0; i < sample.rows; ++i) {
    if (i % 256 == 0) cancel.check();
    transform.fit(sample, i, row.data());
    for (std::uint32_t j = 0; j < sample.dim; ++j) sums[j] += row[j];
  }
  if (sample.rows)
    for (std::uint32_t j = 0; j < sample.dim; ++j) transform.mean_[j] = static_cast<float>(sums[j] / sample.rows);
  transform.train_head(sample, options, threads, cancel);
  transform.derive();
  return transform;
}

void Transform::train_head(const VectorBlock& sample, const TransformOptions& options, unsigned threads, const Cancel& cancel) {
  // Fewer dimensions pay when they save cache lines: at most two thirds of them, by which time a head has had its price.
  const std::uint32_t widest = std::min<std::uint32_t>(work_dims_ * 2 / 3 / 64 * 64, kPrincipalMax);
  const std::uint32_t wanted = std::min(padded(options.nav_dims), widest);
  if (options.nav_dims >= dims_ || widest == 0 || sample.rows < kHeadSampleMin || dims_ > kPrincipalDimsMax) return;
  if (options.nav_dims && padded(options.nav_dims) > widest) return;

  std::vector<float> residuals(std::size_t{sample.rows} * work_dims_);
  parallel_for(threads, sample.rows, [&](std::size_t i, std::size_t) {
    float* row = residuals.data() + i * work_dims_;
    fit(sample, static_cast<std::uint32_t>(i), row);
    kernels().combine_vectors(row, 1.0f, mean_.data(), -1.0f, work_dims_, row);
  });
  Principal principal = find_principal(residuals, work_dims_, wanted ? wanted : widest, seed_, threads, cancel);
  if (!(principal.total > 0)) return;
  std::uint32_t chosen = 0;
  double held = 0;
  for (std::uint32_t i = 0; i < principal.energies.size(); ++i) {
    held += principal.energies[i];
    if ((i + 1) % 64) continue;
    if (wanted ? i + 1 == wanted : held >= kHeadEnergy * principal.total) {
      chosen = i + 1;
      break;
    }
  }
  if (!chosen) return;
  energy_ = static_cast<float>(held / principal.total);
  code_dims_ = chosen;
  // The rotation within the head is part of the matrix.
  const RotationShape shape = rotation_of(chosen);
  const std::vector<float> signs = signs_of(shape, seed_);
  std::vector<float> matrix(std::size_t{chosen} * work_dims_), column(chosen), scratch(chosen);
  for (std::uint32_t j = 0; j < work_dims_; ++j) {
    for (std::uint32_t r = 0; r < chosen; ++r) column[r] = principal.directions[std::size_t{r} * work_dims_ + j];
    kernels().rotate(shape, signs.data(), column.data(), scratch.data());
    for (std::uint32_t r = 0; r < chosen; ++r) matrix[std::size_t{r} * work_dims_ + j] = column[r];
  }
  head_.resize(matrix.size());
  head_scales_.resize(chosen);
  for (std::size_t r = 0; r < chosen; ++r) head_scales_[r] = round_to_codes(matrix.data() + r * work_dims_, work_dims_, head_.data() + r * work_dims_);
}

void Transform::project(float* scratch, float* out) const {
  if (head_.empty()) {
    std::memcpy(out, scratch, work_dims_ * sizeof(float));
    kernels().rotate(rotation_of(code_dims_), signs_.data(), out, scratch);
    return;
  }
  auto* codes = reinterpret_cast<std::int8_t*>(scratch + work_dims_);
  auto* dots = reinterpret_cast<std::int32_t*>(scratch + 2 * std::size_t{work_dims_});
  const float step = round_to_codes(scratch, work_dims_, codes);
  kernels().code_products(codes, 1, head_.data(), head_sums_.data(), code_dims_, work_dims_, dots);
  for (std::size_t r = 0; r < code_dims_; ++r) out[r] = static_cast<float>(dots[r]) * (head_scales_[r] * step);
}

std::string Transform::to_bytes() const {
  std::string bytes;
  append_value(bytes, kVersion);
  append_value(bytes, static_cast<std::uint32_t>(metric_));
  append_value(bytes, dims_);
  append_value(bytes, code_dims_);
  append_value(bytes, seed_);
  append_value(bytes, energy_);
  append_value(bytes, static_cast<std::uint32_t>(has_head()));
  append_floats(bytes, mean_, dims_);
  append_floats(bytes, head_scales_, head_scales_.size());
  append_bytes(bytes, {reinterpret_cast<const std::uint8_t*>(head_.data()), head_.size()});
  return bytes;
}

Transform Transform::from_bytes(Bytes bytes, const std::string& what) {
  ByteReader reader(bytes, what);
  if (const auto version = reader.read<std::uint32_t>(); version != kVersion)
    throw FormatError(what + ": version " + std::to_string(version) + " of the transform, this program reads " + std::to_string(kVersion));
  Transform transform;
  const auto metric = reader.read<std::uint32_t>();
  transform.metric_ = static_cast<Metric>(metric);
  transform.dims_ = reader.read<std::uint32_t>();
  transform.code_dims_ = reader.read<std::uint32_t>();
  transform.seed_ = reader.read<std::uint64_t>();
  transform.energy_ = reader.read<float>();
  const auto has_head = reader.read<std::uint32_t>();
  if (metric > static_cast<std::uint32_t>(Metric::l2)) reader.fail("metric " + std::to_string(metric) + " has no codes");
  if (transform.dims_ == 0 || transform.dims_ > kDimsMax)
    reader.fail("has " + std::to_string(transform.dims_) + " dimensions, expected 1 to " + std::to_string(kDimsMax));
  transform.work_dims_ = padded(transform.dims_);
  const bool fits = has_head == 1 ? transform.code_dims_ < transform.work_dims_ : has_head == 0 && transform.code_dims_ == transform.work_dims_;
  if (!fits || transform.code_dims_ == 0 || transform.code_dims_ % 64)
    reader.fail("codes " + std::to_string(transform.code_dims_) + " of " + std::to_string(transform.dims_) + " dimensions");
  if (!(transform.energy_ > 0 && transform.energy_ <= 1.001f)) reader.fail("the share of the coded dimensions is not within 0 and 1");
  transform.mean_ = read_floats(reader, transform.dims_, transform.work_dims_);
  if (has_head) {
    transform.head_scales_ = read_floats(reader, transform.code_dims_, transform.code_dims_);
    const Bytes head = reader.take(std::size_t{transform.code_dims_} * transform.work_dims_);
    transform.head_.assign(head.begin(), head.end());
    // Kernels multiply codes of -127 to 127.
    if (std::ranges::count(transform.head_, std::int8_t{-128})) reader.fail("holds a head with a code of -128");
  }
  if (reader.remaining()) reader.fail("has " + std::to_string(reader.remaining()) + " bytes too many");
  transform.derive();
  return transform;
}

}  // namespace vicino
