// Values: what a record has beside its vectors and fields in a slot of its own, as a byte string that the core reads. No bytes: it has none.
//
//   text    the terms that an analyzer made of some fields (sparse/text_value.h)
//   sparse  n times u32 index, ascending, then n times f32 weight
//   multi   n rows of dim elements
#pragma once
#include <cstdint>
#include <string>

#include "kernels/vectors.h"
#include "maxsim/spec.h"
#include "shard/byte_column.h"
#include "util/blob.h"

namespace vicino {

enum class ValueKind : std::uint8_t { text = 1, sparse = 2, multi = 3 };

/// What identifies a value column inside the files. Slots are from the same sequence as those of vectors. dim, dtype and metric say something
/// only for multi.
struct ValueSpec {
  std::uint32_t slot = 0;
  ValueKind kind = ValueKind::text;
  std::uint32_t dim = 0;
  Dtype dtype = Dtype::float32;
  Metric metric = Metric::dot;
  friend bool operator==(const ValueSpec&, const ValueSpec&) = default;
};

constexpr std::uint32_t kValueDimMax = 65536;

/// The column that these numbers of a file mean. Throws CorruptionError, naming `what`, when they mean none.
ValueSpec value_spec(std::uint32_t slot, std::uint32_t dim, std::uint8_t kind, std::uint8_t dtype, std::uint8_t metric, const std::string& what);
/// Throws CorruptionError, naming `what`, for values that are no such column's: numbers out of order or not finite, bytes missing.
void check_value(const ValueSpec& spec, Bytes value, const std::string& what);

/// What the search for MaxSim needs to know of a multi column.
inline MultiSpec multi_spec(const ValueSpec& spec) { return {spec.dim, spec.dtype, spec.metric}; }

struct ValueColumn {
  ValueSpec spec;
  ByteColumn values;
};

}  // namespace vicino
