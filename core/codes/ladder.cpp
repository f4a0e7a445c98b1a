#include "codes/ladder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/distance.h"
#include "util/byte_io.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

constexpr std::uint32_t kVersion = 1;
// Six bits and a sign: a sum over four dimensions takes a byte of the table.
constexpr float kTableSteps = 63;

std::size_t lines_of(std::size_t dims) { return (dims + 127) / 128; }

}  // namespace

void QueryState::reserve(std::size_t code_dims, std::size_t scratch) {
  if (memory_ && code_dims == code_dims_ && scratch == scratch_size_) return;
  const std::size_t codes = lines_of(code_dims) * 128, table = code_dims * 4, projected = code_dims * sizeof(float);
  memory_ = allocate_rows(codes + table + projected + scratch * sizeof(float));
  codes_ = reinterpret_cast<std::int8_t*>(memory_.get());
  table_ = memory_.get() + codes;
  projected_ = reinterpret_cast<float*>(table_ + table);
  scratch_ = projected_ + code_dims;
  std::memset(codes_, 0, codes);
  code_dims_ = code_dims;
  scratch_size_ = scratch;
}

Ladder Ladder::train(const VectorBlock& sample, Metric metric, const LadderOptions& options, unsigned threads, const Cancel& cancel) {
  Ladder ladder;
  ladder.options_ = options;
  ladder.transform_ = Transform::train(sample, metric, {options.nav_dims, options.seed}, threads, cancel);
  ladder.derive();
  ladder.calibrate(sample, cancel);
  return ladder;
}

void Ladder::derive() {
  const std::size_t bytes = code_dims() / 2, aligned = (bytes + 63) / 64 * 64;
  stride_ = aligned - bytes <= bytes / 10 ? aligned : bytes;
  block_bytes_ = std::size_t{code_dims()} * 4 + kCodeBlockRows * sizeof(RowFactors);
}

void Ladder::prepare(const float* query, QueryState& state) const {
  const Kernels& k = kernels();
  const std::uint32_t dims = transform_.dims(), work_dims = transform_.work_dims();
  const float* mean = transform_.mean().data();
  state.reserve(code_dims(), transform_.scratch_size());
  float* residual = state.scratch_;
  std::memcpy(residual, query, dims * sizeof(float));
  std::fill(residual + dims, residual + work_dims, 0.0f);

  float length = 1;
  VectorSums sums = k.sum_vectors(residual, mean, work_dims);
  if (transform_.metric() == Metric::cosine && sums.largest > 0) {
    if (!(sums.square > 1e-30f && sums.square < 1e37f)) {
      k.combine_vectors(residual, 1 / std::max(sums.largest, 1e-38f), residual, 0.0f, work_dims, residual);
      sums = k.sum_vectors(residual, mean, work_dims);
    }
    length = 1 / std::sqrt(sums.square);
  }
  state.factor_ = -1;
  if (transform_.metric() == Metric::l2) {
    k.combine_vectors(residual, 1.0f, mean, -1.0f, work_dims, residual);
    state.base_ = k.sum_vectors(residual, residual, work_dims).square;
    state.along_ = 1;
    state.factor_ = -2;
  } else {
    // The query's part along the mean is taken out: <r, mean> is stored, so what it gives is exact.
    const float product = sums.product * length, square = transform_.mean_square();
    const float share = square > 1e-12f ? product / square : 0;
    k.combine_vectors(residual, length, mean, -share, work_dims, residual);
    state.base_ = (transform_.metric() == Metric::cosine ? 1.0f : 0.0f) - product;
    state.along_ = -share;
  }
  const float whole = transform_.has_head() ? k.sum_vectors(residual, residual, work_dims).square : 0;
  transform_.project(residual, state.projected_);
  const VectorSums head = k.sum_vectors(state.projected_, state.projected_, code_dims());
  state.norm_ = std::sqrt(head.square);
  state.largest_ = head.largest;
  state.step_ = head.largest / 127;
  state.sum_ = k.round_vector(state.projected_, state.step_ > 0 ? 1 / state.step_ : 0, code_dims(), state.codes_);
  if (code_dims() % 128) {
    // The half line: its second 32 dimensions go with the high nibbles.
    std::int8_t* line = state.codes_ + (lines_of(code_dims()) - 1) * 128;
    std::memcpy(line + 64, line + 32, 32);
    std::memset(line + 32, 0, 32);
    std::memset(line + 96, 0, 32);
  }
  const float slope = std::fabs(state.factor_);
  const float tail = std::sqrt(std::max(whole - head.square, 0.0f));
  for (std::size_t level = 0; level < 3; ++level) {
    state.error_slopes_[level] = slope * noise_[level] * state.norm_;
    state.error_bases_[level] = slope * tail_noise_[level] * tail;
  }
}

