// Leading principal directions of some rows, by orthogonal iteration on their covariance: multiply a random basis by the matrix and make
// it orthonormal again, a few times. It finds the subspace that holds the most energy to well within what choosing by 64 dimensions needs,
// in time proportional to the directions asked for.
#pragma once
#include <cstdint>
#include <vector>

#include "util/cancel.h"
#include "util/random.h"

namespace vicino {

constexpr std::uint32_t kPrincipalMax = 1024;
constexpr std::uint32_t kPrincipalDimsMax = 4096;  // the covariance takes 64 MiB

struct Principal {
  std::vector<float> directions;  // orthonormal rows of `dims` floats, the most energy first
  std::vector<double> energies;   // mean square of the rows along each
  double total = 0;               // mean squared length of the rows
};

/// `rows` are centered, `dims` floats each, dims a multiple of 16. The result is the same for any number of threads.
Principal find_principal(const std::vector<float>& rows, std::uint32_t dims, std::uint32_t count, std::uint64_t seed, unsigned threads,
                         const Cancel& cancel);

/// Makes the rows of `basis`, dims floats each, orthonormal, first to last. A row in the span of those before it becomes a random one.
void make_orthonormal(std::vector<float>& basis, std::uint32_t dims, Random& random);

}  // namespace vicino
