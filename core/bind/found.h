// What a search of one query found, as Python holds it: rows of a snapshot, whose ids, documents and versions are made when somebody looks.
//
// Most callers look at a few hits, or at ids alone. Copying every document into a Python object would cost as much as the search.
#pragma once
#include <memory>
#include <vector>

#include "bind/shard_types.h"

namespace vicino::bind {

class Found {
 public:
  Found(std::shared_ptr<const Snapshot> snapshot, std::vector<Hit> hits) : snapshot_(std::move(snapshot)), hits_(std::move(hits)) {}

  std::size_t size() const { return hits_.size(); }
  nanobind::list ids() const;
  nanobind::list distances() const;
  /// Encoded, as the core stores them.
  nanobind::list documents() const;
  nanobind::list versions() const;
  nanobind::ndarray<nanobind::numpy, std::int64_t> locators() const;
  std::size_t document_bytes() const;
  /// Hits `first` to `last`, exclusive.
  Found part(std::size_t first, std::size_t last) const;

 private:
  template <class Make>
  nanobind::list list_of(Make&& make) const;

  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<Hit> hits_;
};

/// What was done in every entry; a mapping each when it is asked for.
struct SearchCounts {
  std::vector<EntryStats> entries;
};

void bind_found(nanobind::module_& m);

}  // namespace vicino::bind
