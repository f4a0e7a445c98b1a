// Rows into planes, and the measurement of how far codes are off.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "codes/ladder.h"
#include "kernels/half.h"
#include "util/row_memory.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::uint32_t kRowsPerTask = 1024;  // whole blocks of 32

/// What one thread needs to code a row.
struct Workspace {
  explicit Workspace(const Transform& transform)
      : scratch(transform.scratch_size()), projected(transform.code_dims()), codes(transform.code_dims()) {}
  std::vector<float> scratch, projected;
  std::vector<std::uint8_t> codes;
};

struct CodedRow {
  float add = 0;
  float scales[3] = {};  // of the levels of 1, 4 and 8 bits
};

float scale_for(float norm, float along) { return norm > 0 && along > 0 ? norm / along : 0; }

/// What a code says of a row besides its coordinates.
struct ProjectedRow {
  float add;
  bool has_direction;
};

/// The coordinates of one row that are coded.
ProjectedRow project_row(const Transform& transform, const VectorBlock& rows, std::uint32_t row, float* scratch, float* projected) {
  const Kernels& k = kernels();
  const float* mean = transform.mean().data();
  const bool is_zero = transform.fit(rows, row, scratch);
  k.combine_vectors(scratch, 1.0f, mean, -1.0f, transform.work_dims(), scratch);
  const VectorSums sums = k.sum_vectors(scratch, mean, transform.work_dims());
  transform.project(scratch, projected);
  const bool is_l2 = transform.metric() == Metric::l2;
  // The zero row is -mean from the mean: orthogonal to what is left of a query under cosine and dot, whose distance is then exact.
  return {std::clamp(is_l2 ? sums.square : sums.product, -3e38f, 3e38f), is_l2 || !is_zero};
}

constexpr float kSquareLeast = 1e-37f, kSquareMost = 1e38f;

/// Codes of coordinates that may be so small or so large that what is summed of them is no float: these are coded as what a power of two makes of
/// them, which the code does not tell. Returns it; scales are that many times too large. encode: writes a code and its fit. Where not even their
/// square is a float, distances are not either, and the code tells nothing.
template <class Encode>
float encode_in_range(std::vector<float>& projected, const CodeFit& fit, Encode&& encode) {
  encode();
  if (fit.along1 > 0 || !(fit.norm > kSquareLeast && fit.norm < kSquareMost)) return 1;
  int exponent;
  std::frexp(kernels().sum_vectors(projected.data(), projected.data(), projected.size()).largest, &exponent);
  const float factor = std::ldexp(1.0f, -exponent);
  kernels().combine_vectors(projected.data(), factor, projected.data(), 0.0f, projected.size(), projected.data());
  encode();
  return factor;
}

/// The code of one row in the workspace, and its factors.
CodedRow code_row(const Transform& transform, const VectorBlock& rows, std::uint32_t row, bool fine, Workspace& work) {
  const ProjectedRow projected = project_row(transform, rows, row, work.scratch.data(), work.projected.data());
  CodeFit fit;
  const float factor = encode_in_range(work.projected, fit, [&] {
    kernels().encode_code(work.projected.data(), transform.code_dims(), fine, work.codes.data(), &fit);
  });
  CodedRow coded{projected.add, {}};
  if (!projected.has_direction) return coded;
  coded.scales[0] = scale_for(fit.norm, fit.along1) / factor;
  coded.scales[1] = scale_for(fit.norm, fit.along4) / factor;
  coded.scales[2] = scale_for(fit.norm, fit.along8) / factor;
  return coded;
}

/// A byte read as a number around zero at a level of 1, 4 or 8 bits.
float number_of(std::uint8_t byte, std::size_t level) {
  if (level == 0) return static_cast<float>(byte >> 7) - 0.5f;
  return level == 1 ? static_cast<float>(byte >> 4) - 7.5f : static_cast<float>(byte) - 127.5f;
}

/// Nibbles of the bytes, shifted by `shift`, in the order of a plane.
void pack_nibbles(const std::uint8_t* codes, std::size_t dims, int shift, std::uint8_t* out) {
  const auto nibble = [shift](std::uint8_t code) { return static_cast<std::uint8_t>(code >> shift & 15); };
  for (std::size_t at = 0; at < dims; at += 128, out += 64) {
    const std::size_t half = dims - at >= 128 ? 64 : 32;
    for (std::size_t j = 0; j < half; ++j) out[j] = static_cast<std::uint8_t>(nibble(codes[at + j]) | nibble(codes[at + half + j]) << 4);
  }
}

