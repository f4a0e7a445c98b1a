#include "shard/value_column.h"

#include <cmath>
#include <cstring>

#include "sparse/text_value.h"
#include "util/byte_io.h"
#include "util/errors.h"

namespace vicino {

namespace {

void check_text(Bytes value, const std::string& what) {
  for (TextValueReader reader(value, what); reader.next();) {
  }
}

void check_sparse(Bytes value, const std::string& what) {
  if (value.size() % 8) throw CorruptionError(what + ": a sparse vector has " + std::to_string(value.size()) + " bytes, not a multiple of 8");
  const std::size_t n = value.size() / 8;
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t index;
    float weight;
    std::memcpy(&index, value.data() + 4 * i, 4);
    std::memcpy(&weight, value.data() + 4 * (n + i), 4);
    if (i && index <= before) throw CorruptionError(what + ": the indices of a sparse vector do not ascend");
    if (!std::isfinite(weight)) throw CorruptionError(what + ": a weight of a sparse vector is not finite");
    before = index;
  }
}

void check_multi(const ValueSpec& spec, Bytes value, const std::string& what) {
  if (value.size() % row_bytes(spec.dtype, spec.dim))
    throw CorruptionError(what + ": a multi-vector has " + std::to_string(value.size()) + " bytes, not a multiple of a row");
}

}  // namespace

ValueSpec value_spec(std::uint32_t slot, std::uint32_t dim, std::uint8_t kind, std::uint8_t dtype, std::uint8_t metric, const std::string& what) {
  if (kind < static_cast<std::uint8_t>(ValueKind::text) || kind > static_cast<std::uint8_t>(ValueKind::multi))
    throw CorruptionError(what + ": unknown kind of values " + std::to_string(kind));
  if (dtype > static_cast<std::uint8_t>(Dtype::int8)) throw CorruptionError(what + ": unknown dtype of values " + std::to_string(dtype));
  if (metric > static_cast<std::uint8_t>(Metric::dot)) throw CorruptionError(what + ": unknown metric of values " + std::to_string(metric));
  const ValueSpec spec{slot, static_cast<ValueKind>(kind), dim, static_cast<Dtype>(dtype), static_cast<Metric>(metric)};
  if (dim > kValueDimMax || (spec.kind == ValueKind::multi && dim == 0))
    throw CorruptionError(what + ": dimension " + std::to_string(dim) + " is out of range");
  return spec;
}

void check_value(const ValueSpec& spec, Bytes value, const std::string& what) {
  if (value.empty()) return;
  switch (spec.kind) {
    case ValueKind::text: return check_text(value, what);
    case ValueKind::sparse: return check_sparse(value, what);
    case ValueKind::multi: return check_multi(spec, value, what);
  }
}

}  // namespace vicino
