// Search over inverted indexes: text by BM25 and sparse vectors by dot product, over all entries of a snapshot with one top-k.
//
// Threads: both functions are pure; any number of threads may search the same indexes at once.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sparse/term_index.h"
#include "sparse/text_query.h"
#include "util/bitmap.h"
#include "util/cancel.h"

namespace vicino {

/// One head or segment, for text.
struct TextEntry {
  std::vector<std::shared_ptr<const TermIndex>> fields;  // one per TextQuery::fields; null: no row of the entry has the field
  std::shared_ptr<const Bitmap> live;                    // null: no row is dead
  const Bitmap* allowed = nullptr;                       // rows that may be found: live and matching; null: all live rows
};

/// One head or segment, for sparse vectors.
struct SparseEntry {
  std::shared_ptr<const TermIndex> index;  // null: no row of the entry has the vector
  std::shared_ptr<const Bitmap> live;
  const Bitmap* allowed = nullptr;
  /// The stored value of a row: u32 indices, then f32 weights. Read for the rows that may be among the best; not called for a head.
  std::function<Bytes(std::uint32_t row)> value;
};

/// Whose document frequencies, counts and lengths make idf and average length.
enum class StatisticsOf : std::uint8_t { live, matching };

struct TermHit {
  std::uint32_t entry = 0, row = 0;
  float score = 0;
};

struct TermStats {
  std::uint64_t terms = 0;            // terms looked up after expansion, per entry
  std::uint64_t postings_scored = 0;  // that entered a sum
  std::uint64_t blocks_decoded = 0;
  std::uint64_t rows_scored = 0;      // candidates whose score was completed
  std::uint64_t windows = 0, windows_skipped = 0;
};

struct TermHits {
  std::vector<TermHit> hits;  // best first, equal scores by entry and row
  TermStats stats;
};

/// The k best rows that the query matches. Statistics are those of live rows of all entries together, or of those a filter matches. Throws
/// InvalidArgument for k = 0, a phrase over a field without positions, and numbers out of range; CorruptionError for damaged lists; Cancelled.
TermHits search_text(const TextQuery& query, std::span<const TextEntry> entries, std::size_t k, StatisticsOf statistics, const Cancel& cancel);

/// The k rows with the largest dot products among those that share an index with the query, exact. `indices` ascend. With `idf` each weight is
/// multiplied by ln(1 + (N - df + 0.5) / (df + 0.5)) of its index.
TermHits search_sparse(std::span<const std::uint32_t> indices, std::span<const float> weights, bool idf, std::span<const SparseEntry> entries,
                       std::size_t k, StatisticsOf statistics, const Cancel& cancel);

}  // namespace vicino
