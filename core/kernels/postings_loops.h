// Loops over postings that every unit compiles for its own instruction set. `Unit` is a type of the unit's own, so that no two units share code.
#pragma once
#include "kernels/table.h"

namespace vicino::loops {

template <class Unit>
void text_shares(const std::uint32_t* frequencies, const std::uint32_t* lengths, std::size_t count, TextShare share, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto frequency = static_cast<float>(static_cast<std::int32_t>(frequencies[i]));
    const auto length = static_cast<float>(static_cast<std::int32_t>(lengths[i]));
    const auto units = static_cast<std::int32_t>(share.weight * (frequency / (frequency + (share.fixed + share.per_word * length))) + 0.5f);
    out[i] = static_cast<std::uint32_t>(units < 1 ? 1 : units);
  }
}

template <class Unit>
void weight_shares(const float* weights, std::size_t count, float weight, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto units = static_cast<std::int32_t>(weight * weights[i] + 0.5f);
    out[i] = static_cast<std::uint32_t>(units < 1 ? 1 : units);
  }
}

/// Writes what `mask` says of 64 sums.
template <class Unit, class Sum>
std::size_t append_sums(std::uint64_t mask, std::uint32_t first, const Sum* sums, std::uint32_t* out, Sum* out_sums, std::size_t found) {
  for (; mask; mask &= mask - 1, ++found) {
    const auto place = static_cast<std::uint32_t>(__builtin_ctzll(mask));
    out[found] = first + place;
    out_sums[found] = sums[place];
  }
  return found;
}

}  // namespace vicino::loops
