#include "bind/found.h"

#include <algorithm>
#include <span>
#include <string>

#include "bind/ids.h"
#include "util/errors.h"
#include "util/prefetch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

// Of one id or document; what is longer comes by itself once its beginning is read.
constexpr std::size_t kAskedMax = 256;

/// Hits lie anywhere in their files. Asked for beforehand, all of them are on their way at once; between one Python object and the next the
/// processor looks too short a way ahead for that.
template <class Find>
void ask_for_all(std::span<const Hit> hits, Find&& find) {
  for (const Hit& hit : hits) {
    const Bytes found = find(static_cast<Locator>(hit.row));
    prefetch_run(found.data(), std::min(found.size(), kAskedMax));
  }
}

/// Filled in place: a list that grows by appending is written twice.
template <class Make>
nb::list list_of(std::span<const Hit> hits, Make&& make) {
  auto list = nb::steal<nb::list>(PyList_New(static_cast<Py_ssize_t>(hits.size())));
  if (!list.is_valid()) throw nb::python_error();
  for (std::size_t i = 0; i < hits.size(); ++i) PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), make(hits[i]).release().ptr());
  return list;
}

}  // namespace

std::span<const Hit> Found::hits_of(std::size_t query) const {
  if (query >= hits_.size()) throw InvalidArgument("there are " + std::to_string(hits_.size()) + " queries, got the number " + std::to_string(query));
  return hits_[query];
}

nb::list Found::ids(std::size_t query) const {
  const auto hits = hits_of(query);
  const auto short_ids = hits_.ids(query);
  if (short_ids.empty()) return list_of(hits, [&](const Hit& hit) { return decode_id(snapshot_->id(static_cast<Locator>(hit.row))); });
  const ShortId* short_id = short_ids.data();
  return list_of(hits, [&](const Hit& hit) {
    const Bytes id = (short_id++)->bytes();
    return decode_id(id.empty() ? snapshot_->id(static_cast<Locator>(hit.row)) : id);
  });
}

nb::list Found::distances(std::size_t query) const {
  return list_of(hits_of(query), [](const Hit& hit) { return nb::float_(static_cast<double>(hit.distance)); });
}

nb::list Found::documents(std::size_t query) const {
  const auto hits = hits_of(query);
  ask_for_all(hits, [&](Locator at) { return snapshot_->document(at); });
  return list_of(hits, [&](const Hit& hit) { return to_bytes(snapshot_->document(static_cast<Locator>(hit.row))); });
}

nb::list Found::versions(std::size_t query) const {
  return list_of(hits_of(query), [&](const Hit& hit) { return nb::int_(snapshot_->version(static_cast<Locator>(hit.row))); });
}

nb::ndarray<nb::numpy, std::int64_t> Found::locators(std::size_t query) const {
  std::vector<std::int64_t> locators;
  locators.reserve(count(query));
  for (const Hit& hit : hits_of(query)) locators.push_back(static_cast<std::int64_t>(hit.row));
  return to_array(std::move(locators));
}

std::size_t Found::document_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t query = 0; query < n_queries(); ++query)
    for (const Hit& hit : hits_[query]) bytes += snapshot_->document(static_cast<Locator>(hit.row)).size();
  return bytes;
}

void Found::truncate(std::size_t query, std::size_t n) {
  if (n < count(query)) hits_.truncate(query, n);
}

void Found::append(const Found& more) {
  if (snapshot_ != more.snapshot_) throw InvalidArgument("these hits are rows of another snapshot");
  hits_.append(more.hits_);
}

void bind_found(nb::module_& m) {
  nb::class_<Found>(m, "Found",
                    "The hits of every query of one search, nearest first, as rows of a snapshot. Each list is made when it is asked for.\n\n"
                    "query: its number. Raises InvalidArgument where there is none of that number.")
      .def("__len__", &Found::n_queries)
      .def("count", &Found::count, "query"_a, "How many hits this query has.")
      .def("ids", &Found::ids, "query"_a)
      .def("distances", &Found::distances, "query"_a, "As users know them: smaller is nearer.")
      .def("documents", &Found::documents, "query"_a, "Encoded, see decode_document.")
      .def("versions", &Found::versions, "query"_a)
      .def("locators", &Found::locators, "query"_a)
      .def("n_hits", &Found::n_hits, "Of all queries together.")
      .def("document_bytes", &Found::document_bytes, "Of all encoded documents of all queries together.")
      .def("skip", &Found::skip, "n"_a, "Drops the first n hits of every query.")
      .def("truncate", &Found::truncate, "query"_a, "n"_a, "Keeps the first n hits of one query.")
      .def("append", &Found::append, "more"_a, "Adds the queries of another search of the same snapshot behind these.");
  nb::class_<SearchCounts>(m, "SearchCounts", "What a search did, summed over its queries.")
      .def("entries", [](const SearchCounts& counts) { return to_list(counts.entries); }, "One mapping per entry, the head last.");
}

}  // namespace vicino::bind
