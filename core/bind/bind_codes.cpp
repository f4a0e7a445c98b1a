// The nested code for tests, benchmarks and calibration.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <vector>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "codes/ladder.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

CodeLevel parse_level(int bits) {
  if (bits != 1 && bits != 4 && bits != 8) throw InvalidArgument("bits must be 1, 4 or 8, got " + std::to_string(bits));
  return static_cast<CodeLevel>(bits);
}

/// Rows and their planes, with the ladder that made them.
struct CodedRows {
  Ladder ladder;
  CodePlanes planes;
};

Ladder train(const Array& sample, const std::string& metric_name, bool blocks, bool low, std::uint32_t nav_dims, std::uint64_t seed, unsigned threads) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock block = block_of(sample, metric);
  const nb::gil_scoped_release release;
  return Ladder::train(block, metric, {blocks, low, nav_dims, seed}, threads, Cancel());
}

CodedRows encode(const Ladder& ladder, const Array& vectors, unsigned threads) {
  const VectorBlock block = block_of(vectors, ladder.transform().metric());
  const nb::gil_scoped_release release;
  return {ladder, ladder.encode(block, {}, threads, Cancel())};
}

nb::bytes plane(const CodedRows& rows, const std::string& name) {
  const CodeView& view = rows.planes.view;
  const auto bytes = [](const void* data, std::size_t size) { return nb::bytes(static_cast<const char*>(data), data ? size : 0); };
  if (name == "high") return bytes(view.high, view.rows * rows.ladder.stride());
  if (name == "low") return bytes(view.low, view.rows * rows.ladder.stride());
  if (name == "factors") return bytes(view.factors, view.rows * factor_bytes(view.format));
  if (name == "fine") return bytes(view.fine, view.rows * sizeof(RowFactors));
  if (name == "blocks") return bytes(view.blocks, rows.ladder.n_blocks(view.rows) * rows.ladder.block_bytes());
  throw InvalidArgument("plane must be one of high, low, factors, fine and blocks, got \"" + name + "\"");
}

using Matrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

/// Estimates of all rows for all queries by one level, and their bounds.
std::pair<Matrix, Matrix> estimates(const CodedRows& rows, const Array& queries, int bits) {
  const CodeLevel level = parse_level(bits);
  const Ladder& ladder = rows.ladder;
  const CodeView& view = rows.planes.view;
  check_queries(queries, {nullptr, 0, ladder.transform().dims(), Dtype::float32, nullptr}, ladder.transform().metric());
  if ((level == CodeLevel::bits8 && !view.low) || (level == CodeLevel::bits1 && !view.blocks))
    throw InvalidArgument("these rows have no codes of " + std::to_string(bits) + " bits; train with " +
                          (level == CodeLevel::bits8 ? "low" : "blocks") + "=True");
  const std::size_t n = view.rows;
  Matrix distances = new_matrix(queries.shape(0), n, 0.0f), errors = new_matrix(queries.shape(0), n, 0.0f);
  const nb::gil_scoped_release release;
  std::vector<std::uint32_t> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::uint32_t>(i);
  QueryState state;
  for (std::size_t q = 0; q < queries.shape(0); ++q) {
    float *out = distances.data() + q * n, *bounds = errors.data() + q * n;
    ladder.prepare(static_cast<const float*>(queries.data()) + q * ladder.transform().dims(), state);
    if (level == CodeLevel::bits4) ladder.score4(state, view, ids.data(), n, out);
    if (level == CodeLevel::bits8) ladder.score8(state, view, ids.data(), n, out);
    if (level == CodeLevel::bits1) {
      ladder.prepare_scan(state);
      float block[kCodeBlockRows];
      for (std::size_t first = 0; first < n; first += kCodeBlockRows) {
        ladder.scan1(state, view.blocks + first / kCodeBlockRows * ladder.block_bytes(), block, nullptr);
        std::copy_n(block, std::min<std::size_t>(kCodeBlockRows, n - first), out + first);
      }
    }
    for (std::size_t i = 0; i < n; ++i) bounds[i] = state.error_of(level, ladder.scale_of(view, level, ids[i]));
  }
  return {distances, errors};
}

/// Seconds for each of `repeats` calls of prepare, and per row of a scan in order: what benchmarks/kernels reports.
std::pair<double, double> timings(const CodedRows& rows, const Array& queries, std::size_t repeats) {
  const Ladder& ladder = rows.ladder;
  const CodeView& view = rows.planes.view;
  check_queries(queries, {nullptr, 0, ladder.transform().dims(), Dtype::float32, nullptr}, ladder.transform().metric());
  if (!queries.shape(0) || !view.rows || !repeats) throw InvalidArgument("timings need at least one query, one row and one repeat");
  const nb::gil_scoped_release release;
  using Clock = Cancel::Clock;
  QueryState state;
  std::vector<float> out(view.rows);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < repeats; ++i)
    ladder.prepare(static_cast<const float*>(queries.data()) + i % queries.shape(0) * ladder.transform().dims(), state);
  const auto prepared = Clock::now();
  for (std::size_t i = 0; i < repeats; ++i) ladder.score4_block(state, view, 0, view.rows, out.data());
  const auto scored = Clock::now();
  const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
  return {seconds(prepared - start) / static_cast<double>(repeats), seconds(scored - prepared) / static_cast<double>(repeats * view.rows)};
}

nb::bytes to_bytes(const Ladder& ladder) {
  const std::string bytes = ladder.to_bytes();
  return nb::bytes(bytes.data(), bytes.size());
}

Ladder from_bytes(const nb::bytes& bytes) {
  return Ladder::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "codes");
}

}  // namespace

void bind_codes(nb::module_& m) {
  nb::class_<CodedRows>(m, "CodedRows", "Rows as codes, made by CodeLadder.encode.")
      .def_prop_ro("factor_format", [](const CodedRows& rows) { return rows.planes.view.format == FactorFormat::float16 ? "float16" : "float32"; })
      .def("plane", &plane, "name"_a, "The bytes of one plane: high, low, factors, fine or blocks; empty when it was not made.")
      .def("estimates", &estimates, "queries"_a, "bits"_a, "(distances, bounds): two (n queries, n rows) float32 matrices; l2 distances are squared.")
      .def("timings", &timings, "queries"_a, "repeats"_a, "Mean seconds of preparing a query, and of one row in a scan of the 4-bit codes.");
  nb::class_<Ladder>(m, "CodeLadder", "The nested code of 1, 4 and 8 bits, trained on a sample.")
      .def_static("train", &train, "sample"_a, "metric"_a, nb::kw_only(), "blocks"_a = false, "low"_a = false, "nav_dims"_a = 0, "seed"_a = 0, "threads"_a = 1,
                  "Rotation, mean and error bounds from float32 or float16 rows. nav_dims: leading principal dimensions to code; 0 decides, dim codes all.")
      .def_static("from_bytes", &from_bytes, "data"_a, "What to_bytes wrote; CorruptionError for anything else.")
      .def("to_bytes", &to_bytes, "The trained numbers, without any row.")
      .def("encode", &encode, "vectors"_a, nb::kw_only(), "threads"_a = 1, "Codes of all rows.")
      .def_prop_ro("code_dims", &Ladder::code_dims)
      .def_prop_ro("energy", [](const Ladder& ladder) { return ladder.transform().energy(); })
      .def_prop_ro("stride", &Ladder::stride)
      .def_prop_ro("block_bytes", &Ladder::block_bytes);
}

}  // namespace vicino::bind
