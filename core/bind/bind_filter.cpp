#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>

#include "bind/bind.h"
#include "bind/filter_program.h"
#include "bind/ids.h"
#include "bind/values.h"
#include "fields/unicode.h"
#include "filter/evaluate.h"
#include "filter/facet.h"
#include "filter/field_index.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

using Offsets = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Blob blob_of(const nb::bytes& bytes) {
  auto owner = std::make_shared<std::string>(bytes.c_str(), bytes.size());
  return {{reinterpret_cast<const std::uint8_t*>(owner->data()), owner->size()}, owner};
}

/// A list of records as a source of rows, with indexes and newer documents: what a segment is to a filter, without a segment around it.
class RecordList final : public RowSource {
 public:
  RecordList(const nb::bytes& data, const Offsets& offsets, const nb::list& ids, const nb::list& vector_names)
      : documents_data_(blob_of(data)) {
    if (offsets.size() == 0) throw InvalidArgument("offsets must hold one number more than there are documents, got none");
    for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
      const std::uint64_t begin = offsets.data()[row];
      const std::uint64_t end = offsets.data()[row + 1];
      if (begin > end || end > documents_data_.size()) throw InvalidArgument("document " + std::to_string(row) + " is out of bounds");
      documents_.push_back(documents_data_.bytes().subspan(begin, end - begin));
    }
    if (ids.size() != documents_.size() || vector_names.size() != documents_.size()) {
      throw InvalidArgument(std::to_string(documents_.size()) + " documents, but " + std::to_string(ids.size()) + " ids and " +
                            std::to_string(vector_names.size()) + " lists of vector names");
    }
    for (nb::handle id : ids) ids_.push_back(encode_id(id));
    for (nb::handle names : vector_names) vector_names_.push_back(nb::cast<std::vector<std::string>>(names));
    stale_ = Bitmap(documents_.size());
  }

  std::size_t rows() const override { return documents_.size(); }
  Bytes document(std::size_t row) const override { return documents_[row]; }
  Bytes id(std::size_t row) const override { return {reinterpret_cast<const std::uint8_t*>(ids_[row].data()), ids_[row].size()}; }
  bool has_vector(std::string_view name, std::size_t row) const override {
    return std::ranges::find(vector_names_[row], name) != vector_names_[row].end();
  }
  const FieldIndex* index(std::string_view path) const override {
    const auto found = indexes_.find(path);
    return found == indexes_.end() ? nullptr : &found->second;
  }
  const Bitmap* stale() const override { return &stale_; }

  nb::bytes build_index(const std::string& path, const std::string& kind) const {
    const auto built = build_field_index(*this, path, index_kind(kind), Cancel());
    return nb::bytes(built.data(), built.size());
  }
  std::size_t index_build_bytes(const std::string& path, const std::string& kind) const {
    return field_index_build_bytes(*this, path, index_kind(kind), Cancel());
  }
  void add_index(const std::string& path, const nb::bytes& index) {
    indexes_.insert_or_assign(Path::parse(path).text(), FieldIndex::open(blob_of(index)));
  }
  void update(std::size_t row, const nb::bytes& document) {
    if (row >= rows()) throw InvalidArgument("row " + std::to_string(row) + " of " + std::to_string(rows()));
    updates_.push_back(blob_of(document));
    documents_[row] = updates_.back().bytes();
    stale_.set(row);
  }

 private:
  Blob documents_data_;
  std::vector<Bytes> documents_;
  std::vector<std::string> ids_;
  std::vector<std::vector<std::string>> vector_names_;
  std::map<std::string, FieldIndex, std::less<>> indexes_;
  std::vector<Blob> updates_;
  Bitmap stale_;
};

std::vector<std::size_t> rows_in(const Bitmap& bitmap) {
  std::vector<std::size_t> rows;
  bitmap.for_each([&](std::size_t row) { rows.push_back(row); });
  return rows;
}

