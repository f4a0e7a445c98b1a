#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/search_arrays.h"
#include "index/hnsw.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

nb::bytes build(const Array& vectors, const std::string& metric_name, std::uint32_t m, std::uint32_t ef_construct, std::uint64_t seed,
                unsigned threads, const std::optional<Mask>& present, std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  std::vector<std::uint8_t> built;
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    const std::vector<std::uint32_t> rows = rows_of(present, block.rows);
    built = build_hnsw(block, rows, metric, {m, ef_construct, seed}, threads, cancel, nullptr);
  }
  return nb::bytes(built.data(), built.size());
}

/// An hnsw with its vectors, held open for search after search. The bytes of a Python object begin at a multiple of eight.
class SearchableHnsw {
 public:
  SearchableHnsw(nb::bytes bytes, Array vectors, const std::string& metric_name)
      : bytes_(std::move(bytes)), array_(std::move(vectors)), metric_(parse_metric(metric_name)), held_(block_of(array_, metric_), metric_),
        hnsw_(Hnsw::open(Blob({reinterpret_cast<const std::uint8_t*>(bytes_.data()), bytes_.size()}, nullptr), held_.block().rows).in_memory()) {}

  nb::tuple search(const Array& queries, std::size_t k, std::size_t ef, const std::optional<Mask>& allowed, std::optional<double> timeout_s) const {
    SearchStats stats;
    const auto [rows, distances] = search_each(
        held_, metric_, queries, k, allowed, timeout_s, [&](const PreparedQuery& query, const std::uint64_t* bits, TopK& nearest, const Cancel& cancel) {
          hnsw_.search(query, held_.block(), bits, ef, nearest, stats, cancel);
        });
    return nb::make_tuple(rows, distances, stats.rows_scored, stats.rescored, stats.hops);
  }

  nb::list layer_nodes() const {
    nb::list counts;
    if (hnsw_.n_layers()) counts.append(hnsw_.graph().n_nodes());
    for (std::uint32_t layer = 1; layer < hnsw_.n_layers(); ++layer) counts.append(hnsw_.upper_layers().n_nodes(layer));
    return counts;
  }
  nb::list links(std::uint32_t layer) const {
    if (layer >= hnsw_.n_layers())
      throw InvalidArgument("layer must be below " + std::to_string(hnsw_.n_layers()) + ", got " + std::to_string(layer));
    nb::list all;
    const std::uint32_t count = layer ? hnsw_.upper_layers().n_nodes(layer) : hnsw_.graph().n_nodes();
    for (std::uint32_t node = 0; node < count; ++node) {
      nb::list own;
      for (const std::uint32_t to : layer ? hnsw_.upper_layers().links_of(layer, node) : hnsw_.graph().links_of(node)) own.append(to);
      all.append(own);
    }
    return all;
  }
  void verify() const { hnsw_.verify(); }
  std::size_t hot_bytes() const { return hnsw_.hot_bytes(); }

 private:
  nb::bytes bytes_;
  Array array_;
  Metric metric_;
  NormedBlock held_;
  Hnsw hnsw_;
};

std::size_t build_bytes(std::uint32_t n_rows, std::uint32_t dim, const std::string& dtype, std::uint32_t m, std::uint32_t ef_construct, unsigned threads) {
  for (const Dtype known : {Dtype::float32, Dtype::float16, Dtype::int8, Dtype::uint8, Dtype::binary})
    if (dtype == name_of(known)) return hnsw_build_bytes(n_rows, dim, known, {m, ef_construct, 0}, threads);
  throw InvalidArgument("dtype must be one of float32, float16, int8, uint8 and binary, got \"" + dtype + "\"");
}

}  // namespace

void bind_hnsw(nb::module_& m) {
  nb::class_<SearchableHnsw>(m, "SearchableHnsw", "A hierarchical graph with its vectors, opened once; for tests and measurements.")
      .def(nb::init<nb::bytes, Array, const std::string&>(), "hnsw"_a, "vectors"_a, "metric"_a)
      .def("search", &SearchableHnsw::search, "queries"_a, "k"_a, "ef"_a, "allowed"_a = nb::none(), "timeout_s"_a = nb::none(),
           "Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together.")
      .def("links", &SearchableHnsw::links, "layer"_a, "Of each node of a layer the nodes it links to; layer 0 is the base.")
      .def("verify", &SearchableHnsw::verify, "Checks every byte; raises CorruptionError.")
      .def_prop_ro("layer_nodes", &SearchableHnsw::layer_nodes, "Nodes of each layer, the base first.")
      .def_prop_ro("hot_bytes", &SearchableHnsw::hot_bytes, "What a search reads.");
  m.def("build_hnsw", &build, "vectors"_a, "metric"_a, "m"_a = 16, "ef_construct"_a = 200, "seed"_a = 0, "threads"_a = 1,
        "present"_a = nb::none(), "timeout_s"_a = nb::none(), "The hierarchical graph over the vectors whose `present` is true (default: all), as bytes.");
  m.def("hnsw_build_bytes", &build_bytes, "n_rows"_a, "dim"_a, "dtype"_a, "m"_a = 16, "ef_construct"_a = 200, "threads"_a = 1,
        "Upper bound of the memory a build allocates, its result included, the vectors not.");
}

}  // namespace vicino::bind
