// Log payloads: what one commit does to a shard, as columns. The effect is logged, never the condition, so applying is unconditional.
//
//   upsert   u32 n, u32 columns | ids: u32 offsets[n+1], bytes | documents: u32 offsets[n+1], bytes
//            | per column: u32 slot, u32 dim, u8 dtype, u8 metric, u8 has_presence, u8 0, [u64 presence words], rows (n * row bytes)
//   delete   u32 n | ids
//   fields   u32 n | ids | documents        (the whole new document of each id)
//   control  opaque to the core (settings as JSON)
//
// Ids are encoded as in bind/ids.h, documents as in fields/document.h. Offsets start at 0 and never fall.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/vectors.h"
#include "util/blob.h"

namespace vicino {

enum class RecordType : std::uint8_t { upsert = 1, remove = 2, fields = 3, control = 4 };

/// What identifies a vector of a collection inside the files: its slot, never reused, and its shape.
struct ColumnSpec {
  std::uint32_t slot;
  std::uint32_t dim;
  Dtype dtype;
  Metric metric;
  friend bool operator==(const ColumnSpec&, const ColumnSpec&) = default;
};

/// n byte strings one after the other.
struct ByteColumn {
  std::vector<std::uint32_t> offsets;  // n + 1; copied out, because a payload starts at any byte of the log
  Bytes data;
  std::uint32_t size() const { return static_cast<std::uint32_t>(offsets.size() - 1); }
  Bytes operator[](std::uint32_t i) const { return data.subspan(offsets[i], offsets[i + 1] - offsets[i]); }
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
};
struct DeleteBatch {
  ByteColumn ids;
};
struct FieldsBatch {
  ByteColumn ids, documents;
};

/// Columns on their way into a payload; `offsets` has one more element than there are records.
struct BytesToWrite {
  std::vector<std::uint32_t> offsets{0};
  std::string data;
  void add(Bytes bytes);
};

std::string encode_upsert(const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns);
std::string encode_delete(const BytesToWrite& ids);
std::string encode_fields(const BytesToWrite& ids, const BytesToWrite& documents);

/// Views into a payload, which must outlive them. Throw CorruptionError when anything is out of bounds.
UpsertBatch decode_upsert(Bytes payload);
DeleteBatch decode_delete(Bytes payload);
FieldsBatch decode_fields(Bytes payload);

}  // namespace vicino
