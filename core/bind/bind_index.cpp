#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/search_arrays.h"
#include "index/graph.h"
#include "index/scan.h"
#include "index/two_hop.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

nb::tuple exact_search(const Array& vectors, const Array& queries, std::size_t k, const std::string& metric_name,
                       const std::optional<Mask>& allowed, std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  check_k(k);
  const NormedBlock held(block_of(vectors, metric), metric);
  check_queries(queries, held.block(), metric);
  const NumpyMatrix<std::int64_t> rows(queries.shape(0), k, -1);
  const NumpyMatrix<float> distances(queries.shape(0), k, __builtin_inff());
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    const auto bits = bits_of(allowed, held.block().rows);
    const auto prepared = prepare(queries, held.block(), metric);
    std::vector<TopK> nearest(prepared.size(), TopK(k));
    scan_batch(prepared, held.block(), 0, allowed ? bits.data() : nullptr, nearest, cancel);
    for (std::size_t q = 0; q < nearest.size(); ++q) write_hits(std::move(nearest[q]), metric, rows.data() + q * k, distances.data() + q * k);
  }
  return nb::make_tuple(rows.array(), distances.array());
}

nb::bytes build(const Array& vectors, const std::string& metric_name, unsigned threads, std::uint64_t seed, std::uint32_t links,
                const std::optional<Mask>& present, std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  std::vector<std::uint8_t> graph;
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    const std::vector<std::uint32_t> rows = rows_of(present, block.rows);
    GraphParams params;
    params.seed = seed;
    params.links = links;
    graph = build_graph(block, rows, metric, params, threads, cancel, nullptr);
  }
  return nb::bytes(graph.data(), graph.size());
}

/// A graph over the bytes of a Python object, which must outlive it. Such bytes begin at a multiple of eight.
Graph open(const nb::bytes& bytes, std::uint32_t n_rows) {
  return Graph::open(Blob({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, nullptr), n_rows);
}

nb::tuple graph_search(const nb::bytes& bytes, const Array& vectors, const Array& queries, std::size_t k, std::size_t ef,
                       const std::string& metric_name, const std::optional<Mask>& allowed, std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  const NormedBlock held(block_of(vectors, metric), metric);
  const Graph graph = open(bytes, held.block().rows);
  SearchStats stats;
  const auto [rows, distances] = search_each(
      held, metric, queries, k, allowed, timeout_s, [&](const PreparedQuery& query, const std::uint64_t* bits, TopK& nearest, const Cancel& cancel) {
        graph.search(query, held.block(), bits, std::max(ef, k), nearest, stats, cancel);
      });
  return nb::make_tuple(rows, distances, stats.rows_scored);
}

/// A graph and its vectors, held open for search after search as a segment holds them.
class SearchableGraph {
 public:
  SearchableGraph(nb::bytes bytes, Array vectors, const std::string& metric_name)
      : bytes_(std::move(bytes)), array_(std::move(vectors)), metric_(parse_metric(metric_name)), held_(block_of(array_, metric_), metric_),
        graph_(open(bytes_, held_.block().rows).in_memory()) {}

  nb::tuple search(const Array& queries, std::size_t k, std::size_t ef, const std::optional<Mask>& allowed, double share,
                   std::optional<std::uint64_t> scored_max) const {
    const WalkLimits limits{share, scored_max.value_or(~std::uint64_t{0})};
    return search_each(queries, k, allowed, [&](const Asked& asked, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
      return graph_.search(asked.query, held_.block(), asked.allowed, ef, nearest, stats, cancel, 0, limits);
    });
  }

  nb::tuple search_two_hop(const Array& queries, std::size_t k, std::size_t ef, const Mask& allowed) const {
    return search_each(queries, k, allowed, [&](const Asked& asked, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
      vicino::search_two_hop(graph_, asked.query, held_.block(), asked.allowed, asked.candidates, ef, nearest, stats, cancel);
      return WalkEnd::finished;
    });
  }

  nb::tuple scan(const Array& queries, std::size_t k, const std::optional<Mask>& allowed) const {
    return search_each(queries, k, allowed, [&](const Asked& asked, TopK& nearest, SearchStats& stats, const Cancel& cancel) {
      graph_.scan(asked.query, held_.block(), asked.allowed, asked.candidates, nearest, stats, cancel);
      return WalkEnd::finished;
    });
  }

  std::size_t hot_bytes() const { return graph_.hot_bytes(); }

 private:
  struct Asked {
    const PreparedQuery& query;
    const std::uint64_t* allowed;
    std::size_t candidates;  // rows that are allowed
  };

  /// Asks query after query; `ask` returns how its search ended.
  template <class Ask>
  nb::tuple search_each(const Array& queries, std::size_t k, const std::optional<Mask>& allowed, Ask&& ask) const {
    SearchStats stats;
    std::uint64_t n_opposed = 0, n_over_budget = 0;
    std::size_t candidates = allowed ? 0 : held_.block().rows;
    if (allowed) candidates = static_cast<std::size_t>(std::count(allowed->data(), allowed->data() + allowed->shape(0), true));
    const auto [rows, distances] = bind::search_each(
        held_, metric_, queries, k, allowed, std::nullopt,
        [&](const PreparedQuery& query, const std::uint64_t* bits, TopK& nearest, const Cancel& cancel) {
          const WalkEnd end = ask(Asked{query, bits, candidates}, nearest, stats, cancel);
          n_opposed += end == WalkEnd::opposed;
          n_over_budget += end == WalkEnd::over_budget;
        });
    return nb::make_tuple(rows, distances, stats.rows_scored, stats.rescored, stats.hops, n_opposed, n_over_budget);
  }

  nb::bytes bytes_;
  Array array_;
  Metric metric_;
  NormedBlock held_;
  Graph graph_;
};

nb::dict graph_stats(const nb::bytes& bytes, std::uint32_t n_rows) {
  const Graph graph = open(bytes, n_rows);
  graph.verify();
  std::uint64_t n_links = 0;
  for (std::uint32_t node = 0; node < graph.n_nodes(); ++node) n_links += graph.links_of(node).size();
  nb::dict stats;
  stats["nodes"] = graph.n_nodes();
  stats["entries"] = graph.n_entries();
  stats["links"] = n_links;
  stats["link_factor_bytes"] = graph.link_factor_bytes();
  stats["bytes"] = graph.size_bytes();
  return stats;
}

std::size_t build_bytes(std::uint32_t n_rows, std::uint32_t dim, const std::string& dtype, unsigned threads) {
  for (const Dtype known : {Dtype::float32, Dtype::float16, Dtype::int8, Dtype::uint8, Dtype::binary})
    if (dtype == name_of(known)) return graph_build_bytes(n_rows, dim, known, {}, threads);
  throw InvalidArgument("dtype must be one of float32, float16, int8, uint8 and binary, got \"" + dtype + "\"");
}

}  // namespace

