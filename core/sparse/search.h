// Search by words and by sparse vectors over the term indexes of some entries (the head and the sealed segments of one snapshot).
//
// A query is a tree. Its scores are BM25 in Lucene's form (Robertson and Zaragoza, 2009): idf = ln(1 + (N - df + 0.5) / (df + 0.5)), a
// term's share idf * x / (k1 + x), x = sum over fields of boost * tf / (1 - b + b * length / average length) (BM25F). N, df and average lengths are those
// of live records over all entries, so that segments and merges show in no score; N and df of several fields are the largest of them, k1 is that of
// the first.
//
// The most usual query, words of one field or a sparse vector, is answered by MaxScore (Turtle and Flood, 1995) over windows of 16 Ki rows:
// terms that cannot lift a row into the top k by themselves are only looked up for rows that others found, blocks that cannot are passed over.
// Sums are made in 16 bits (shortlist.h) and the few rows they leave scored anew. Shares are integers of a fixed unit, so that a score does not depend
// on the order in which they come; where that unit is too coarse for the hits that come out, the query is answered once more in double precision,
// clause by clause.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "sparse/term_index.h"
#include "util/bitmap.h"
#include "util/cancel.h"
#include "util/top_k.h"

namespace vicino {

/// A text index as a query uses it.
struct TextField {
  std::uint32_t slot = 0;
  float boost = 1, k1 = 1.2f, b = 0.75f;
};

/// One form of one word in one field: accents kept or folded, or an expansion of a prefix.
struct TextTerm {
  std::uint32_t field = 0;  // index into TextQuery::fields
  std::string term;
  float weight = 1;
};

struct TextClause {
  enum class Kind : std::uint8_t { words, phrase, prefix, fuzzy, boolean, constant, boost };
  Kind kind = Kind::words;
  /// words: per word of the query its forms in all fields; a word is met when any form is there.
  /// phrase: per position of the phrase the forms at it; `gaps[i]` is the distance from the first word.
  /// prefix, fuzzy: one list, of what is expanded in each field.
  std::vector<std::vector<TextTerm>> words;
  std::vector<std::uint32_t> gaps;
  std::uint32_t minimum = 1;       // words, boolean: how many of them (of the should clauses) must be met
  std::uint32_t slop = 0;          // phrase: how far words may stand from their places, in all
  std::uint32_t edits = 1, prefix_length = 0, expansions = 50;  // fuzzy, prefix
  float value = 1;                 // constant: the score; boost: the factor
  std::vector<TextClause> must, should, must_not;  // boolean; constant and boost have one in must
};

struct TextQuery {
  std::vector<TextField> fields;
  TextClause root;
  /// Statistics of the matching records only, in place of all live ones.
  bool filtered_statistics = false;
};

/// Statistics of an entry whose dead rows must be taken off, kept as long as the same rows are dead.
class LiveStatistics {
 public:
  struct Field {
    std::uint32_t n = 0;
    std::uint64_t length = 0;
  };
  Field field(std::uint32_t slot, const TermIndex& index, const Bitmap* live);
  std::uint32_t df(std::uint32_t slot, Bytes term, const TermIndex& index, const TermInfo& info, const Bitmap* live);

 private:
  std::mutex mutex_;
  std::map<std::uint32_t, Field> fields_;
  std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> dfs_;
};

struct SparseEntry {
  std::vector<const TermIndex*> fields;  // as TextQuery::fields; null: no row of the entry has the field
  const Bitmap* allowed = nullptr;       // live rows that match; null: all rows
  const Bitmap* live = nullptr;          // null: all rows
  std::uint32_t n_rows = 0;
  std::uint64_t first_row = 0;           // what the entry's row 0 is called in hits
  std::shared_ptr<LiveStatistics> statistics;
};

struct SparseStats {
  std::uint64_t postings = 0;  // read
  std::uint64_t candidates = 0;  // rows whose score was made
};

struct SparseHit {
  std::uint64_t row;
  float score;
};

/// The k best rows, best first, equal ones by row. A record is a hit when the query meets it, whatever its score.
/// stats: one per entry. Throws InvalidArgument for a phrase over a field without positions.
std::vector<SparseHit> search_text(const TextQuery& query, std::span<const SparseEntry> entries, std::size_t k, std::vector<SparseStats>& stats,
                                   const Cancel& cancel);

/// The k rows of the largest dot product with the query. Rows that share no index with it are no hits.
std::vector<SparseHit> search_sparse(std::uint32_t slot, std::span<const std::uint32_t> indices, std::span<const float> weights, bool idf, std::span<const SparseEntry> entries,
                                     std::size_t k, std::vector<SparseStats>& stats, const Cancel& cancel);

}  // namespace vicino
