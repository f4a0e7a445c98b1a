// Terms that a prefix or a misspelled word stands for.
#pragma once
#include "sparse/collection_terms.h"

namespace vicino {

struct Expansion {
  std::string term;
  float weight;       // 1, less by the share of characters that are edited
  std::uint64_t df;
};

/// Terms of a field that begin with `prefix`, at most `limit`: those in the most records first, then by bytes.
std::vector<Expansion> expand_prefix(CollectionTerms& terms, std::uint32_t field, const std::string& prefix, std::uint32_t limit);
/// Terms at most `edits` insertions, deletions or replacements of characters away that share the first `prefix_length` characters; the nearest first.
std::vector<Expansion> expand_fuzzy(CollectionTerms& terms, std::uint32_t field, const std::string& word, std::uint32_t edits, std::uint32_t prefix_length,
                                    std::uint32_t limit);

}  // namespace vicino
