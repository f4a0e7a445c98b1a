#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/piece_writing.h"
#include "bind/search_arrays.h"
#include "ivf/ivf.h"
#include "ivf/kmeans.h"
#include "ivf/list_plan.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

IvfKind parse_kind(const std::string& name) {
  for (const IvfKind kind : {IvfKind::flat, IvfKind::coded, IvfKind::pq, IvfKind::opq})
    if (name == name_of(kind)) return kind;
  throw InvalidArgument("kind must be one of flat, coded, pq and opq, got \"" + name + "\"");
}

CentroidGraph parse_graph(std::optional<bool> graph) {
  if (!graph) return CentroidGraph::automatic;
  return *graph ? CentroidGraph::yes : CentroidGraph::no;
}

/// Lists over the bytes of a Python object, which must outlive them. Such bytes begin at a multiple of eight.
Ivf open(const nb::bytes& bytes, std::uint32_t n_rows) {
  return Ivf::open(Blob({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, nullptr), n_rows);
}

nb::bytes build(const Array& vectors, const std::string& metric_name, const std::string& kind, std::uint32_t nlist, std::optional<bool> graph,
                std::uint32_t subvectors, std::uint32_t bits, std::uint32_t copies, std::uint64_t seed, unsigned threads,
                const std::optional<Mask>& present, const std::optional<nb::bytes>& trained, std::uint32_t trained_rows,
                std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  const IvfParams params{parse_kind(kind), nlist, parse_graph(graph), subvectors, bits, copies, seed};
  const std::optional<Ivf> lender = trained ? std::optional(open(*trained, trained_rows)) : std::nullopt;
  std::vector<std::uint8_t> built;
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    const std::vector<std::uint32_t> rows = rows_of(present, block.rows);
    built = build_ivf(block, rows, metric, params, threads, cancel, nullptr, lender ? &*lender : nullptr);
  }
  return nb::bytes(built.data(), built.size());
}

/// The same handed on piece by piece.
void write(const Array& vectors, const std::string& metric_name, const nb::callable& put, const std::string& kind, std::uint32_t nlist,
           std::optional<bool> graph, std::uint32_t subvectors, std::uint32_t bits, std::uint32_t copies, std::uint64_t seed, unsigned threads) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  const IvfParams params{parse_kind(kind), nlist, parse_graph(graph), subvectors, bits, copies, seed};
  const nb::gil_scoped_release release;
  const Cancel cancel;
  PieceWriter out = writer_of(put);
  write_ivf(block, rows_of(std::nullopt, block.rows), metric, params, threads, cancel, nullptr, nullptr, out);
}

/// The same with rows in the order of the lists, as segments have them: the bytes, and which vector is which row.
nb::tuple build_in_order(const Array& vectors, const std::string& metric_name, const std::string& kind, std::uint32_t nlist, std::optional<bool> graph,
                         std::uint32_t subvectors, std::uint32_t bits, std::uint32_t copies, std::uint64_t seed, unsigned threads,
                         std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(vectors, metric);
  const IvfParams params{parse_kind(kind), nlist, parse_graph(graph), subvectors, bits, copies, seed};
  auto order = new_matrix(block.rows, 1, std::int64_t{0});
  std::vector<std::uint8_t> built;
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    std::vector<std::uint32_t> rows(block.rows);
    std::iota(rows.begin(), rows.end(), 0u);
    ListPlan plan = plan_lists(VectorRows(block), rows, metric, params, threads, cancel, nullptr, nullptr);
    const std::size_t width = row_bytes(block.dtype, block.dim);
    std::vector<std::uint8_t> moved(block.rows * width);
    for (std::size_t row = 0; row < block.rows; ++row) {
      order.data()[row] = plan.lists.rows[row];
      std::memcpy(moved.data() + row * width, block.row(plan.lists.rows[row]), width);
    }
    std::iota(plan.lists.rows.begin(), plan.lists.rows.end(), 0u);
    const VectorBlock ordered{moved.data(), block.rows, block.dim, block.dtype, nullptr};
    built = gathered([&](PieceWriter& out) { write_ivf(ordered, std::move(plan), metric, params, threads, cancel, out); });
  }
  return nb::make_tuple(nb::bytes(built.data(), built.size()), order);
}

/// Inverted lists and their vectors, held open for search after search.
class IvfIndex {
 public:
  IvfIndex(nb::bytes bytes, Array vectors, const std::string& metric_name)
      : bytes_(std::move(bytes)), array_(std::move(vectors)), metric_(parse_metric(metric_name)), held_(block_of(array_, metric_), metric_),
        ivf_(open(bytes_, held_.block().rows)) {}

