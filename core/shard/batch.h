// Log payloads: what one commit does to a shard, as columns. The effect is logged, never the condition, so applying is unconditional.
//
//   upsert   u32 n, u32 columns | ids: u32 offsets[n+1], bytes | documents: u32 offsets[n+1], bytes
//            | per column: u32 slot, u32 dim, u8 dtype, u8 metric, u8 has_presence, u8 0, [u64 presence words], rows (n * row bytes)
//   delete   u32 n | ids
//   fields   u32 n | ids | documents        (the whole new document of each id)
//   control  opaque to the core (settings as JSON)
//   values   an upsert, followed by u32 columns | per column: u32 slot, u32 dim, u8 kind, u8 dtype, u8 metric, u8 0, u32 offsets[n+1], bytes
//
// Ids are encoded as in bind/ids.h, documents as in fields/document.h. Offsets start at 0 and never fall.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/vectors.h"
#include "shard/byte_column.h"
#include "shard/value_column.h"
#include "util/blob.h"

namespace vicino {

enum class RecordType : std::uint8_t { upsert = 1, remove = 2, fields = 3, control = 4, upsert_values = 5 };

/// What identifies a vector of a collection inside the files: its slot, never reused, and its shape.
struct ColumnSpec {
  std::uint32_t slot;
  std::uint32_t dim;
  Dtype dtype;
  Metric metric;
  friend bool operator==(const ColumnSpec&, const ColumnSpec&) = default;
};

struct VectorColumn {
  ColumnSpec spec;
  std::vector<std::uint64_t> presence;  // empty: every record has this vector
  Bytes rows;                           // at any alignment
  bool has(std::uint32_t i) const { return presence.empty() || (presence[i >> 6] >> (i & 63) & 1); }
};

struct UpsertBatch {
  ByteColumn ids, documents;
  std::vector<VectorColumn> columns;
  std::vector<ValueColumn> values;
};
struct DeleteBatch {
  ByteColumn ids;
};
struct FieldsBatch {
  ByteColumn ids, documents;
};

/// Values on their way into a payload.
struct ValuesToWrite {
  ValueSpec spec;
  BytesToWrite values;
};

/// Bytes of an upsert, of type upsert_values if there are values, else of type upsert; and the upsert itself, written to so many bytes.
std::size_t upsert_size(const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns,
                        std::span<const ValuesToWrite> values);
void encode_upsert(const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns,
                   std::span<const ValuesToWrite> values, std::uint8_t* out);
std::string encode_delete(const BytesToWrite& ids);
std::string encode_fields(const BytesToWrite& ids, const BytesToWrite& documents);

/// Views into a payload, which must outlive them. Throw CorruptionError when anything is out of bounds.
UpsertBatch decode_upsert(Bytes payload, bool with_values = false);
DeleteBatch decode_delete(Bytes payload);
FieldsBatch decode_fields(Bytes payload);

}  // namespace vicino
