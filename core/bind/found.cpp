#include "bind/found.h"

#include <algorithm>
#include <span>

#include "bind/ids.h"
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

}  // namespace

/// Filled in place: a list that grows by appending is written twice.
template <class Make>
nb::list Found::list_of(Make&& make) const {
  auto list = nb::steal<nb::list>(PyList_New(static_cast<Py_ssize_t>(hits_.size())));
  if (!list.is_valid()) throw nb::python_error();
  for (std::size_t i = 0; i < hits_.size(); ++i) PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), make(hits_[i]).release().ptr());
  return list;
}

nb::list Found::ids() const {
  ask_for_all(hits_, [&](Locator at) { return snapshot_->id(at); });
  return list_of([&](const Hit& hit) { return decode_id(snapshot_->id(static_cast<Locator>(hit.row))); });
}

nb::list Found::distances() const {
  return list_of([](const Hit& hit) { return nb::float_(static_cast<double>(hit.distance)); });
}

nb::list Found::documents() const {
  ask_for_all(hits_, [&](Locator at) { return snapshot_->document(at); });
  return list_of([&](const Hit& hit) { return to_bytes(snapshot_->document(static_cast<Locator>(hit.row))); });
}

nb::list Found::versions() const {
  return list_of([&](const Hit& hit) { return nb::int_(snapshot_->version(static_cast<Locator>(hit.row))); });
}

nb::ndarray<nb::numpy, std::int64_t> Found::locators() const {
  std::vector<std::int64_t> locators;
  locators.reserve(hits_.size());
  for (const Hit& hit : hits_) locators.push_back(static_cast<std::int64_t>(hit.row));
  return to_array(std::move(locators));
}

std::size_t Found::document_bytes() const {
  std::size_t bytes = 0;
  for (const Hit& hit : hits_) bytes += snapshot_->document(static_cast<Locator>(hit.row)).size();
  return bytes;
}

Found Found::part(std::size_t first, std::size_t last) const {
  last = std::min(last, hits_.size());
  first = std::min(first, last);
  return {snapshot_, {hits_.begin() + static_cast<std::ptrdiff_t>(first), hits_.begin() + static_cast<std::ptrdiff_t>(last)}};
}

void bind_found(nb::module_& m) {
  nb::class_<Found>(m, "Found", "The hits of one query, nearest first, as rows of a snapshot. Each list is made when it is asked for.")
      .def("__len__", &Found::size)
      .def("ids", &Found::ids)
      .def("distances", &Found::distances, "As users know them: smaller is nearer.")
      .def("documents", &Found::documents, "Encoded, see decode_document.")
      .def("versions", &Found::versions)
      .def("locators", &Found::locators)
      .def("document_bytes", &Found::document_bytes, "Of all encoded documents together.")
      .def("part", &Found::part, "first"_a, "last"_a, "Hits `first` to `last`, exclusive.");
  nb::class_<SearchCounts>(m, "SearchCounts", "What a search did, summed over its queries.")
      .def("entries", [](const SearchCounts& counts) { return to_list(counts.entries); }, "One mapping per entry, the head last.");
}

}  // namespace vicino::bind