void bind_index(nb::module_& m) {
  nb::class_<SearchableGraph>(m, "SearchableGraph", "A graph with its vectors, opened once; for measurements.")
      .def(nb::init<nb::bytes, Array, const std::string&>(), "graph"_a, "vectors"_a, "metric"_a)
      .def("search", &SearchableGraph::search, "queries"_a, "k"_a, "ef"_a, "allowed"_a = nb::none(), "share"_a = 0.0,
           "scored_max"_a = nb::none(),
           "Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together; how many "
           "walks gave up because their filter was opposed (`share`, of matching rows, 0: not watched), and because of `scored_max`.")
      .def("search_two_hop", &SearchableGraph::search_two_hop, "queries"_a, "k"_a, "ef"_a, "allowed"_a, "The same by a walk over matching rows.")
      .def("scan", &SearchableGraph::scan, "queries"_a, "k"_a, "allowed"_a = nb::none(), "The same by the codes of all allowed rows.")
      .def_prop_ro("hot_bytes", &SearchableGraph::hot_bytes, "What a walk reads.");
  m.def("exact_search", &exact_search, "vectors"_a, "queries"_a, "k"_a, "metric"_a, "allowed"_a = nb::none(), "timeout_s"_a = nb::none(),
        "Rows (n, k) int64 and public distances (n, k) float32, nearest first; padded with -1 and +inf.");
  m.def("build_graph", &build, "vectors"_a, "metric"_a, "threads"_a = 1, "seed"_a = 0, "links"_a = 32, "present"_a = nb::none(),
        "timeout_s"_a = nb::none(), "The graph over the vectors whose `present` is true (default: all), as bytes.");
  m.def("graph_search", &graph_search, "graph"_a, "vectors"_a, "queries"_a, "k"_a, "ef"_a, "metric"_a, "allowed"_a = nb::none(),
        "timeout_s"_a = nb::none(), "As exact_search, and the number of rows scored for all queries together.");
  m.def("graph_stats", &graph_stats, "graph"_a, "n_rows"_a, "Checks every byte of a graph and counts; raises CorruptionError.");
  m.def("graph_build_bytes", &build_bytes, "n_rows"_a, "dim"_a, "dtype"_a, "threads"_a = 1,
        "Upper bound of the memory a build allocates, its result included, the vectors not.");
}

}  // namespace vicino::bind
