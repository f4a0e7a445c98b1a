// One consistent state of a shard: an immutable list of entries. Readers hold it by shared pointer and take no locks.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "filter/condition.h"
#include "filter/evaluate.h"
#include "shard/hit_lists.h"
#include "shard/matched_rows.h"
#include "shard/overlay.h"
#include "shard/rows.h"
#include "sparse/search.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

/// Where a record lives: position of the entry in its snapshot << 32 | row. Negative: nowhere.
using Locator = std::int64_t;
constexpr Locator kNowhere = -1;
constexpr Locator locator(std::size_t entry, std::uint32_t row) { return static_cast<Locator>(entry) << 32 | row; }

struct Entry {
  std::shared_ptr<const Rows> rows;
  std::shared_ptr<const Bitmap> live;     // null: no row is dead
  std::shared_ptr<const Bitmap> updated;  // rows with an update in the overlay; null: none
  std::shared_ptr<Overlay> overlay;       // never null
  std::uint32_t n_live = 0;
  std::uint32_t n_updated = 0;
  std::shared_ptr<MatchForms> forms = std::make_shared<MatchForms>();  // of these live rows; made anew with them
  std::shared_ptr<LiveStatistics> statistics = std::make_shared<LiveStatistics>();  // of these live rows; made anew with them

  bool is_dead(std::uint32_t row) const { return live && !live->test(row); }
};

/// Vector names of a collection and the slots behind them, for filters on them.
using SlotNames = std::unordered_map<std::string, std::uint32_t>;

/// Live rows that meet a condition, one bitmap an entry.
struct Matches {
  std::vector<std::shared_ptr<const Bitmap>> rows;  // null: every row of the entry
  std::vector<std::uint32_t> counts;
  std::uint64_t count = 0;
  EvaluateStats stats;
  std::shared_ptr<MatchForms> forms = std::make_shared<MatchForms>();  // of these rows, made as searches want them
  /// What they take, forms included; packed codes count as memory of their graph.
  std::size_t memory_bytes() const;
};

enum class Strategy : std::uint8_t { none, scan, scan_codes, walk, walk_pages, two_hop, walk_then_scan, lists, postings };

/// What a search did in one entry.
struct EntryStats {
  std::uint64_t key = 0;
  std::uint32_t rows = 0, candidates = 0;
  Strategy strategy = Strategy::none;
  std::uint64_t rows_scored = 0;  // distances computed, by codes or by rows
  double seconds = 0;
  std::uint64_t rows_read = 0;    // of these, by rows
  std::uint64_t codes_scanned = 0;  // of rows_scored, those that scans of codes scored, which is cheaper than walking to them
  std::uint64_t hops = 0;         // nodes of a graph whose neighbors were looked at
  const char* codes = "";         // by which rows were scored: 1bit, 4bit, 8bit, pq; empty: by none
  bool rows_are_coded = false;    // rows are kept in 8 bits a number
  // Under a filter, of a graph with codes: what one query was expected to take by each way, beside what all have in common; 0 elsewhere.
  double walk_ns = 0, scan_ns = 0, two_hop_ns = 0;
  bool costs_are_measured = false;  // in this segment, rather than assumed
};

/// As many rows are scored as the error bounds of codes leave a chance.
constexpr float kRescoredByBound = -1;

struct SearchRequest {
  ColumnSpec column;
  std::size_t k = 10;
  std::size_t ef = 0;      // beam of walks; 0: chosen from k
  std::size_t nprobe = 0;  // lists that are scanned; 0: chosen from their number, or from ef
  bool exact = false;    // scan everything
  float oversampling = kRescoredByBound;  // candidates by codes that are scored by rows, times k; 0: none, scores are those of the codes
  unsigned threads = 1;    // by which several queries are shared
  bool with_ids = false;   // reads the ids of what is found, too
  std::span<const Locator> held_out{};  // empty, or per query a row that is searched as if it were not there; kNowhere: none
};

