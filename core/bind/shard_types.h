// What the bindings of shards and snapshots share.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "shard/segment.h"
#include "shard/snapshot.h"
#include "sparse/terms_builder.h"

namespace vicino::bind {

/// slot, dim, dtype, metric
using Column = std::tuple<std::uint32_t, std::uint32_t, Dtype, Metric>;
/// slot, kind, dim, dtype, metric
using Values = std::tuple<std::uint32_t, ValueKind, std::uint32_t, Dtype, Metric>;
using RawArray = nanobind::ndarray<const std::uint8_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
using LocatorArray = nanobind::ndarray<const std::int64_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

inline ColumnSpec spec_of(const Column& column) {
  const auto& [slot, dim, dtype, metric] = column;
  return {slot, dim, dtype, metric};
}

inline ValueSpec spec_of(const Values& values) {
  const auto& [slot, kind, dim, dtype, metric] = values;
  return {slot, kind, dim, dtype, metric};
}

inline nanobind::bytes to_bytes(const std::string& data) { return nanobind::bytes(data.data(), data.size()); }
inline nanobind::bytes to_bytes(Bytes data) { return nanobind::bytes(reinterpret_cast<const char*>(data.data()), data.size()); }

inline nanobind::list to_sections(const TermsBuilder::Image& image) {
  nanobind::list sections;
  for (const auto& [name, data] : image) sections.append(nanobind::make_tuple(name, to_bytes(data)));
  return sections;
}

template <class T>
nanobind::ndarray<nanobind::numpy, T> to_array(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));
  nanobind::capsule owner(owned, [](void* data) noexcept { delete static_cast<std::vector<T>*>(data); });
  return nanobind::ndarray<nanobind::numpy, T>(owned->data(), {owned->size()}, owner);
}

/// Runs `make`, which returns a std::string, without the GIL.
template <class Make>
nanobind::bytes released(Make&& make) {
  std::string made;
  {
    nanobind::gil_scoped_release unlocked;
    made = make();
  }
  return to_bytes(made);
}

inline VectorIndexParams params_of(const std::string& kind, std::uint32_t nlist, std::uint32_t subvectors, std::uint32_t bits, bool copies, std::uint32_t m,
                                   std::uint32_t ef_construct, const std::string& codes, const std::string& layout = "memory") {
  VectorIndexParams params{kind, nlist, subvectors, bits, copies, m, ef_construct};
  params.codes = codes;
  params.layout = layout;
  return params;
}

/// A sealed segment of a snapshot. Throws InvalidArgument when there is none with this key.
const Segment& segment_at(const Snapshot& snapshot, std::uint64_t key);

/// Throws InvalidArgument for k = 0 and for matches of another snapshot.
void expect_matches(const Snapshot& snapshot, const Matches* matches, std::size_t k);

/// How many queries of a column these bytes are. Throws InvalidArgument unless they fit it, are finite and the matches are of this snapshot.
std::size_t count_queries(const ColumnSpec& column, const RawArray& queries, const Matches* matches, const Snapshot& snapshot);

/// Stats of a search, one mapping per entry.
nanobind::list to_list(const std::vector<EntryStats>& all);

void bind_snapshot(nanobind::module_& m);
void bind_pages(nanobind::module_& m);  // blocks of graphs that are walked from disk; after bind_snapshot
void bind_query(nanobind::class_<Snapshot>& snapshot);

}  // namespace vicino::bind