  nb::tuple search(const Array& queries, std::size_t k, std::size_t nprobe, std::size_t rescore, const std::optional<Mask>& allowed,
                   std::optional<double> timeout_s) const {
    check_k(k);
    check_queries(queries, held_.block(), metric_);
    const NumpyMatrix<std::int64_t> rows(queries.shape(0), k, -1);
    const NumpyMatrix<float> distances(queries.shape(0), k, __builtin_inff());
    SearchStats stats;
    {
      const nb::gil_scoped_release release;
      const Cancel cancel(timeout_s);
      const auto bits = bits_of(allowed, held_.block().rows);
      const auto prepared = prepare(queries, held_.block(), metric_);
      std::vector<TopK> nearest(prepared.size(), TopK(k));
      ivf_.search_batch(prepared, held_.block(), allowed ? bits.data() : nullptr, {nprobe, rescore}, nearest, stats, cancel);
      for (std::size_t q = 0; q < nearest.size(); ++q) write_hits(std::move(nearest[q]), metric_, rows.data() + q * k, distances.data() + q * k);
    }
    nb::dict counts;
    counts["rows_scored"] = stats.rows_scored;
    counts["rescored"] = stats.rescored;
    counts["lists"] = stats.hops;
    return nb::make_tuple(rows.array(), distances.array(), counts);
  }
  void verify() const { ivf_.verify(); }
  const Ivf& ivf() const { return ivf_; }

 private:
  nb::bytes bytes_;
  Array array_;
  Metric metric_;
  NormedBlock held_;
  Ivf ivf_;
};

std::size_t build_bytes(std::uint32_t n_rows, std::uint32_t dim, const std::string& dtype, const std::string& metric, const std::string& kind,
                        std::uint32_t nlist, std::optional<bool> graph, std::uint32_t subvectors, std::uint32_t bits, std::uint32_t copies,
                        unsigned threads) {
  const IvfParams params{parse_kind(kind), nlist, parse_graph(graph), subvectors, bits, copies, 0};
  for (const Dtype known : {Dtype::float32, Dtype::float16, Dtype::int8, Dtype::uint8, Dtype::binary})
    if (dtype == name_of(known)) return ivf_build_bytes(n_rows, dim, known, parse_metric(metric), params, threads);
  throw InvalidArgument("dtype must be one of float32, float16, int8, uint8 and binary, got \"" + dtype + "\"");
}

/// Clusters in the space of the metric, as the lists of an index without cuts.
nb::tuple kmeans(const Array& vectors, std::uint32_t k, const std::string& metric_name, std::uint64_t seed, unsigned threads,
                 std::optional<double> timeout_s) {
  const Metric metric = parse_metric(metric_name);
  if (metric == Metric::dot || metric == Metric::hamming || metric == Metric::jaccard)
    throw InvalidArgument("k-means needs cosine, l2 or l1, got " + metric_name);
  if (k < 1) throw InvalidArgument("k must be at least 1, got 0");
  const NormedBlock held(block_of(vectors, metric), metric);
  auto labels = new_matrix(held.block().rows, 1, std::int64_t{0});
  Centroids centroids;
  ClusterSpace space;
  {
    const nb::gil_scoped_release release;
    const Cancel cancel(timeout_s);
    std::vector<std::uint32_t> rows(held.block().rows);
    std::iota(rows.begin(), rows.end(), 0u);
    const VectorRows rows_of_block(held.block());
    space = ClusterSpace(rows_of_block, rows, metric, threads, cancel);
    const Points points = space.encode(rows_of_block, rows, threads, cancel);
    centroids = train_centroids(points, k, space.center(), seed, threads, cancel);
    const Assignment found = assign_points(points.view(), centroids.encode().view(), points.stride(), threads, cancel);
    for (std::size_t i = 0; i < found.nearest.size(); ++i) labels.data()[i] = found.nearest[i];
  }
  auto means = new_matrix(centroids.size(), space.dim(), 0.0f);
  const float factor = metric == Metric::cosine || space.unit() == 0 ? 1 : 1 / space.unit();
  for (std::size_t c = 0; c < centroids.size(); ++c)
    for (std::size_t at = 0; at < space.dim(); ++at)
      means.data()[c * space.dim() + at] = factor * (centroids.values_of(c)[at] + space.mean()[at]);
  return nb::make_tuple(means, labels);
}

}  // namespace

