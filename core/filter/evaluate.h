// Conditions over the rows of one head or segment, answered as a bitmap.
//
// The answer is exact and does not depend on which paths are indexed. A leaf whose path has a field index is answered by it for the rows
// the index knows, and by reading documents for the stale ones. Parts of And and Or are ordered: what indexes answer goes first, the
// most selective part in front, and every later part looks only at the rows that are still open; parts that need the documents share
// one pass.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "filter/condition.h"
#include "util/bitmap.h"
#include "util/blob.h"
#include "util/cancel.h"

namespace vicino {

class FieldIndex;

/// What a filter asks of a head or a segment. Bytes stay valid for as long as the source; all calls are safe from several threads.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual std::size_t rows() const = 0;
  virtual Bytes document(std::size_t row) const = 0;
  /// Encoded as in bind/ids.h.
  virtual Bytes id(std::size_t row) const = 0;
  virtual bool has_vector(std::string_view name, std::size_t row) const = 0;
  /// The index of a path in its canonical spelling (Path::text); null: none.
  virtual const FieldIndex* index(std::string_view path) const = 0;
  /// Rows whose document is newer than the indexes; null: none.
  virtual const Bitmap* stale() const = 0;
  /// The rows that hold an id, dead ones included; nullopt where there is no id map, and ids are compared row by row.
  virtual std::optional<std::vector<std::size_t>> rows_of(Bytes /*id*/) const { return std::nullopt; }
};

struct EvaluateStats {
  std::uint64_t rows_scanned = 0;       // documents read, each counted as often as it was read
  std::set<std::string> paths_indexed;  // canonical spelling; answered by a field index
  std::set<std::string> paths_scanned;  // had no index, or one that cannot answer this kind of condition
};

/// The candidates (a bitmap of source.rows() bits) that meet the condition. Throws Cancelled, and CorruptionError for damaged documents
/// or indexes.
Bitmap evaluate(const Condition& condition, const RowSource& source, const Bitmap& candidates, const Cancel& cancel, EvaluateStats& stats);

/// Whether one record meets the condition.
bool matches(const Condition& condition, Bytes document, Bytes id, const std::function<bool(std::string_view)>& has_vector);

/// How many rows meet a condition: low <= truth <= high, with `likely` as the best guess.
struct Cardinality {
  std::size_t low = 0;
  std::size_t likely = 0;
  std::size_t high = 0;
};

/// From the field indexes alone: reads no document. Paths without an index widen the answer.
Cardinality estimate(const Condition& condition, const RowSource& source);

}  // namespace vicino