/// The top bits of the bytes as nibbles of row `place` of a block.
void pack_bits(const std::uint8_t* codes, std::size_t dims, std::uint32_t place, std::uint8_t* block) {
  const std::size_t byte = place % 8 * 2 + place / 8 % 2;
  const int shift = place < 16 ? 0 : 4;
  for (std::size_t at = 0; at < dims; at += 4, block += 16) {
    const int bits = codes[at] >> 7 | codes[at + 1] >> 7 << 1 | codes[at + 2] >> 7 << 2 | codes[at + 3] >> 7 << 3;
    block[byte] = static_cast<std::uint8_t>(block[byte] | bits << shift);
  }
}

void put_in_block(const CodedRow& coded, const std::uint8_t* codes, std::size_t dims, std::uint32_t place, std::uint8_t* block) {
  pack_bits(codes, dims, place, block);
  std::uint8_t* factors = block + dims * 4;
  std::memcpy(factors + place * 4, &coded.add, 4);
  std::memcpy(factors + (kCodeBlockRows + place) * 4, &coded.scales[0], 4);
}

/// A power of two such that the largest value is about 1024 of it.
float unit_for(float largest) {
  if (!(largest > 0)) return 1;
  int exponent;
  std::frexp(largest, &exponent);
  return std::ldexp(1.0f, std::clamp(exponent - 10, -120, 120));
}

/// A plane of zeros.
std::shared_ptr<std::uint8_t[]> zeros(std::size_t bytes) {
  auto memory = allocate_rows(std::max<std::size_t>(bytes, 1));
  std::memset(memory.get(), 0, bytes);
  return memory;
}

}  // namespace

void Ladder::encode_rows(const VectorBlock& rows, std::span<const std::uint32_t> order, std::uint32_t first, std::uint32_t count,
                         CodePlanes& planes, RowFactors* factors) const {
  Workspace work(transform_);
  for (std::uint32_t i = first; i < first + count; ++i) {
    const CodedRow coded = code_row(transform_, rows, order.empty() ? i : order[i], options_.low, work);
    factors[i] = {coded.add, coded.scales[1]};
    pack_nibbles(work.codes.data(), code_dims(), 4, planes.high.get() + i * stride_);
    if (options_.low) {
      pack_nibbles(work.codes.data(), code_dims(), 0, planes.low.get() + i * stride_);
      const RowFactors fine{coded.add, coded.scales[2]};
      std::memcpy(planes.fine.get() + i * sizeof fine, &fine, sizeof fine);
    }
    if (options_.blocks)
      put_in_block(coded, work.codes.data(), code_dims(), i % kCodeBlockRows, planes.blocks.get() + i / kCodeBlockRows * block_bytes_);
  }
}

void Ladder::encode_block(const VectorBlock& rows, std::uint32_t first, std::uint32_t present, std::uint8_t* block) const {
  const std::size_t dims = code_dims(), words = dims / 16;
  std::vector<float> scratch(transform_.scratch_size()), projected(dims);
  std::vector<std::uint16_t> signs(kCodeBlockRows * words);
  RowFactors factors[kCodeBlockRows];
  for (std::uint32_t place = 0; place < kCodeBlockRows; ++place) {
    if (!(present >> place & 1)) continue;
    const ProjectedRow row = project_row(transform_, rows, first + place, scratch.data(), projected.data());
    CodeFit fit;
    const float factor = encode_in_range(projected, fit, [&] {
      kernels().encode_signs(projected.data(), dims, reinterpret_cast<std::uint8_t*>(signs.data() + place * words), &fit);
    });
    factors[place] = {row.add, row.has_direction ? scale_for(fit.norm, fit.along1) / factor : 0};
  }
  for (std::size_t word = 0; word < words; ++word, block += 64)
    for (std::uint32_t i = 0; i < kCodeBlockRows / 2; ++i) {
      const std::uint32_t low = signs[i * words + word], high = signs[(i + kCodeBlockRows / 2) * words + word];
      for (std::uint32_t part = 0; part < 4; ++part)
        block[part * 16 + i % 8 * 2 + i / 8] = static_cast<std::uint8_t>((low >> 4 * part & 15) | (high >> 4 * part & 15) << 4);
    }
  for (std::uint32_t place = 0; place < kCodeBlockRows; ++place) {
    std::memcpy(block + place * 4, &factors[place].add, 4);
    std::memcpy(block + (kCodeBlockRows + place) * 4, &factors[place].scale, 4);
  }
}