struct SearchOutcome {
  HitLists hits;                  // nearest first, Hit::row is a Locator, distances are public ones
  std::vector<EntryStats> stats;  // summed over the queries
};

/// What a search over values found.
struct ValueOutcome {
  std::vector<SparseHit> hits;  // best first, SparseHit::row is a Locator
  std::vector<EntryStats> stats;
  std::vector<std::uint32_t> tokens{};  // multi-vectors: the token of each hit that adds most
};

class Snapshot {
 public:
  Snapshot(std::uint64_t version, std::vector<Entry> entries);

  std::uint64_t version() const { return version_; }
  /// Another number for every snapshot of this process.
  std::uint64_t identity() const { return identity_; }
  const std::vector<Entry>& entries() const { return entries_; }
  std::uint64_t n_records() const { return n_records_; }

  Locator find(Bytes id) const;
  /// The newest row that was written under this id, dead or not.
  Locator find_any(Bytes id) const;
  /// The parts of a record. The locator must come from this snapshot; others throw InvalidArgument.
  Bytes id(Locator at) const;
  Bytes document(Locator at) const;
  std::uint64_t version(Locator at) const;
  const std::uint8_t* vector(std::uint32_t slot, Locator at) const;
  /// One vector in the type of its column, decoded where it is kept coded; false, with nothing written, when the record has none.
  bool read_vector(const ColumnSpec& column, Locator at, std::uint8_t* out) const;
  /// Throws CorruptionError when rows hold vectors of another shape in this slot: settings and vectors come from different files.
  void expect_column(const ColumnSpec& column) const;
  /// The stored value of a sparse or multi column, empty when the record has none.
  Bytes value(std::uint32_t slot, Locator at) const;
  /// The same for values.
  void expect_values(const ValueSpec& column) const;
  /// About n live records that have a vector in the slot, spread evenly over the rows; all of them when there are no more than n rows.
  std::vector<Locator> spaced_records(std::uint32_t slot, std::size_t n) const;
  /// Live records whose terms a text index does not have yet, because it was made after them.
  std::uint64_t n_uncovered(std::uint32_t slot) const;

  /// `condition` null: all live rows.
  Matches match(const Condition* condition, const SlotNames& slots, const Cancel& cancel) const;
  /// Estimated number of records that meet the condition, without evaluating it.
  Cardinality estimate(const Condition& condition, const SlotNames& slots) const;
  /// queries: n rows in the column's query type, see PreparedQuery. `matches` null: all live rows.
  SearchOutcome search(const SearchRequest& request, std::span<const std::uint8_t> queries, std::size_t n_queries, const Matches* matches,
                       const Cancel& cancel) const;

  /// The k best records for words in text indexes; those that an index does not cover are not found, see n_uncovered.
  ValueOutcome search_text(const TextQuery& query, std::size_t k, const Matches* matches, const Cancel& cancel) const;
  /// The k records of the largest dot product with a sparse vector.
  ValueOutcome search_sparse(std::uint32_t slot, std::span<const std::uint32_t> indices, std::span<const float> weights, bool idf, std::size_t k,
                             const Matches* matches, const Cancel& cancel) const;

  /// The k records of the largest MaxSim. query: n_tokens rows of floats. exact: no probing of inverted lists.
  ValueOutcome search_multi(const ValueSpec& column, std::span<const float> query, std::size_t k, bool exact, const Matches* matches, const Cancel& cancel) const;

  /// One entry as the filter evaluator sees it. The snapshot must outlive the source.
  std::unique_ptr<RowSource> source(std::size_t entry, const SlotNames& slots) const;
  /// Rows of an entry that are neither dead nor outside `matches`, null when that is all of them.
  const Bitmap* allowed(std::size_t entry, const Matches* matches) const;

 private:
  const Entry& entry_of(Locator at) const;

  std::uint64_t version_, identity_;
  std::vector<Entry> entries_;
  std::uint64_t n_records_ = 0;
};

}  // namespace vicino
