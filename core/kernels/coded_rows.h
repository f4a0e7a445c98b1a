// Float rows in 8 bits a number: what a sealed segment keeps of vectors whose raw rows are dropped.
//
//   scales  f32 * ceil(dim / 64)   one step of each run of 64 dimensions
//   codes   i8 * dim               number i is scales[i / 64] * codes[i], in -127..127
//
// A scale has 17 significant bits, so its product with a code is a float exactly. Two things follow. Distances of a coded row are those of
// the row it decodes to, to the last bit. And the largest number of a run has code 127 or -127, so that encoding what was decoded gives the
// same scales and codes again: nothing drifts, however often rows are read, written and coded anew.
//
// Runs have a scale each because models have dimensions far larger than the others, which would leave those few steps. There is no mean and
// no rotation: a row means something by itself, may be copied from segment to segment, and is scored as it lies.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/table.h"
#include "kernels/vectors.h"

namespace vicino {

/// Bytes of one coded row.
constexpr std::size_t coded_row_bytes(std::size_t dim) { return (dim + kCodedRun - 1) / kCodedRun * sizeof(float) + dim; }

/// `values` are finite. Runs without a number of 1.5e-36 or more vanish: their step would be subnormal. out: coded_row_bytes(dim) bytes.
void encode_coded_row(const float* values, std::size_t dim, std::uint8_t* out);
void decode_coded_row(const std::uint8_t* row, std::size_t dim, float* out);
/// The same in the type that the row had before it was coded, float32 or float16.
void decode_coded_row(const std::uint8_t* row, std::uint32_t dim, Dtype dtype, std::uint8_t* out);

}  // namespace vicino