CodePlanes Ladder::encode(const VectorBlock& rows, std::span<const std::uint32_t> order, unsigned threads, const Cancel& cancel,
                          FactorChoice choice) const {
  if (rows.dim != transform_.dims() || !is_float(rows.dtype))
    throw InvalidArgument("codes of " + std::to_string(transform_.dims()) + "-dimensional float vectors cannot be made from " + name_of(rows.dtype) +
                          " vectors of " + std::to_string(rows.dim) + " dimensions");
  const std::uint32_t count = order.empty() ? rows.rows : static_cast<std::uint32_t>(order.size());
  CodePlanes planes;
  planes.high = zeros(count * stride_);
  if (options_.low) {
    planes.low = zeros(count * stride_);
    planes.fine = zeros(count * sizeof(RowFactors));
  }
  if (options_.blocks) planes.blocks = zeros(n_blocks(count) * block_bytes_);
  std::vector<RowFactors> factors(count);
  parallel_for(threads, (std::size_t{count} + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
    if (cancel.cancelled()) return;
    const auto first = static_cast<std::uint32_t>(task * kRowsPerTask);
    encode_rows(rows, order, first, std::min(kRowsPerTask, count - first), planes, factors.data());
  });
  cancel.check();
  pack_factors(factors, choice, planes);
  planes.view.rows = count;
  planes.view.high = planes.high.get();
  planes.view.low = planes.low.get();
  planes.view.fine = reinterpret_cast<const RowFactors*>(planes.fine.get());
  planes.view.blocks = planes.blocks.get();
  return planes;
}

/// Whether so much off a row's factors adds visibly to the row's own error.
bool Ladder::shows(RowFactors lost, RowFactors row) const {
  // Of the error bound a quarter is taken for the usual error, and products of codes lie within a third of their largest.
  const float noise = 0.25f * noise_[1] * row.scale, product = 7.5f * std::sqrt(static_cast<float>(code_dims())) / 5;
  const bool is_l2 = transform_.metric() == Metric::l2;
  const float length = is_l2 ? 2 * std::sqrt(std::max(row.add, 0.0f)) : std::sqrt(transform_.mean_square());
  return lost.add > noise * length || lost.scale * product > noise;
}

void Ladder::pack_factors(const std::vector<RowFactors>& factors, FactorChoice choice, CodePlanes& planes) const {
  RowFactors largest;
  for (const RowFactors& row : factors) {
    largest.add = std::max(largest.add, std::fabs(row.add));
    largest.scale = std::max(largest.scale, row.scale);
  }
  const RowFactors units{unit_for(largest.add), unit_for(largest.scale)};
  // Half precision is out of the question where it adds visibly to a row's own error, for a query about as far from the mean as the row.
  std::size_t too_coarse = 0;
  for (const RowFactors& row : factors) {
    const bool scale_shows = row.scale > 0 && row.scale < units.scale * 0x1p-14f;
    too_coarse += scale_shows || shows({std::fabs(row.add) * 0x1p-12f, 0}, row);
  }
  const bool fits = choice == FactorChoice::smallest && too_coarse <= factors.size() / 1000;
  planes.view.format = fits ? FactorFormat::float16 : FactorFormat::float32;
  planes.view.units = fits ? units : RowFactors{1, 1};
  planes.factors = zeros(factors.size() * factor_bytes(planes.view.format));
  planes.view.factors = planes.factors.get();
  if (!fits) {
    std::memcpy(planes.factors.get(), factors.data(), factors.size() * sizeof(RowFactors));
    return;
  }
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const std::uint16_t pair[2] = {float_to_half(factors[i].add / units.add), float_to_half(factors[i].scale / units.scale)};
    std::memcpy(planes.factors.get() + i * sizeof pair, pair, sizeof pair);
  }
}