void Ladder::prepare_scan(QueryState& state) const {
  const float step = state.largest_ / kTableSteps;
  std::int8_t steps[64];
  std::int32_t total = 0, negative = 0;
  std::uint8_t* entries = state.table_;
  for (std::size_t at = 0; at < code_dims(); at += 64) {
    total += kernels().round_vector(state.projected_ + at, step > 0 ? 1 / step : 0, 64, steps);
    for (std::size_t i = 0; i < 64; i += 4, entries += 16) {
      int lowest = 0;
      for (std::size_t j = 0; j < 4; ++j) lowest += std::min<int>(steps[i + j], 0);
      negative += lowest;
      entries[0] = static_cast<std::uint8_t>(-lowest);
      for (std::size_t j = 0, half = 1; j < 4; ++j, half *= 2)
        for (std::size_t e = 0; e < half; ++e) entries[half + e] = static_cast<std::uint8_t>(entries[e] + steps[i + j]);
    }
  }
  state.table_step_ = step;
  state.table_offset_ = step * (static_cast<float>(negative) - 0.5f * static_cast<float>(total));
}

CodeQuery Ladder::query_of(const QueryState& state, std::int32_t offset, RowFactors units) const {
  CodeQuery query;
  query.codes = state.codes_;
  query.row_bytes = code_dims() / 2;
  query.offset = offset * state.sum_;
  query.base = state.base_;
  query.along = state.along_ * units.add;
  query.slope = state.factor_ * (0.5f * state.step_) * units.scale;
  return query;
}

void Ladder::score_high(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t first, std::size_t count,
                        float* out) const {
  // Twice 7.5: a nibble stands for its value less 7.5.
  const CodeQuery query = query_of(state, 15, codes.units);
  const CodeRows rows{codes.high, nullptr, stride_, codes.factors, ids, first};
  (codes.format == FactorFormat::float16 ? kernels().code_scores_half : kernels().code_scores_float)(query, rows, count, out);
}

void Ladder::score4(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t count, float* out) const {
  if (count) score_high(state, codes, ids, 0, count, out);
}

void Ladder::score4_block(const QueryState& state, const CodeView& codes, std::uint32_t first, std::size_t count, float* out) const {
  if (count) score_high(state, codes, nullptr, first, count, out);
}

void Ladder::score4_packed(const QueryState& state, const CodeView& codes, const PackedFactors& form, const std::uint32_t* ids,
                           const std::uint32_t* packed, std::size_t count, float* out) const {
  if (!count) return;
  CodeQuery query = query_of(state, 15, form.bytes == 4 ? codes.units : RowFactors{1, 1});
  query.add_low = form.low.add;
  query.add_step = form.step.add;
  query.scale_low = form.low.scale;
  query.scale_step = form.step.scale;
  const CodeRows rows{codes.high, nullptr, stride_, nullptr, ids, 0, packed};
  (form.bytes == 4 ? kernels().code_scores_packed_half : kernels().code_scores_packed_byte)(query, rows, count, out);
}

void Ladder::pack_columns(const CodeView& codes, std::span<const std::uint32_t> ids, std::uint8_t* group) const {
  constexpr std::size_t width = 4;  // bytes of a row in one column
  const std::size_t bytes = code_dims() / 2;
  std::uint8_t* const factors = group + bytes * kCodeColumnRows;
  if (ids.size() < kCodeColumnRows) std::memset(group, 0, column_group_bytes());
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const std::uint8_t* code = codes.high + ids[row] * stride_;
    for (std::size_t at = 0; at < bytes; at += width) std::memcpy(group + at * kCodeColumnRows + row * width, code + at, width);
    const RowFactors of_row = factors_of(codes, ids[row]);
    std::memcpy(factors + row * sizeof(float), &of_row.add, sizeof(float));
    std::memcpy(factors + (kCodeColumnRows + row) * sizeof(float), &of_row.scale, sizeof(float));
  }
}

