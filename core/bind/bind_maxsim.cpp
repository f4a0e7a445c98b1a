#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "maxsim/fixed_encoding.h"
#include "maxsim/pooling.h"
#include "maxsim/search.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

using Starts = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<bool, nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// Rows of tokens in one matrix: row i is tokens[starts[i] .. starts[i + 1]].
struct TokenRows {
  TokenRows(const Array& tokens, const Starts& starts, const std::string& metric_name) {
    const Metric metric = parse_metric(metric_name);
    const VectorBlock block = block_of(tokens, metric);
    spec = {block.dim, block.dtype, metric};
    check_multi_spec(spec);
    if (starts.size() == 0 || starts(0) != 0 || starts(starts.size() - 1) != static_cast<std::int64_t>(block.rows))
      throw InvalidArgument("starts must go from 0 to the number of tokens, " + std::to_string(block.rows));
    for (std::size_t i = 1; i < starts.size(); ++i)
      if (starts(i) < starts(i - 1)) throw InvalidArgument("starts must ascend, " + std::to_string(i) + " does not");
    n_rows = static_cast<std::uint32_t>(starts.size() - 1);
    value = [data = block.data, size = row_bytes(spec.dtype, spec.dim), at = starts.data()](std::uint32_t row) {
      return Bytes(data + static_cast<std::size_t>(at[row]) * size, static_cast<std::size_t>(at[row + 1] - at[row]) * size);
    };
  }
  MultiSpec spec;
  std::uint32_t n_rows;
  RowBytes value;
};

nb::bytes build(const Array& tokens, const Starts& starts, const std::string& metric, std::uint64_t lists_from_tokens, std::uint64_t seed,
                unsigned threads, std::optional<double> timeout_s) {
  const TokenRows rows(tokens, starts, metric);
  std::vector<std::uint8_t> image;
  {
    const nb::gil_scoped_release release;
    image = build_multi_index(rows.spec, rows.n_rows, rows.value, {lists_from_tokens, seed}, threads, Cancel(timeout_s));
  }
  return nb::bytes(image.data(), image.size());
}

struct Source {
  Array tokens;
  Starts starts;
  std::optional<nb::bytes> image;
  std::optional<Mask> mask;
  std::optional<TokenRows> rows;
  std::optional<MultiIndex> index;
  std::vector<std::uint64_t> allowed;

  Source(const nb::tuple& parts, const std::string& metric) {
    if (parts.size() != 4) throw InvalidArgument("a source is (tokens, starts, index or None, allowed or None)");
    tokens = nb::cast<Array>(parts[0]);
    starts = nb::cast<Starts>(parts[1]);
    rows.emplace(tokens, starts, metric);
    if (!parts[2].is_none()) {
      image = nb::cast<nb::bytes>(parts[2]);
      const Bytes bytes{reinterpret_cast<const std::uint8_t*>(image->data()), image->size()};
      index = MultiIndex::open(Blob(bytes, nullptr), rows->spec, rows->n_rows, "multi index");
    }
    if (parts[3].is_none()) return;
    mask = nb::cast<Mask>(parts[3]);
    if (mask->shape(0) != rows->n_rows)
      throw InvalidArgument("allowed has " + std::to_string(mask->shape(0)) + " values for " + std::to_string(rows->n_rows) + " rows");
    allowed.resize(rows->n_rows / 64 + std::size_t{1});  // never empty: without an address it would allow everything
    for (std::uint32_t row = 0; row < rows->n_rows; ++row) allowed[row / 64] |= std::uint64_t{mask->data()[row]} << (row % 64);
  }
  MultiSource view() const { return {rows->n_rows, rows->value, mask ? allowed.data() : nullptr, index ? &*index : nullptr}; }
};

nb::tuple search(const nb::list& sources, const Floats& query, std::size_t k, const std::string& metric, bool exact, std::uint32_t probes,
                 std::uint32_t shortlist, const std::string& kernel_set, std::optional<double> timeout_s) {
  std::vector<Source> held;
  for (const nb::handle source : sources) held.emplace_back(nb::cast<nb::tuple>(source), metric);
  if (held.empty()) throw InvalidArgument("a search needs at least one source");
  std::vector<MultiSource> views;
  for (const Source& source : held) {
    if (source.rows->spec != held[0].rows->spec) throw InvalidArgument("sources of one search have one dimension and one dtype");
    views.push_back(source.view());
  }
  const MultiSpec spec = held[0].rows->spec;
  if (query.shape(1) != spec.dim)
    throw InvalidArgument("tokens have " + std::to_string(spec.dim) + " dimensions, the query's " + std::to_string(query.shape(1)));
  std::optional<Kernels> named;
  if (!kernel_set.empty()) named = kernels_of(kernel_set);
  const MultiRequest request{k, exact, true, probes, shortlist};
  MultiStats stats;
  std::vector<MultiHit> hits;
  {
    const nb::gil_scoped_release release;
    hits = search_multi(spec, {query.data(), query.size()}, views, request, stats, Cancel(timeout_s), named ? *named : kernels());
  }
  auto rows = new_matrix(hits.size(), 2, std::int64_t{0});
  auto scores = new_matrix(1, hits.size(), 0.0f);
  auto tokens = new_matrix(hits.size(), query.shape(0) + 1, std::int32_t{0});
  for (std::size_t i = 0; i < hits.size(); ++i) {
    rows.data()[2 * i] = hits[i].source;
    rows.data()[2 * i + 1] = hits[i].row;
    scores.data()[i] = hits[i].score;
    std::int32_t* out = tokens.data() + i * (query.shape(0) + 1);
    *out = static_cast<std::int32_t>(hits[i].token);
    for (const std::uint32_t token : hits[i].tokens) *++out = static_cast<std::int32_t>(token);
  }
  nb::dict counted;
  counted["rows_scored"] = stats.rows_scored;
  counted["rows_rescored"] = stats.rows_rescored;
  counted["tokens_scored"] = stats.tokens_scored;
  counted["lists_probed"] = stats.lists_probed;
  return nb::make_tuple(rows, scores, tokens, counted);
}