void Ladder::calibrate(const VectorBlock& sample, const Cancel& cancel) {
  // What theory gives for normally distributed coordinates: about the rounding noise of one coordinate, in steps, times 2.6.
  constexpr float expected[3] = {0.9f, 0.9f, 1.6f};
  std::copy_n(expected, 3, noise_);
  std::fill_n(tail_noise_, 3, 0.0f);
  constexpr std::uint32_t rows_min = 64, rows_max = 1024, queries_max = 32;
  if (sample.rows < rows_min) return;

  const Kernels& k = kernels();
  const std::uint32_t work_dims = transform_.work_dims(), dims = code_dims();
  const std::uint32_t n_queries = std::min(queries_max, sample.rows / 2), n_rows = std::min(rows_max, sample.rows - n_queries);
  const auto row_at = [&](std::uint32_t i) { return static_cast<std::uint32_t>(std::uint64_t{i} * sample.rows / (n_queries + n_rows)); };
  Workspace work(transform_);
  QueryState state;
  std::vector<float> row(work_dims), residuals(std::size_t{n_queries} * work_dims), heads(std::size_t{n_queries} * dims),
      codes(std::size_t{n_queries} * dims), numbers(dims);
  const auto take_residual = [&](std::uint32_t at, float* out) {
    transform_.fit(sample, at, out);
    k.combine_vectors(out, 1.0f, transform_.mean().data(), -1.0f, work_dims, out);
  };
  // Every so-manyth row plays the query. Its residual need not be the one `prepare` makes: the noise is per unit of its length.
  const std::uint32_t every = (n_queries + n_rows) / n_queries;
  std::vector<float> lengths(n_queries), tails(n_queries), exact(n_queries), whole(n_queries), ratios[3];
  for (std::uint32_t q = 0; q < n_queries; ++q) {
    float* residual = residuals.data() + std::size_t{q} * work_dims;
    float* head = heads.data() + std::size_t{q} * dims;
    take_residual(row_at(q * every), residual);
    std::copy_n(residual, work_dims, work.scratch.data());
    transform_.project(work.scratch.data(), head);
    const VectorSums sums = k.sum_vectors(head, head, dims);
    lengths[q] = std::sqrt(sums.square);
    if (transform_.has_head()) tails[q] = std::sqrt(std::max(k.sum_vectors(residual, residual, work_dims).square - sums.square, 0.0f));
    // The rounding of the query to 8 bits is part of the noise.
    const float step = sums.largest / 127;
    for (std::uint32_t j = 0; j < dims; ++j)
      codes[std::size_t{q} * dims + j] = step > 0 ? step * std::nearbyint(head[j] / step) : 0;
  }
  // Errors in the coded dimensions, and those of the whole with the length of the row's share.
  struct Error {
    float whole, per_query, tail;
  };
  std::vector<Error> errors[3];
  for (std::uint32_t i = 0; i < n_queries + n_rows; ++i) {
    if (i % every == 0) continue;
    if (i % 64 == 1) cancel.check();
    take_residual(row_at(i), row.data());
    const CodedRow coded = code_row(transform_, sample, row_at(i), options_.low, work);
    for (std::uint32_t q = 0; q < n_queries; ++q) {
      if (!(lengths[q] > 0)) continue;
      const float* head = heads.data() + std::size_t{q} * dims;
      exact[q] = k.sum_vectors(work.projected.data(), head, dims).product;
      whole[q] = transform_.has_head() ? k.sum_vectors(row.data(), residuals.data() + std::size_t{q} * work_dims, work_dims).product : exact[q];
    }
    for (std::size_t level = 0; level < 3; ++level) {
      if (!(coded.scales[level] > 0)) continue;
      for (std::uint32_t j = 0; j < dims; ++j) numbers[j] = number_of(work.codes[j], level);
      for (std::uint32_t q = 0; q < n_queries; ++q) {
        if (!(lengths[q] > 0)) continue;
        const float estimate = coded.scales[level] * k.sum_vectors(numbers.data(), codes.data() + std::size_t{q} * dims, dims).product;
        const float unit = coded.scales[level] * lengths[q];
        ratios[level].push_back(std::fabs(estimate - exact[q]) / unit);
        if (tails[q] > 0) errors[level].push_back({std::fabs(estimate - whole[q]), unit, tails[q]});
      }
    }
  }
  // A little more than 99 %, for the rows that are not in the sample.
  const auto bound_of = [](std::vector<float>& values) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 995 / 1000);
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  for (std::size_t level = 0; level < 3; ++level) {
    if (ratios[level].empty()) continue;
    noise_[level] = bound_of(ratios[level]);
    if (errors[level].empty()) continue;
    // What uncoded dimensions add is seldom at its worst where the code is: only what the code's own bound leaves over is theirs.
    std::vector<float> left;
    for (const Error& error : errors[level]) left.push_back(std::max(error.whole - noise_[level] * error.per_query, 0.0f) / error.tail);
    tail_noise_[level] = bound_of(left);
  }
}

}  // namespace vicino