void Ladder::score4_columns(const QueryState& state, const std::uint8_t* groups, std::size_t n_groups, std::size_t n_behind, float* out) const {
  kernels().code_column_scores(query_of(state, 15, {1, 1}), groups, n_groups, n_behind, out);
}

void Ladder::score8(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t count, float* out) const {
  if (!count) return;
  const CodeRows rows{codes.high, codes.low, stride_, reinterpret_cast<const std::uint8_t*>(codes.fine), ids, 0};
  kernels().code_scores_byte(query_of(state, 255, {1, 1}), rows, count, out);
}

void Ladder::scan1(const QueryState& state, const std::uint8_t* block, float* out, float* errors) const {
  std::uint32_t sums[kCodeBlockRows];
  float factors[2 * kCodeBlockRows];
  kernels().code_block_sums(block, state.table_, code_dims() / 16, sums);
  std::memcpy(factors, block + std::size_t{code_dims()} * 4, sizeof factors);
  for (std::size_t i = 0; i < kCodeBlockRows; ++i) {
    const float product = state.table_step_ * static_cast<float>(static_cast<std::int32_t>(sums[i])) + state.table_offset_;
    const float distance = (state.base_ + state.along_ * factors[i]) + (state.factor_ * factors[kCodeBlockRows + i]) * product;
    out[i] = distance < 3.40282347e38f ? distance : 3.40282347e38f;
  }
  if (errors)
    for (std::size_t i = 0; i < kCodeBlockRows; ++i) errors[i] = state.error_of(CodeLevel::bits1, factors[kCodeBlockRows + i]);
}

void Ladder::scan_bounds(const QueryState& state, const std::uint8_t* blocks, std::size_t n_blocks, float errors, float* least, float* most) const {
  const std::size_t level = QueryState::index_of(CodeLevel::bits1);
  const CodeBlockQuery query{state.table_, code_dims() / 16, state.base_, state.along_, state.factor_, state.table_step_, state.table_offset_,
                             errors * state.error_slopes_[level], errors * state.error_bases_[level]};
  kernels().code_block_bounds(query, blocks, n_blocks, least, most);
}

float Ladder::scale_of(const CodeView& codes, CodeLevel level, std::uint32_t row) const {
  if (level == CodeLevel::bits8) return codes.fine[row].scale;
  if (level == CodeLevel::bits1) {
    float scale;
    std::memcpy(&scale, codes.blocks + row / kCodeBlockRows * block_bytes_ + std::size_t{code_dims()} * 4 + (kCodeBlockRows + row % kCodeBlockRows) * 4, 4);
    return scale;
  }
  return factors_of(codes, row).scale;
}

RowFactors Ladder::factors_of(const CodeView& codes, std::uint32_t row) const {
  RowFactors factors;
  if (codes.format == FactorFormat::float32) {
    std::memcpy(&factors, codes.factors + row * sizeof factors, sizeof factors);
    return factors;
  }
  std::uint16_t pair[2];
  std::memcpy(pair, codes.factors + row * sizeof pair, sizeof pair);
  return {half_to_float(pair[0]) * codes.units.add, half_to_float(pair[1]) * codes.units.scale};
}

PackedFactors Ladder::packing_of(const CodeView& codes) const {
  if (codes.format != FactorFormat::float16 || !codes.rows) return {};
  RowFactors low = factors_of(codes, 0), high = low;
  for (std::uint32_t row = 1; row < codes.rows; ++row) {
    const RowFactors factors = factors_of(codes, row);
    low = {std::min(low.add, factors.add), std::min(low.scale, factors.scale)};
    high = {std::max(high.add, factors.add), std::max(high.scale, factors.scale)};
  }
  const RowFactors step{(high.add - low.add) / 255, (high.scale - low.scale) / 255};
  std::size_t too_coarse = 0;
  for (std::uint32_t row = 0; row < codes.rows; ++row) too_coarse += shows({step.add / 2, step.scale / 2}, factors_of(codes, row));
  if (too_coarse <= codes.rows / 1000) return {2, low, step};
  return {4, {}, {}};
}

