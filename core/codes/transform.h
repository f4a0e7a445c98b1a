// From a row as the user wrote it to the vector that is coded: fit to the metric, take off the mean, turn.
//
// Under cosine a row is first made a unit vector (the zero row stays zero). The mean of a sample is taken off, because data off the origin
// would spend its bits on what all rows share. A random rotation then makes the coordinates of any row look normally distributed, which
// is what the code is made for and what its error bound rests on. The rotation is rounds of
//   random signs, a Hadamard transform of every block of a power of two, a permutation of groups of 16 across the blocks
// so it takes O(d log d), needs no matrix, and gives the same bits on every instruction set: it only adds and multiplies single elements.
//
// Where a few directions hold most of the energy, only these are coded: `head` is then a matrix that projects on the leading principal
// directions and rotates within them, and the rest of a row is known by its norm alone.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/vectors.h"
#include "util/blob.h"
#include "util/cancel.h"

namespace vicino {

struct TransformOptions {
  /// Coded dimensions: 0 decides by energy, at least `dims` codes all.
  std::uint32_t nav_dims = 0;
  std::uint64_t seed = 0;
};

class Transform {
 public:
  /// Trained on the rows of a sample, which may be none. cosine, dot and l2 of float32 and float16 rows only; else InvalidArgument.
  static Transform train(const VectorBlock& sample, Metric metric, const TransformOptions& options, unsigned threads, const Cancel& cancel);

  Metric metric() const { return metric_; }
  /// What a row has, and what is coded of it: a multiple of 64.
  std::uint32_t dims() const { return dims_; }
  std::uint32_t code_dims() const { return code_dims_; }
  /// Whether only leading principal directions are coded.
  bool has_head() const { return !head_.empty(); }
  /// Share of the centered sample's squared norm that the coded directions hold; 1 without a head.
  float energy() const { return energy_; }
  /// Of the sample's fitted rows, padded with zeros to `work_dims`.
  const std::vector<float>& mean() const { return mean_; }
  /// |mean|^2
  float mean_square() const { return mean_square_; }

  /// `dims` padded with zeros to a multiple of 64: the length of fitted rows and residuals.
  std::uint32_t work_dims() const { return work_dims_; }
  /// Floats that `project` needs: the residual in front, the rest is room to work.
  std::size_t scratch_size() const { return std::size_t{work_dims_} * 3; }
  /// A row as the metric sees it, work_dims floats. Returns whether it is all zeros.
  bool fit(const VectorBlock& rows, std::uint32_t row, float* out) const;
  /// out[0, code_dims) = the coded coordinates of the residual at scratch[0, work_dims). Both are overwritten and may not overlap. A head is
  /// applied in 8 bits, to rows and queries alike: an error far below that of what it leaves out.
  void project(float* scratch, float* out) const;

  std::string to_bytes() const;
  /// Throws CorruptionError naming `what` where the bytes are no transform.
  static Transform from_bytes(Bytes bytes, const std::string& what);

 private:
  void derive();
  void train_head(const VectorBlock& sample, const TransformOptions& options, unsigned threads, const Cancel& cancel);

  Metric metric_ = Metric::l2;
  std::uint32_t dims_ = 0, code_dims_ = 0, work_dims_ = 0;
  std::uint64_t seed_ = 0;
  float energy_ = 1;
  std::vector<float> mean_;
  std::vector<std::int8_t> head_;   // code_dims x work_dims, row after row; empty when all is coded
  std::vector<float> head_scales_;  // one step of each row of it

  // Derived.
  float mean_square_ = 0;
  std::vector<float> signs_;
  std::vector<std::int32_t> head_sums_;
};

}  // namespace vicino
