#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "kernels/coded_rows.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

std::vector<std::uint8_t> coded_rows(const VectorBlock& block) {
  if (!is_float(block.dtype)) throw InvalidArgument(std::string("only rows of floats are coded, got ") + name_of(block.dtype));
  const std::size_t width = coded_row_bytes(block.dim);
  std::vector<std::uint8_t> rows(block.rows * width);
  std::vector<float> values(block.dim);
  for (std::uint32_t i = 0; i < block.rows; ++i) {
    read_row(block.dtype, block.row(i), block.dim, values.data());
    encode_coded_row(values.data(), block.dim, rows.data() + i * width);
  }
  return rows;
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> pairwise_distances(const Array& queries, const Array& vectors, const std::string& metric_name, const std::string& kernel_set) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock given = block_of(vectors, metric);
  check_queries(queries, given, metric);
  std::optional<Kernels> named;
  if (!kernel_set.empty()) named = kernels_of(kernel_set);
  auto result = new_matrix(queries.shape(0), given.rows, 0.0f);
  const nb::gil_scoped_release release;
  const NormedBlock normed(given, metric);
  const VectorBlock& block = normed.block();
  const std::size_t query_bytes = row_bytes(block.dtype == Dtype::float16 ? Dtype::float32 : block.dtype, block.dim);
  for (std::size_t q = 0; q < queries.shape(0); ++q) {
    const auto* query = static_cast<const std::uint8_t*>(queries.data()) + q * query_bytes;
    float* out = result.data() + q * block.rows;
    PreparedQuery(metric, block.dtype, block.dim, query, named ? *named : kernels()).distances(block, 0, block.rows, out);
    for (std::uint32_t i = 0; i < block.rows; ++i) out[i] = public_distance(metric, out[i]);
  }
  return result;
}

/// The distances of the rows after they were coded.
nb::ndarray<nb::numpy, float, nb::ndim<2>> coded_distances(const Array& queries, const Array& vectors, const std::string& metric_name, const std::string& kernel_set) {
  const Metric metric = parse_metric(metric_name);
  const VectorBlock given = block_of(vectors, metric);
  check_queries(queries, given, metric);
  const std::vector<std::uint8_t> rows = coded_rows(given);
  std::optional<Kernels> named;
  if (!kernel_set.empty()) named = kernels_of(kernel_set);
  auto result = new_matrix(queries.shape(0), given.rows, 0.0f);
  const nb::gil_scoped_release release;
  const NormedBlock normed({rows.data(), given.rows, given.dim, Dtype::coded, nullptr}, metric);
  const VectorBlock& block = normed.block();
  for (std::size_t q = 0; q < queries.shape(0); ++q) {
    float* out = result.data() + q * block.rows;
    const float* query = static_cast<const float*>(queries.data()) + q * block.dim;
    PreparedQuery(metric, given.dtype, block.dim, query, named ? *named : kernels()).distances(block, 0, block.rows, out);
    for (std::uint32_t i = 0; i < block.rows; ++i) out[i] = public_distance(metric, out[i]);
  }
  return result;
}

nb::bytes encode_rows(const Array& vectors) {
  const std::vector<std::uint8_t> rows = coded_rows(block_of(vectors, Metric::l2));
  return nb::bytes(rows.data(), rows.size());
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> decode_rows(const nb::bytes& rows, std::uint32_t dim) {
  const std::size_t width = coded_row_bytes(dim);
  if (dim == 0 || rows.size() % width) throw InvalidArgument(std::to_string(rows.size()) + " bytes are no coded rows of " + std::to_string(dim) + " dimensions");
  auto result = new_matrix(rows.size() / width, dim, 0.0f);
  for (std::size_t i = 0; i < rows.size() / width; ++i)
    decode_coded_row(reinterpret_cast<const std::uint8_t*>(rows.data()) + i * width, dim, result.data() + i * dim);
  return result;
}

nb::object find_non_finite(const Array& vectors) {
  const VectorBlock block = block_of(vectors, Metric::l2);
  std::optional<std::pair<std::uint32_t, std::uint32_t>> found;
  {
    const nb::gil_scoped_release release;
    found = first_non_finite(block);
  }
  return found ? nb::cast(*found) : nb::none();
}

}  // namespace

void bind_kernels(nb::module_& m) {
  kernels();  // a wrong VICINO_KERNELS is an error of the import, not of some later search
  m.def("kernel_sets", &supported_kernel_sets, "Names of the kernel sets this machine can run, simplest first.");
  m.def("active_kernels", &active_kernels, "(kernel, set it comes from) for the kernels in use.");
  m.def("pairwise_distances", &pairwise_distances, "queries"_a, "vectors"_a, "metric"_a, "kernel_set"_a = "",
        "Public distances of every query to every vector, (n queries, n vectors) float32, by the kernels of one set or those in use.");
  m.def("encode_rows", &encode_rows, "vectors"_a, "Rows of floats in 8 bits a number, as segments keep them without raw vectors.");
  m.def("decode_rows", &decode_rows, "rows"_a, "dim"_a, "What `encode_rows` kept of them.");
  m.def("coded_distances", &coded_distances, "queries"_a, "vectors"_a, "metric"_a, "kernel_set"_a = "", "As pairwise_distances, to the rows after they were coded.");
  m.def("first_non_finite", &find_non_finite, "vectors"_a, "(row, position) of the first NaN or infinity, or None.");
}

}  // namespace vicino::bind