std::uint32_t Ladder::packed_factors(const CodeView& codes, const PackedFactors& form, std::uint32_t row) const {
  std::uint32_t packed = 0;
  if (form.bytes == 4) std::memcpy(&packed, codes.factors + std::size_t{row} * 4, 4);
  if (form.bytes != 2) return packed;
  const RowFactors factors = factors_of(codes, row);
  const auto byte_of = [](float value, float low, float step) {
    return step > 0 ? static_cast<std::uint32_t>(std::clamp((value - low) / step + 0.5f, 0.0f, 255.0f)) : 0u;
  };
  return byte_of(factors.add, form.low.add, form.step.add) | byte_of(factors.scale, form.low.scale, form.step.scale) << 8;
}

CodeView Ladder::view_of(const CodeSections& sections, const std::string& what, bool has_high) const {
  const std::size_t rows = sections.rows;
  const auto plane = [&](Bytes bytes, std::size_t expected, const char* name) -> const std::uint8_t* {
    if (bytes.size() != expected)
      throw CorruptionError(what + ": the plane \"" + name + "\" of " + std::to_string(rows) + " rows has " + std::to_string(bytes.size()) +
                            " bytes, expected " + std::to_string(expected));
    return expected ? bytes.data() : nullptr;
  };
  if (sections.format != FactorFormat::float16 && sections.format != FactorFormat::float32)
    throw CorruptionError(what + ": factors of unknown format " + std::to_string(static_cast<int>(sections.format)));
  if (!(std::isfinite(sections.units.add) && std::isfinite(sections.units.scale) && sections.units.add > 0 && sections.units.scale > 0))
    throw CorruptionError(what + ": the units of the factors are not positive numbers");
  CodeView view;
  view.rows = sections.rows;
  view.format = sections.format;
  view.units = sections.units;
  view.high = plane(sections.high, has_high ? rows * stride_ : 0, "high");
  view.factors = plane(sections.factors, has_high ? rows * factor_bytes(sections.format) : 0, "factors");
  view.low = plane(sections.low, options_.low ? rows * stride_ : 0, "low");
  const std::uint8_t* fine = plane(sections.fine, options_.low ? rows * sizeof(RowFactors) : 0, "fine");
  if (reinterpret_cast<std::uintptr_t>(fine) % alignof(RowFactors)) throw CorruptionError(what + ": the plane \"fine\" is not aligned");
  view.fine = reinterpret_cast<const RowFactors*>(fine);
  view.blocks = plane(sections.blocks, options_.blocks ? n_blocks(sections.rows) * block_bytes_ : 0, "blocks");
  return view;
}

std::string Ladder::to_bytes() const {
  std::string bytes;
  append_value(bytes, kVersion);
  append_value(bytes, static_cast<std::uint32_t>(options_.blocks));
  append_value(bytes, static_cast<std::uint32_t>(options_.low));
  append_value(bytes, options_.nav_dims);
  append_value(bytes, options_.seed);
  for (const float noise : noise_) append_value(bytes, noise);
  for (const float noise : tail_noise_) append_value(bytes, noise);
  return bytes + transform_.to_bytes();
}

Ladder Ladder::from_bytes(Bytes bytes, const std::string& what) {
  ByteReader reader(bytes, what);
  if (const auto version = reader.read<std::uint32_t>(); version != kVersion)
    throw FormatError(what + ": version " + std::to_string(version) + " of the codes, this program reads " + std::to_string(kVersion));
  Ladder ladder;
  const auto blocks = reader.read<std::uint32_t>(), low = reader.read<std::uint32_t>();
  if (blocks > 1 || low > 1) reader.fail("flags " + std::to_string(blocks) + " and " + std::to_string(low) + " are not 0 or 1");
  ladder.options_.blocks = blocks;
  ladder.options_.low = low;
  ladder.options_.nav_dims = reader.read<std::uint32_t>();
  ladder.options_.seed = reader.read<std::uint64_t>();
  for (float* const noises : {ladder.noise_, ladder.tail_noise_})
    for (std::size_t level = 0; level < 3; ++level) {
      noises[level] = reader.read<float>();
      if (!(noises[level] >= 0 && std::isfinite(noises[level]))) reader.fail("holds an error bound that is no number of at least 0");
    }
  ladder.transform_ = Transform::from_bytes(reader.rest(), what);
  ladder.derive();
  return ladder;
}

}  // namespace vicino
