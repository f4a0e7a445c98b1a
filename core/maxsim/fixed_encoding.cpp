#include "maxsim/fixed_encoding.h"

#include <bit>
#include <cmath>
#include <string>

#include "util/errors.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDimMax = 65536, kRepetitionsMax = 1024, kBitsMax = 12;
constexpr std::size_t kSizeMax = std::size_t{1} << 24;

void check_range(const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value < low || value > high)
    throw InvalidArgument(std::string(name) + " must be between " + std::to_string(low) + " and " + std::to_string(high) + ", got " + std::to_string(value));
}

/// Close to a normal deviate, and the same on every machine, which logarithms and cosines are not: a sum of twelve uniform ones.
float normal(Random& random) {
  std::int64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<std::int64_t>(random.next() >> 40);
  return static_cast<float>(static_cast<double>(sum) / (1 << 24) - 6);
}

float sign(Random& random) { return random.next() >> 63 ? 1.0f : -1.0f; }

double dot(const float* a, const float* b, std::size_t n) {
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

}  // namespace

/// Where the tokens of one multi-vector fall in one repetition, and what they are there.
struct FixedEncoding::Cells {
  std::vector<std::uint32_t> cell;  // per token
  std::vector<double> projected;    // n x width
};

FixedEncoding::FixedEncoding(const FixedEncodingParams& params) : params_(params) {
  check_range("dim", params.dim, 1, kDimMax);
  check_range("repetitions", params.repetitions, 1, kRepetitionsMax);
  check_range("bits", params.bits, 0, kBitsMax);
  check_range("projected_dim", params.projected_dim, 0, params.dim);
  const bool projects = params.projected_dim && params.projected_dim < params.dim;
  width_ = projects ? params.projected_dim : params.dim;
  n_cells_total_ = (std::size_t{params.repetitions} << params.bits) * width_;
  check_range("repetitions * 2^bits * projected_dim", n_cells_total_, 1, kSizeMax);
  check_range("final_dim", params.final_dim, 0, n_cells_total_);

  Random random(params.seed);
  planes_.resize(std::size_t{params.repetitions} * params.bits * params.dim);
  for (float& value : planes_) value = normal(random);
  if (projects) {
    signs_.resize(std::size_t{params.repetitions} * width_ * params.dim);
    const float unit = 1 / std::sqrt(static_cast<float>(width_));
    for (float& value : signs_) value = unit * sign(random);
  }
  if (!params.final_dim) return;
  for (std::size_t i = 0; i < n_cells_total_; ++i) {
    places_.push_back(random.below(params.final_dim));
    place_signs_.push_back(sign(random));
  }
}

FixedEncoding::Cells FixedEncoding::cells_of(std::span<const float> tokens, std::uint32_t repetition) const {
  const std::size_t dim = params_.dim, n = tokens.size() / dim;
  Cells cells{std::vector<std::uint32_t>(n), std::vector<double>(n * width_)};
  for (std::size_t t = 0; t < n; ++t) {
    const float* token = tokens.data() + t * dim;
    for (std::uint32_t bit = 0; bit < params_.bits; ++bit) {
      const float* plane = planes_.data() + (std::size_t{repetition} * params_.bits + bit) * dim;
      cells.cell[t] |= static_cast<std::uint32_t>(dot(plane, token, dim) > 0) << bit;
    }
    for (std::uint32_t i = 0; i < width_; ++i)
      cells.projected[t * width_ + i] = signs_.empty() ? token[i] : dot(signs_.data() + (std::size_t{repetition} * width_ + i) * dim, token, dim);
  }
  return cells;
}

std::vector<float> FixedEncoding::finish(const std::vector<double>& cells) const {
  const double unit = 1 / std::sqrt(static_cast<double>(params_.repetitions));  // a product averages over repetitions
  std::vector<double> folded(size());
  for (std::size_t i = 0; i < cells.size(); ++i)
    folded[places_.empty() ? i : places_[i]] += unit * cells[i] * (places_.empty() ? 1.0f : place_signs_[i]);
  return {folded.begin(), folded.end()};
}

std::vector<float> FixedEncoding::query(std::span<const float> tokens) const {
  std::vector<double> all(n_cells_total_);
  for (std::uint32_t repetition = 0; repetition < params_.repetitions; ++repetition) {
    const Cells cells = cells_of(tokens, repetition);
    for (std::size_t t = 0; t < cells.cell.size(); ++t)
      for (std::uint32_t i = 0; i < width_; ++i)
        all[((std::size_t{repetition} << params_.bits) + cells.cell[t]) * width_ + i] += cells.projected[t * width_ + i];
  }
  return finish(all);
}

std::vector<float> FixedEncoding::document(std::span<const float> tokens) const {
  std::vector<double> all(n_cells_total_);
  for (std::uint32_t repetition = 0; repetition < params_.repetitions; ++repetition) {
    const Cells cells = cells_of(tokens, repetition);
    for (std::uint32_t cell = 0; cell < 1u << params_.bits; ++cell) {
      double* out = all.data() + ((std::size_t{repetition} << params_.bits) + cell) * width_;
      std::size_t members = 0, nearest = 0;
      for (std::size_t t = 0; t < cells.cell.size(); ++t) {
        if (std::popcount(cells.cell[t] ^ cell) < std::popcount(cells.cell[nearest] ^ cell)) nearest = t;
        if (cells.cell[t] != cell) continue;
        ++members;
        for (std::uint32_t i = 0; i < width_; ++i) out[i] += cells.projected[t * width_ + i];
      }
      for (std::uint32_t i = 0; i < width_; ++i) out[i] = members ? out[i] / static_cast<double>(members) : cells.projected[nearest * width_ + i];
    }
  }
  return finish(all);
}

}  // namespace vicino
