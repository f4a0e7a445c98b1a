// What a column of multi-vectors is: a record's value is n rows ("tokens") of `dim` elements, as the user wrote them.
#pragma once
#include <cstdint>

#include "kernels/vectors.h"

namespace vicino {

/// dtype is float32, float16 or int8; metric is cosine or dot.
struct MultiSpec {
  std::uint32_t dim = 0;
  Dtype dtype = Dtype::float32;
  Metric metric = Metric::cosine;
  friend bool operator==(const MultiSpec&, const MultiSpec&) = default;
};

constexpr std::uint32_t kMultiDimMax = 65536;  // products of codes stay below 2^31

/// Throws InvalidArgument, naming the value, for a dimension, type or metric that multi-vectors do not have.
void check_multi_spec(const MultiSpec& spec);

}  // namespace vicino