void bind_ivf(nb::module_& m) {
  nb::class_<IvfIndex>(m, "IvfIndex", "Inverted lists with their vectors, opened once; for tests and measurements.")
      .def(nb::init<nb::bytes, Array, const std::string&>(), "buffer"_a, "vectors"_a, "metric"_a)
      .def("search", &IvfIndex::search, "queries"_a, "k"_a, "nprobe"_a, "rescore"_a = 0, "allowed"_a = nb::none(), "timeout_s"_a = nb::none(),
           "Rows and public distances as exact_search, and counts for all queries together: rows_scored, rescored, lists.")
      .def("verify", &IvfIndex::verify, "Checks every byte; raises CorruptionError.")
      .def_prop_ro("kind", [](const IvfIndex& index) { return name_of(index.ivf().kind()); })
      .def_prop_ro("nlist", [](const IvfIndex& index) { return index.ivf().nlist(); })
      .def_prop_ro("n_entries", [](const IvfIndex& index) { return index.ivf().n_entries(); }, "Rows in lists, those in two lists twice.")
      .def_prop_ro("has_graph", [](const IvfIndex& index) { return index.ivf().has_centroid_graph(); })
      .def_prop_ro("size_bytes", [](const IvfIndex& index) { return index.ivf().size_bytes(); })
      .def_prop_ro("hot_bytes", [](const IvfIndex& index) { return index.ivf().hot_bytes(); }, "What scans read, the vectors apart.")
      .def_prop_ro("nprobe", [](const IvfIndex& index) { return index.ivf().nprobe(); },
                   "Lists to probe for a recall of 0.95 at 10, as measured when it was built; 0: not measured.")
      .def_prop_ro("imbalance", [](const IvfIndex& index) { return index.ivf().imbalance(); }, "1 when all lists are equally long.")
      .def_prop_ro("trained_distance", [](const IvfIndex& index) { return index.ivf().training().distance; },
                   "Mean squared distance from the centroid when the centroids were trained.")
      .def_prop_ro("mean_distance", [](const IvfIndex& index) { return index.ivf().mean_distance(); }, "The same of the rows that are there now.");
  m.def("build_ivf", &build, "vectors"_a, "metric"_a, "kind"_a = "flat", "nlist"_a = 0, "graph"_a = nb::none(), "subvectors"_a = 0, "bits"_a = 4,
        "copies"_a = 0, "seed"_a = 0, "threads"_a = 1, "present"_a = nb::none(), "trained"_a = nb::none(), "trained_rows"_a = 0,
        "timeout_s"_a = nb::none(),
        "Inverted lists over the vectors whose `present` is true (default: all), as bytes. `trained` is such an index over `trained_rows` rows "
        "that lends its centroids.");
  m.def("write_ivf", &write, "vectors"_a, "metric"_a, "write"_a, "kind"_a = "flat", "nlist"_a = 0, "graph"_a = nb::none(), "subvectors"_a = 0,
        "bits"_a = 4, "copies"_a = 0, "seed"_a = 0, "threads"_a = 1, "Calls `write` with these bytes, piece by piece.");
  m.def("build_ivf_in_order", &build_in_order, "vectors"_a, "metric"_a, "kind"_a = "flat", "nlist"_a = 0, "graph"_a = nb::none(), "subvectors"_a = 0,
        "bits"_a = 4, "copies"_a = 0, "seed"_a = 0, "threads"_a = 1, "timeout_s"_a = nb::none(),
        "Inverted lists over the vectors in the order of the lists, as bytes, and (n, 1) int64: which vector each row is.");
  m.def("ivf_build_bytes", &build_bytes, "n_rows"_a, "dim"_a, "dtype"_a, "metric"_a, "kind"_a = "flat", "nlist"_a = 0, "graph"_a = nb::none(),
        "subvectors"_a = 0, "bits"_a = 4, "copies"_a = 0, "threads"_a = 1,
        "Upper bound of the memory that writing an index allocates; neither the vectors nor what is written.");
  m.def("kmeans", &kmeans, "vectors"_a, "k"_a, "metric"_a = "l2", "seed"_a = 0, "threads"_a = 1, "timeout_s"_a = nb::none(),
        "About k centroids (k, dim) float32, unit vectors' means for cosine, and the centroid of each vector (n, 1) int64.");
}

}  // namespace vicino::bind
