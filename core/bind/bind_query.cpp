// What queries of several parts need of a snapshot: rankings as locators and distances, searches among candidates, searches by example.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <span>
#include <string>

#include "bind/shard_types.h"
#include "shard/by_example.h"
#include "shard/candidates.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

ExampleRule rule_of(const std::string& name) {
  if (name == "best") return ExampleRule::best;
  if (name == "sum") return ExampleRule::sum;
  if (name == "discover") return ExampleRule::discover;
  if (name == "context") return ExampleRule::context;
  if (name == "feedback") return ExampleRule::feedback;
  throw InvalidArgument("there is no rule \"" + name + "\" for examples");
}

nb::tuple to_ranking(std::span<const Hit> hits) {
  std::vector<std::int64_t> locators;
  std::vector<float> distances;
  locators.reserve(hits.size());
  distances.reserve(hits.size());
  for (const Hit& hit : hits) {
    locators.push_back(static_cast<std::int64_t>(hit.row));
    distances.push_back(hit.distance);
  }
  return nb::make_tuple(to_array(std::move(locators)), to_array(std::move(distances)));
}

nb::tuple search_rows(const Snapshot& snapshot, const Column& column, const RawArray& queries, std::size_t k, std::size_t ef, bool exact,
                      const Matches* matches, const Cancel& cancel, const std::optional<LocatorArray>& held_out, std::size_t nprobe,
                      float oversampling) {
  SearchRequest request{spec_of(column), k, ef, nprobe, exact, oversampling};
  if (k == 0) throw InvalidArgument("k must be at least 1, got 0");
  const std::size_t n = count_queries(request.column, queries, matches, snapshot);
  if (held_out) {
    if (held_out->size() != n) throw InvalidArgument("as many rows to hold out as queries are needed");
    request.held_out = {held_out->data(), held_out->size()};
  }
  SearchOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot.search(request, {queries.data(), queries.size()}, n, matches, cancel);
  }
  nb::list rankings;
  for (std::size_t query = 0; query < n; ++query) rankings.append(to_ranking(outcome.hits[query]));
  return nb::make_tuple(rankings, to_list(outcome.stats));
}

nb::tuple search_examples(const Snapshot& snapshot, const Column& column, const RawArray& examples, const std::string& rule, std::uint32_t n_first,
                          const std::vector<std::tuple<std::uint32_t, std::uint32_t, float>>& pairs, float weight, std::size_t k,
                          const Matches* matches, const Cancel& cancel) {
  ExampleRequest request{spec_of(column), rule_of(rule), k, n_first, weight, {}};
  for (const auto& [positive, negative, pair_weight] : pairs) request.pairs.push_back({positive, negative, pair_weight});
  const std::size_t n = count_queries(request.column, examples, matches, snapshot);
  ExampleOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = search_by_example(snapshot, request, {examples.data(), examples.size()}, n, matches, cancel);
  }
  return nb::make_tuple(to_ranking(outcome.hits), outcome.rows_scored);
}

}  // namespace

std::size_t count_queries(const ColumnSpec& column, const RawArray& queries, const Matches* matches, const Snapshot& snapshot) {
  const Dtype dtype = column.dtype == Dtype::float16 ? Dtype::float32 : column.dtype;
  const std::size_t width = row_bytes(dtype, column.dim);
  if (queries.size() % width) throw InvalidArgument("the queries do not fit the column");
  const std::size_t n = queries.size() / width;
  if (dtype == Dtype::float32)
    if (const auto bad = first_non_finite({queries.data(), static_cast<std::uint32_t>(n), column.dim, dtype, nullptr})) {
      const std::string which = n == 1 ? "the query vector" : "query " + std::to_string(bad->first) + " of " + std::to_string(n) + ", from 0,";
      throw InvalidArgument(which + " holds NaN or an infinity at position " + std::to_string(bad->second));
    }
  if (matches && matches->rows.size() != snapshot.entries().size()) throw InvalidArgument("the matches belong to another snapshot");
  return n;
}

void bind_query(nb::class_<Snapshot>& snapshot) {
  snapshot
      .def("matches_of", [](const Snapshot& s, const LocatorArray& at) { return matches_of(s, {at.data(), at.size()}); }, "locators"_a,
           "These rows, as what a search may be restricted to.")
      .def("match_within", [](const Snapshot& s, const Condition& condition, const SlotNames& slots, const Matches* within, const Cancel& cancel) {
        nb::gil_scoped_release unlocked;
        return match_within(s, condition, slots, within, cancel);
      }, "filter"_a, "slots"_a, "within"_a.none(), "cancel"_a, "Those of `within` (None: all live rows) that meet the condition.")
      .def("search_rows", &search_rows, "column"_a, "queries"_a, "k"_a, "ef"_a, "exact"_a, "matches"_a.none(), "cancel"_a,
           "held_out"_a.none() = nb::none(), "nprobe"_a = 0, "oversampling"_a = kRescoredByBound,
           "As `search`, but only (locators, public distances) of every query, and the statistics of every entry. held_out: per query the locator "
           "of a row that walks do not meet on their way, -1 for none. oversampling: times k candidates by codes are scored by rows; below 0 as their "
           "bound says, 0 none.")
      .def("search_by_example", &search_examples, "column"_a, "examples"_a, "rule"_a, "n_first"_a, "pairs"_a, "weight"_a, "k"_a,
           "matches"_a.none(), "cancel"_a,
           "((locators, minus scores), rows scored) by a rule over the similarities to all examples: best, sum, discover, context, feedback.");
}

}  // namespace vicino::bind
