// MaxSim (Khattab and Zaharia 2020, ColBERT): the score of a record is the sum over query tokens of the largest similarity to any of its tokens.
//
// A source with an index is scanned by its int8 codes. Coding moves a score by at most
//   sum |query token| * residual + sum |what coding lost of the query token| * norm
// and rows are then rescored in their stored type, best upper bound first, until none that is left can reach the k-th exact score: the
// answer is that of an exact search. A source without an index (a head) is scored in full precision at once.
//
// A large source with inverted lists is probed instead unless `exact`: each query token looks up its nearest centroids, rows found there
// collect the centroids' similarities, terms that a row was not found for are imputed by what the nearest centroid not looked up allows
// (WARP, Scheerer et al. 2025), and the best rows go on as above.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "maxsim/index.h"
#include "maxsim/spec.h"

namespace vicino {

struct MultiSource {
  std::uint32_t rows = 0;
  RowBytes value;
  const std::uint64_t* allowed = nullptr;  // bit per row; null allows all. Rows without tokens are never found.
  const MultiIndex* index = nullptr;       // null: scored in full precision
};

struct MultiRequest {
  std::size_t k = 10;
  bool exact = false;           // no probing
  bool all_tokens = false;      // fill MultiHit::tokens
  // Measured on tokens around topics: more probes than 16 find nothing more, a longer list does; codes score some 500,000 rows a second.
  std::uint32_t probes = 16;    // centroids per query token
  std::uint32_t shortlist = 0;  // rows that probing passes on to int8; 0: a sixteenth of them, at least 4,096 and 32 k, at most 65,536 or 32 k
};

struct MultiHit {
  std::uint32_t source = 0;
  std::uint32_t row = 0;
  float score = 0;
  std::uint32_t token = 0;             // the record's token that is best for the query token which adds most to the score
  std::vector<std::uint32_t> tokens{};   // the record's best token for every query token
};

struct MultiStats {
  std::uint64_t rows_scored = 0;    // by codes, or in full where there are none
  std::uint64_t rows_rescored = 0;  // in full precision, after codes
  std::uint64_t tokens_scored = 0;
  std::uint64_t lists_probed = 0;
};

/// The k best rows of all sources together, best first; equal scores are ordered by source and row. `query` is n_query_tokens x dim and
/// finite. Throws InvalidArgument for no query tokens or k = 0, Cancelled within milliseconds of the flag or deadline.
std::vector<MultiHit> search_multi(const MultiSpec& spec, std::span<const float> query, std::span<const MultiSource> sources,
                                   const MultiRequest& request, MultiStats& stats, const Cancel& cancel, const Kernels& table = kernels());

}  // namespace vicino