void verify(const nb::bytes& image, std::uint32_t n_rows, std::uint32_t dim, const std::string& dtype, const std::string& metric) {
  for (const Dtype known : {Dtype::float32, Dtype::float16, Dtype::int8})
    if (dtype == name_of(known))
      return MultiIndex::open(Blob({reinterpret_cast<const std::uint8_t*>(image.data()), image.size()}, nullptr), {dim, known, parse_metric(metric)}, n_rows,
                              "multi index")
          .verify();
  throw InvalidArgument("dtype must be one of float32, float16 and int8, got \"" + dtype + "\"");
}

void check_tokens(const Floats& tokens) {
  if (tokens.shape(0) == 0 || tokens.shape(1) == 0) throw InvalidArgument("a multi-vector has at least one token of at least one dimension");
  if (const auto bad = first_non_finite({reinterpret_cast<const std::uint8_t*>(tokens.data()), static_cast<std::uint32_t>(tokens.shape(0)),
                                         static_cast<std::uint32_t>(tokens.shape(1)), Dtype::float32, nullptr}))
    throw InvalidArgument("token " + std::to_string(bad->first) + " holds NaN or an infinity at position " + std::to_string(bad->second));
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> to_matrix(const std::vector<float>& values, std::size_t width) {
  auto matrix = new_matrix(values.size() / width, width, 0.0f);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> pool(const Floats& tokens, std::uint32_t factor) {
  check_tokens(tokens);
  std::vector<float> pooled;
  {
    const nb::gil_scoped_release release;
    pooled = pool_tokens({tokens.data(), tokens.size()}, static_cast<std::uint32_t>(tokens.shape(1)), factor);
  }
  return to_matrix(pooled, tokens.shape(1));
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> encode(const FixedEncoding& encoding, std::uint32_t dim, const Floats& tokens, bool is_query) {
  check_tokens(tokens);
  if (tokens.shape(1) != dim)
    throw InvalidArgument("the encoding is of tokens of " + std::to_string(dim) + " dimensions, got " + std::to_string(tokens.shape(1)));
  std::vector<float> encoded;
  {
    const nb::gil_scoped_release release;
    const std::span<const float> values(tokens.data(), tokens.size());
    encoded = is_query ? encoding.query(values) : encoding.document(values);
  }
  return to_matrix(encoded, encoded.size());
}

/// An encoding and the dimension it takes.
struct Encoding {
  std::uint32_t dim;
  FixedEncoding encoding;
};

}  // namespace

void bind_maxsim(nb::module_& m) {
  m.def("pool_tokens", &pool, "tokens"_a, "factor"_a, "Means of ceil(n / factor) groups of near tokens, ordered by their first token.");
  nb::class_<Encoding>(m, "FixedEncoding", "One dense vector per multi-vector, as MUVERA makes them; see vicino.models.multi.")
      .def(
          "__init__",
          [](Encoding* self, std::uint32_t dim, std::uint32_t repetitions, std::uint32_t bits, std::uint32_t projected_dim, std::uint32_t final_dim,
             std::uint64_t seed) { new (self) Encoding{dim, FixedEncoding({dim, repetitions, bits, projected_dim, final_dim, seed})}; },
          "dim"_a, "repetitions"_a, "bits"_a, "projected_dim"_a, "final_dim"_a, "seed"_a)
      .def_prop_ro("size", [](const Encoding& self) { return self.encoding.size(); })
      .def("document", [](const Encoding& self, const Floats& tokens) { return encode(self.encoding, self.dim, tokens, false); }, "tokens"_a)
      .def("query", [](const Encoding& self, const Floats& tokens) { return encode(self.encoding, self.dim, tokens, true); }, "tokens"_a);
  m.def("build_multi_index", &build, "tokens"_a, "starts"_a, "metric"_a, "lists_from_tokens"_a = MultiIndexParams{}.lists_from_tokens, "seed"_a = 0, "threads"_a = 1,
        "timeout_s"_a = nb::none(), "The multi index, as bytes, of rows of tokens: row i is tokens[starts[i]:starts[i + 1]].");
  m.def("search_multi", &search, "sources"_a, "query"_a, "k"_a, "metric"_a, "exact"_a = false, "probes"_a = MultiRequest{}.probes, "shortlist"_a = 0,
        "kernel_set"_a = "", "timeout_s"_a = nb::none(),
        "MaxSim over sources (tokens, starts, index or None, allowed or None): (source, row) (n, 2) int64, scores (1, n) float32, and (n, 1 + query\n"
        "tokens) int32: the token best for the query token that adds most, then the best for each; and what was done. Best first.");
  m.def("verify_multi_index", &verify, "index"_a, "n_rows"_a, "dim"_a, "dtype"_a, "metric"_a, "Raises CorruptionError for a damaged multi index.");
}

}  // namespace vicino::bind
