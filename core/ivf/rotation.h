// The rotation of optimized product codes: turn rows so that cutting and coding them loses least (Ge et al. 2013, the non-parametric solution).
//
// It starts from the principal directions, dealt out so that the energies of every subvector multiply to about the same (the parametric
// solution of that paper). Then codewords and rotation are improved by turns: with the codes fixed, the best rotation is the orthogonal factor of the product of coded and
// plain rows. It is found by Newton-Schulz iteration, which is nothing but products of matrices.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "util/cancel.h"

namespace vicino {

/// out = rotation * vector. dim is a multiple of 16; out and vector do not overlap.
void turn(std::span<const float> rotation, std::uint32_t dim, const float* vector, float* out);

/// The same for several vectors, which take the rotation from memory once: the same bits.
void turn_several(std::span<const float> rotation, std::uint32_t dim, std::span<const float* const> vectors, std::span<float* const> turned);

/// The rows, dim floats each, turned.
std::vector<float> turn_rows(std::span<const float> rotation, std::uint32_t dim, std::span<const float> rows, unsigned threads, const Cancel& cancel);

/// Codes turned rows and gives what they become.
using Recode = std::function<std::vector<float>(const std::vector<float>& turned)>;

/// dim * dim floats with orthonormal rows, for subvectors of `width` dimensions. Deterministic for any number of threads.
std::vector<float> train_rotation(const std::vector<float>& rows, std::uint32_t dim, std::uint32_t width, const Recode& recode, std::uint64_t seed,
                                  unsigned threads, const Cancel& cancel);

}  // namespace vicino