nb::tuple evaluate_list(const Condition& condition, const RecordList& records) {
  EvaluateStats stats;
  std::vector<std::size_t> rows;
  {
    nb::gil_scoped_release unlocked;
    rows = rows_in(evaluate(condition, records, Bitmap(records.rows(), true), Cancel(), stats));
  }
  nb::dict work;
  work["rows_scanned"] = stats.rows_scanned;
  work["paths_indexed"] = std::vector<std::string>(stats.paths_indexed.begin(), stats.paths_indexed.end());
  work["paths_scanned"] = std::vector<std::string>(stats.paths_scanned.begin(), stats.paths_scanned.end());
  return nb::make_tuple(rows, work);
}

bool matches_one(const Condition& condition, const nb::bytes& document, nb::handle id, const std::vector<std::string>& vector_names) {
  const std::string encoded = encode_id(id);
  const Blob blob = blob_of(document);
  return matches(condition, blob.bytes(), {reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()},
                 [&](std::string_view name) { return std::ranges::find(vector_names, name) != vector_names.end(); });
}

nb::list facet_list(const RecordList& records, const std::string& path) {
  nb::list counts;
  const auto found = facet(Path::parse(path), records, Bitmap(records.rows(), true), Cancel());
  for (const auto& [value, count] : *found)
    counts.append(nb::make_tuple(to_python(value), count));
  return counts;
}

std::vector<std::size_t> order_list(const RecordList& records, const std::string& path, bool descending, std::size_t limit) {
  std::vector<std::size_t> rows;
  for (const OrderedRow& ordered : order_by(Path::parse(path), records, Bitmap(records.rows(), true), descending, Cancel(), limit))
    rows.push_back(ordered.row);
  return rows;
}

nb::tuple estimate_list(const Condition& condition, const RecordList& records) {
  const Cardinality rows = estimate(condition, records);
  return nb::make_tuple(rows.low, rows.likely, rows.high);
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (WordCursor cursor(text); cursor.next();) words.push_back(cursor.word());
  return words;
}

}  // namespace

void bind_filter(nb::module_& m) {
  nb::class_<Condition>(m, "Filter", "A condition tree, ready to be evaluated. Made by vicino.filter.compile; immutable.")
      .def(
          "__init__", [](Condition* self, nb::tuple program) { new (self) Condition(condition_of(program)); }, "program"_a)
      .def("matches", &matches_one, "document"_a, "id"_a, "vector_names"_a = std::vector<std::string>(),
           "Whether one record meets the condition: its encoded document, its id, the names of its vectors.");

  nb::class_<RecordList>(m, "RecordList", "Records outside any collection: encoded documents, ids, and the names of each one's vectors.")
      .def(nb::init<const nb::bytes&, const Offsets&, const nb::list&, const nb::list&>(), "documents"_a, "offsets"_a, "ids"_a,
           "vector_names"_a)
      .def("build_index", &RecordList::build_index, "path"_a, "kind"_a = "auto", "The bytes of a field index over the current documents.")
      .def("index_build_bytes", &RecordList::index_build_bytes, "path"_a, "kind"_a = "auto", "The memory that building it takes.")
      .def("add_index", &RecordList::add_index, "path"_a, "index"_a, "Lets these bytes answer for the path, but for updated rows.")
      .def("update", &RecordList::update, "row"_a, "document"_a, "Replaces one row's document; the indexes no longer know it.")
      .def(
          "evaluate", [](const RecordList& records, const Condition& condition) { return evaluate_list(condition, records); }, "filter"_a,
          "The rows that meet the condition, ascending, and what it took: rows_scanned, paths_indexed, paths_scanned.")
      .def(
          "estimate", [](const RecordList& records, const Condition& condition) { return estimate_list(condition, records); }, "filter"_a,
          "(low, likely, high) number of rows that meet the condition, from indexes alone.")
      .def("facet", &facet_list, "path"_a, "(value, rows) for each distinct scalar value at the path, most frequent first.")
      .def("order_by", &order_list, "path"_a, "descending"_a = false, "limit"_a = std::numeric_limits<std::size_t>::max(),
           "Rows by the number, datetime or string at the path; rows without one are left out.");

  m.def(
      "canonical_path", [](const std::string& path) { return Path::parse(path).text(); }, "path"_a,
      "The one spelling of a path by which field indexes are known. Raises InvalidArgument for a malformed one.");
  m.def("words_of", &words_of, "text"_a, "The words of a text as text conditions see them, folded.");
}

}  // namespace vicino::bind
