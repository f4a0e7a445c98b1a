#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

nb::ndarray<nb::numpy, float, nb::ndim<2>> pairwise_distances(const Array& queries, const Array& vectors, const std::string& metric_name, const std::string& kernel_set) {
  const Metric metric = parse_metric(metric_name);
  VectorBlock block = block_of(vectors, metric);
  check_queries(queries, block, metric);
  std::optional<Kernels> named;
  if (!kernel_set.empty()) named = kernels_of(kernel_set);
  auto result = new_matrix(queries.shape(0), block.rows, 0.0f);
  const nb::gil_scoped_release release;
  std::vector<float> inverse_norms(metric == Metric::cosine ? block.rows : 0);
  if (metric == Metric::cosine) {
    compute_inverse_norms(block, inverse_norms.data());
    block.inverse_norms = inverse_norms.data();
  }
  const std::size_t query_bytes = row_bytes(block.dtype == Dtype::float16 ? Dtype::float32 : block.dtype, block.dim);
  for (std::size_t q = 0; q < queries.shape(0); ++q) {
    const auto* query = static_cast<const std::uint8_t*>(queries.data()) + q * query_bytes;
    float* out = result.data() + q * block.rows;
    PreparedQuery(metric, block.dtype, block.dim, query, named ? *named : kernels()).distances(block, 0, block.rows, out);
    for (std::uint32_t i = 0; i < block.rows; ++i) out[i] = public_distance(metric, out[i]);
  }
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
  m.def("first_non_finite", &find_non_finite, "vectors"_a, "(row, position) of the first NaN or infinity, or None.");
}

}  // namespace vicino::bind
