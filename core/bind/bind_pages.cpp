// Graphs that are walked from disk: their blocks in the making, and searches of them over plain arrays, for tests and measurements.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "bind/search_arrays.h"
#include "bind/shard_types.h"
#include "index/page_graph.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

/// A buffer that a Python object owns; such bytes begin at a multiple of eight.
Blob blob_over(const nb::bytes& bytes) { return {{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, nullptr}; }

/// Writes into a new bytes object without Python's lock.
template <class Write>
nb::bytes written(std::size_t size, Write&& write) {
  nb::bytes out = nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
  if (!out.is_valid()) throw std::bad_alloc();
  auto* at = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(out.ptr()));
  const nb::gil_scoped_release release;
  write(at);
  return out;
}

/// The blocks of a graph that was just built over a vector of a sealed segment.
class GraphPages {
 public:
  GraphPages(std::shared_ptr<Snapshot> snapshot, std::uint64_t key, std::uint32_t slot, nb::bytes graph)
      : snapshot_(std::move(snapshot)), bytes_(std::move(graph)), graph_(Graph::open(blob_over(bytes_), segment_at(*snapshot_, key).size())),
        writer_(graph_, block_of_slot(segment_at(*snapshot_, key), slot)) {}

  std::uint32_t block_bytes() const { return writer_.block_bytes(); }
  std::uint32_t n_nodes() const { return graph_.n_nodes(); }
  nb::bytes header() const {
    return written(kPageBytes, [&](std::uint8_t* out) { writer_.write_header(out); });
  }
  nb::bytes blocks(std::uint32_t first, std::uint32_t count) const {
    if (first > graph_.n_nodes() || count > graph_.n_nodes() - first)
      throw InvalidArgument("blocks " + std::to_string(first) + " to " + std::to_string(std::uint64_t{first} + count) + " of " + std::to_string(graph_.n_nodes()));
    return written(std::size_t{count} * block_bytes(), [&](std::uint8_t* out) { writer_.write_blocks(first, count, out); });
  }

 private:
  static VectorBlock block_of_slot(const Segment& segment, std::uint32_t slot) {
    const auto chunks = segment.chunks(slot);
    if (chunks.empty()) throw InvalidArgument("the segment has no vectors in slot " + std::to_string(slot));
    return chunks[0].block;
  }

  std::shared_ptr<Snapshot> snapshot_;  // whose segment holds the rows
  nb::bytes bytes_;
  Graph graph_;
  PageWriter writer_;
};

nb::bytes build_pages(const nb::bytes& graph_bytes, const Array& vectors, const std::string& metric) {
  const Metric parsed = parse_metric(metric);
  const NormedBlock held(block_of(vectors, parsed), parsed);
  const Graph graph = Graph::open(blob_over(graph_bytes), held.block().rows);
  const PageWriter writer(graph, held.block());
  return written(kPageBytes + std::size_t{graph.n_nodes()} * writer.block_bytes(), [&](std::uint8_t* out) {
    writer.write_header(out);
    writer.write_blocks(0, graph.n_nodes(), out + kPageBytes);
  });
}

/// Blocks with their graph and its vectors, held open for search after search.
class SearchablePages {
 public:
  SearchablePages(nb::bytes graph, nb::bytes pages, Array vectors, const std::string& metric)
      : graph_bytes_(std::move(graph)), pages_bytes_(std::move(pages)), array_(std::move(vectors)), metric_(parse_metric(metric)),
        held_(block_of(array_, metric_), metric_), graph_(Graph::open(blob_over(graph_bytes_), held_.block().rows)),
        pages_(PageGraph::open(blob_over(pages_bytes_), graph_)) {}

  nb::tuple search(const Array& queries, std::size_t k, std::size_t ef, const std::optional<Mask>& allowed, double share) const {
    SearchStats stats;
    std::uint64_t n_opposed = 0;
    const auto [rows, distances] = search_each(
        held_, metric_, queries, k, allowed, std::nullopt,
        [&](const PreparedQuery& query, const std::uint64_t* bits, TopK& nearest, const Cancel& cancel) {
          n_opposed += pages_.search(graph_, query, held_.block(), bits, std::max(ef, k), nearest, stats, cancel, 0, {share}) == WalkEnd::opposed;
        });
    return nb::make_tuple(rows, distances, stats.rows_scored, stats.rescored, stats.hops, n_opposed);
  }
  void verify() const { pages_.verify(graph_, held_.block()); }

 private:
  nb::bytes graph_bytes_, pages_bytes_;
  Array array_;
  Metric metric_;
  NormedBlock held_;
  Graph graph_;
  PageGraph pages_;
};

}  // namespace

void bind_pages(nb::module_& m) {
  nb::class_<GraphPages>(m, "GraphPages", "The blocks of a graph that is to be walked from disk, made a part at a time.")
      .def(nb::init<std::shared_ptr<Snapshot>, std::uint64_t, std::uint32_t, nb::bytes>(), "snapshot"_a, "key"_a, "slot"_a, "graph"_a)
      .def_prop_ro("block_bytes", &GraphPages::block_bytes)
      .def_prop_ro("n_nodes", &GraphPages::n_nodes)
      .def("header", &GraphPages::header, "What stands before the blocks.")
      .def("blocks", &GraphPages::blocks, "first"_a, "count"_a);
  nb::class_<SearchablePages>(m, "SearchablePages", "Blocks of a graph, with it and its vectors, opened once; for tests and measurements.")
      .def(nb::init<nb::bytes, nb::bytes, Array, const std::string&>(), "graph"_a, "pages"_a, "vectors"_a, "metric"_a)
      .def("search", &SearchablePages::search, "queries"_a, "k"_a, "ef"_a, "allowed"_a = nb::none(), "share"_a = 0.0,
           "Rows and public distances as exact_search; rows scored, of these exactly, and nodes expanded, for all queries together; how many "
           "walks gave up because their filter was opposed (`share`, of matching rows, 0: not watched).")
      .def("verify", &SearchablePages::verify, "Compares every block with what graph and vectors make; raises CorruptionError.");
  m.def("build_graph_pages", &build_pages, "graph"_a, "vectors"_a, "metric"_a, "The blocks of a graph, as bytes.");
}

}  // namespace vicino::bind
