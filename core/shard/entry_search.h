// Search over one entry of a snapshot: whether its index is used or its rows are scanned, decided from the number of candidates.
//
// Scanning m matching rows costs about m, walking the graph under a filter of share s about 1/s, as a walk that filters at result insertion
// needs a beam of about 9/s to keep its recall. Where the two meet is computed from what rows cost in this segment (search_costs.h); without
// codes it is near m = 25 * sqrt(n) (docs/design/0001-spine.md). That holds for filters that have nothing to do with the query. A walk that
// comes upon one that is opposed to it ends, and the matching rows are scanned, or walked over where they are very many (0010-filters.md).
//
// Neighbors of a query lie in all segments, so each of several walks may look less far than one walk over everything would. A beam of
// 64 * cbrt(share of the candidates) keeps recall@10 near that of one segment (vectors-debian, 100,000 rows: 0.976 over 3 segments, 0.983
// over 6, 0.985 over 12, 0.984 in one) with a fifth to a third less work than a beam of 64 in each.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shard/matched_rows.h"
#include "shard/snapshot.h"

namespace vicino {

/// One entry's part in one search call.
struct EntryTask {
  const Entry* entry;
  std::size_t position;
  const Bitmap* allowed;              // null: all rows
  std::uint32_t candidates;           // rows that are live, match, and have the vector
  std::vector<Chunk> chunks;
  std::unique_ptr<const Bitmap> own;  // a bitmap made for this call
  std::shared_ptr<MatchedRows> matched;  // forms of the allowed rows; null without a filter, or without a graph
  bool may_pack = false;              // these are kept for searches to come, and codes may be copied side by side for them
  bool is_packed = false;             // and were, so that scans cost less; the same for all queries of a call, on however many threads
};

EntryTask entry_task(const Snapshot& snapshot, std::size_t position, std::uint32_t slot, const Matches* matches);

/// Offers `best`, one for each of the queries, what the entry has near them, and adds what that took to `stats`. all_candidates: of all
/// entries. first_query: place of the first of these queries among those of the call.
void search_entry(const EntryTask& task, const SearchRequest& request, std::uint64_t all_candidates, std::span<const PreparedQuery> queries,
                  std::size_t first_query, std::span<TopK> best, EntryStats& stats, const Cancel& cancel);

}  // namespace vicino
