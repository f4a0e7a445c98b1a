// What a search found, as Python holds it: rows of a snapshot, whose ids, documents and versions become objects when somebody looks.
//
// Most callers look at a few hits, or at ids alone, whose bytes the search has read. Copying every document into a Python object would cost as
// much as the search. The hits of all queries of a batch are one object: making and freeing one for each query would be a twentieth of what two
// threads take for all.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "bind/shard_types.h"

namespace vicino::bind {

class Found {
 public:
  Found(std::shared_ptr<const Snapshot> snapshot, HitLists hits) : snapshot_(std::move(snapshot)), hits_(std::move(hits)) {}

  std::size_t n_queries() const { return hits_.size(); }
  std::size_t count(std::size_t query) const { return hits_of(query).size(); }
  nanobind::list ids(std::size_t query) const;
  nanobind::list distances(std::size_t query) const;
  /// Encoded, as the core stores them.
  nanobind::list documents(std::size_t query) const;
  nanobind::list versions(std::size_t query) const;
  nanobind::ndarray<nanobind::numpy, std::int64_t> locators(std::size_t query) const;

  /// Of all queries together.
  std::size_t n_hits() const { return hits_.n_hits(); }
  std::size_t document_bytes() const;

  /// Drops the first `n` hits of every query.
  void skip(std::size_t n) { hits_.skip(n); }
  /// Keeps the first `n` hits of one query.
  void truncate(std::size_t query, std::size_t n);
  /// Adds the queries of another search of the same snapshot behind these.
  void append(const Found& more);

 private:
  /// Throws InvalidArgument where there is no such query.
  std::span<const Hit> hits_of(std::size_t query) const;

  std::shared_ptr<const Snapshot> snapshot_;
  HitLists hits_;
};

/// What was done in every entry; a mapping each when it is asked for.
struct SearchCounts {
  std::vector<EntryStats> entries;
};

void bind_found(nanobind::module_& m);

}  // namespace vicino::bind
