// Codes of rows for scans, for tests and measurements.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/search_arrays.h"
#include "index/flat_codes.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

nb::bytes build(const Array& vectors, const std::string& metric_name, int bits, unsigned threads, const std::optional<Mask>& present) {
  if (bits != 1 && bits != 4 && bits != 8) throw InvalidArgument("bits must be 1, 4 or 8, got " + std::to_string(bits));
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  std::vector<std::uint8_t> built;
  {
    const nb::gil_scoped_release release;
    built = build_flat_codes(block, rows_of(present, block.rows), metric, static_cast<CodeLevel>(bits), threads, Cancel());
  }
  return nb::bytes(built.data(), built.size());
}

/// Codes and their vectors, held open for search after search.
class ScannableCodes {
 public:
  ScannableCodes(nb::bytes bytes, Array vectors, const std::string& metric_name)
      : bytes_(std::move(bytes)), array_(std::move(vectors)), metric_(parse_metric(metric_name)), held_(block_of(array_, metric_), metric_),
        codes_(FlatCodes::open(Blob({reinterpret_cast<const std::uint8_t*>(bytes_.data()), bytes_.size()}, nullptr), held_.block().rows)) {}

  nb::tuple search(const Array& queries, std::size_t k, float oversampling, const std::optional<Mask>& allowed) const {
    SearchStats stats;
    Rescoring rescoring;
    if (oversampling == 0) rescoring.by = Rescoring::By::estimates;
    if (oversampling > 0) rescoring = {Rescoring::By::count, static_cast<std::size_t>(std::ceil(oversampling * static_cast<float>(k)))};
    const auto [rows, distances] = search_each(
        held_, metric_, queries, k, allowed, std::nullopt,
        [&](const PreparedQuery& query, const std::uint64_t* bits, TopK& nearest, const Cancel& cancel) {
          codes_.search(query, held_.block(), bits, rescoring, nearest, stats, cancel);
        });
    return nb::make_tuple(rows, distances, stats.rows_scored, stats.rescored);
  }
  void verify() const { codes_.verify(); }

 private:
  nb::bytes bytes_;
  Array array_;
  Metric metric_;
  NormedBlock held_;
  FlatCodes codes_;
};

}  // namespace

void bind_flat_codes(nb::module_& m) {
  m.def("build_flat_codes", &build, "vectors"_a, "metric"_a, "bits"_a = 4, "threads"_a = 1, "present"_a = nb::none(),
        "The codes of all vectors up to so many bits, as bytes; trained on those that are `present`.");
  nb::class_<ScannableCodes>(m, "ScannableCodes", "Codes of rows with the rows.")
      .def(nb::init<nb::bytes, Array, const std::string&>(), "codes"_a, "vectors"_a, "metric"_a)
      .def("search", &ScannableCodes::search, "queries"_a, "k"_a, "oversampling"_a = -1.0f, "allowed"_a = nb::none(),
           "Rows and public distances as exact_search; rows scored, and of these exactly. oversampling: times k candidates are scored by the rows; "
           "below 0 as many as the bound leaves, 0 none.")
      .def("verify", &ScannableCodes::verify);
}

}  // namespace vicino::bind
