// The terms of a query in all entries of a snapshot, with the statistics of the whole.
#pragma once
#include <map>
#include <optional>

#include "sparse/search.h"

namespace vicino {

/// One term of one field: where it is in each entry, and in how many live records.
struct ResolvedTerm {
  std::vector<std::optional<TermInfo>> infos;  // per entry
  std::uint64_t df = 0;
};

class CollectionTerms {
 public:
  /// slots: of the fields the entries have. filtered: records that are not allowed do not count.
  CollectionTerms(std::span<const SparseEntry> entries, std::span<const std::uint32_t> slots, bool filtered);

  struct Field {
    std::uint64_t n = 0;
    double average = 1;
  };
  const Field& field(std::size_t field) const { return fields_[field]; }
  const ResolvedTerm& term(std::uint32_t field, const std::string& term);
  std::span<const SparseEntry> entries() const { return entries_; }

  /// ln(1 + (N - df + 0.5) / (df + 0.5))
  static double idf(std::uint64_t n, std::uint64_t df);

 private:
  const Bitmap* counted(const SparseEntry& entry) const { return filtered_ ? entry.allowed : entry.live; }
  LiveStatistics& statistics(std::size_t entry) const { return filtered_ ? *of_filter_[entry] : *entries_[entry].statistics; }

  std::span<const SparseEntry> entries_;
  std::vector<std::uint32_t> slots_;
  bool filtered_;
  std::vector<std::unique_ptr<LiveStatistics>> of_filter_;
  std::vector<Field> fields_;
  std::map<std::pair<std::uint32_t, std::string>, ResolvedTerm> terms_;
};

}  // namespace vicino
