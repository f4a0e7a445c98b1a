// Words and sparse vectors in Python: queries from tuples, search over a snapshot, and what builds the terms of stored documents.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind/bind.h"
#include "bind/shard_types.h"
#include "sparse/search.h"
#include "util/byte_io.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

using OffsetArray = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Term = std::tuple<std::uint32_t, nb::bytes, float>;

std::vector<std::vector<TextTerm>> words_of(nb::handle given, std::size_t n_fields) {
  std::vector<std::vector<TextTerm>> words;
  for (const auto& word : nb::cast<std::vector<std::vector<Term>>>(given)) {
    words.emplace_back();
    for (const auto& [field, term, weight] : word) {
      if (field >= n_fields) throw InvalidArgument("a term is of field " + std::to_string(field) + " of " + std::to_string(n_fields));
      words.back().push_back({field, std::string(term.c_str(), term.size()), weight});
    }
  }
  return words;
}

TextClause clause_of(const nb::tuple& given, std::size_t n_fields) {
  const auto all_of = [&](nb::handle clauses) {
    std::vector<TextClause> read;
    for (nb::handle clause : nb::cast<nb::sequence>(clauses)) read.push_back(clause_of(nb::cast<nb::tuple>(clause), n_fields));
    return read;
  };
  const auto kind = nb::cast<std::string>(given[0]);
  TextClause clause;
  if (kind == "words") {
    clause.kind = TextClause::Kind::words;
    clause.words = words_of(given[1], n_fields);
    clause.minimum = nb::cast<std::uint32_t>(given[2]);
  } else if (kind == "phrase") {
    clause.kind = TextClause::Kind::phrase;
    clause.words = words_of(given[1], n_fields);
    clause.gaps = nb::cast<std::vector<std::uint32_t>>(given[2]);
    clause.slop = nb::cast<std::uint32_t>(given[3]);
    if (clause.gaps.size() != clause.words.size()) throw InvalidArgument("a phrase needs one gap a word");
  } else if (kind == "prefix" || kind == "fuzzy") {
    clause.kind = kind == "prefix" ? TextClause::Kind::prefix : TextClause::Kind::fuzzy;
    clause.words = words_of(given[1], n_fields);
    clause.expansions = nb::cast<std::uint32_t>(given[2]);
    if (kind == "fuzzy") {
      clause.edits = nb::cast<std::uint32_t>(given[3]);
      clause.prefix_length = nb::cast<std::uint32_t>(given[4]);
    }
  } else if (kind == "bool") {
    clause.kind = TextClause::Kind::boolean;
    clause.must = all_of(given[1]);
    clause.should = all_of(given[2]);
    clause.must_not = all_of(given[3]);
    clause.minimum = nb::cast<std::uint32_t>(given[4]);
  } else if (kind == "constant" || kind == "boost") {
    clause.kind = kind == "constant" ? TextClause::Kind::constant : TextClause::Kind::boost;
    clause.must.push_back(clause_of(nb::cast<nb::tuple>(given[1]), n_fields));
    clause.value = nb::cast<float>(given[2]);
  } else {
    throw InvalidArgument("unknown clause \"" + kind + "\" of a text query");
  }
  return clause;
}

TextQuery query_of(const std::vector<std::tuple<std::uint32_t, float, float, float>>& fields, const nb::tuple& clause, bool filtered_statistics) {
  TextQuery query;
  for (const auto& [slot, boost, k1, b] : fields) {
    if (!(boost > 0) || !(k1 >= 0) || !(b >= 0) || !(b <= 1)) throw InvalidArgument("a field needs a boost above 0, k1 from 0 and b from 0 to 1");
    query.fields.push_back({slot, boost, k1, b});
  }
  query.root = clause_of(clause, query.fields.size());
  query.filtered_statistics = filtered_statistics;
  return query;
}

/// (locators, scores, stats)
nb::tuple to_python(ValueOutcome outcome) {
  std::vector<std::int64_t> locators;
  std::vector<float> scores;
  for (const SparseHit& hit : outcome.hits) {
    locators.push_back(static_cast<std::int64_t>(hit.row));
    scores.push_back(hit.score);
  }
  return nb::make_tuple(to_array(std::move(locators)), to_array(std::move(scores)), to_list(outcome.stats));
}

nb::tuple search_text(const Snapshot& snapshot, const TextQuery& query, std::size_t k, const Matches* matches, const Cancel& cancel) {
  expect_matches(snapshot, matches, k);
  ValueOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot.search_text(query, k, matches, cancel);
  }
  return to_python(std::move(outcome));
}

using IndexArray = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WeightArray = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::tuple search_sparse(const Snapshot& snapshot, std::uint32_t slot, const IndexArray& indices, const WeightArray& weights, bool idf, std::size_t k,
                        const Matches* matches, const Cancel& cancel) {
  expect_matches(snapshot, matches, k);
  if (indices.size() != weights.size()) throw InvalidArgument("a sparse query needs as many indices as weights");
  ValueOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot.search_sparse(slot, {indices.data(), indices.size()}, {weights.data(), weights.size()}, idf, k, matches, cancel);
  }
  return to_python(std::move(outcome));
}

using TokenArray = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

nb::tuple search_multi(const Snapshot& snapshot, const Values& column, const TokenArray& query, std::size_t k, bool exact, const Matches* matches,
                       const Cancel& cancel) {
  expect_matches(snapshot, matches, k);
  const ValueSpec spec = spec_of(column);
  if (query.shape(1) != spec.dim || query.shape(0) == 0) throw InvalidArgument("the query's tokens do not fit the column");
  ValueOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot.search_multi(spec, {query.data(), query.shape(0) * query.shape(1)}, k, exact, matches, cancel);
  }
  std::vector<std::int32_t> tokens(outcome.tokens.begin(), outcome.tokens.end());
  const nb::tuple found = to_python(std::move(outcome));
  return nb::make_tuple(found[0], found[1], to_array(std::move(tokens)), found[2]);
}

/// The terms of a text index for a segment that was sealed before there was one.
class SegmentTerms {
 public:
  SegmentTerms(std::uint32_t slot, std::uint32_t n_rows) : slot_(slot), n_rows_(n_rows), builder_(TermsKind::text, n_rows) {}

  void add(const LocatorArray& rows, const nb::bytes& data, const OffsetArray& offsets) {
    const Bytes bytes{reinterpret_cast<const std::uint8_t*>(data.c_str()), data.size()};
    if (offsets.size() != rows.size() + 1 || offsets.data()[rows.size()] > bytes.size()) throw InvalidArgument("the offsets do not fit the values");
    nb::gil_scoped_release unlocked;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::uint64_t begin = offsets.data()[i], end = offsets.data()[i + 1];
      const auto row = static_cast<std::uint32_t>(rows.data()[i]);
      if (begin > end || end > bytes.size() || row >= n_rows_) throw InvalidArgument("a value or its row is out of bounds");
      builder_.add(row, bytes.subspan(begin, end - begin));
    }
  }
  nb::bytes meta() const {
    std::string out;
    append_value(out, slot_);
    append_value(out, std::uint32_t{0});
    append_value(out, static_cast<std::uint8_t>(ValueKind::text));
    append_value(out, static_cast<std::uint8_t>(Dtype::float32));
    append_value(out, static_cast<std::uint8_t>(Metric::dot));
    append_value(out, std::uint8_t{0});
    append_value(out, n_rows_);
    return to_bytes(out);
  }
  nb::list finish(const Cancel& cancel) {
    TermsBuilder::Image image;
    {
      nb::gil_scoped_release unlocked;
      image = builder_.finish(cancel);
    }
    return to_sections(image);
  }

 private:
  std::uint32_t slot_, n_rows_;
  TermsBuilder builder_;
};

}  // namespace

void expect_matches(const Snapshot& snapshot, const Matches* matches, std::size_t k) {
  if (k == 0) throw InvalidArgument("k must be at least 1, got 0");
  if (matches && matches->rows.size() != snapshot.entries().size()) throw InvalidArgument("the matches belong to another snapshot");
}

void bind_sparse(nb::module_& m) {
  nb::class_<TextQuery>(m, "TextQuery", "A query over text indexes, as a tree of clauses; vicino.collection.lexical makes them.")
      .def("__init__", [](TextQuery* self, const std::vector<std::tuple<std::uint32_t, float, float, float>>& fields, const nb::tuple& clause,
                          bool filtered_statistics) { new (self) TextQuery(query_of(fields, clause, filtered_statistics)); },
           "fields"_a, "clause"_a, "filtered_statistics"_a = false, "fields: (slot, boost, k1, b).");
  nb::class_<SegmentTerms>(m, "TermsBuilder", "The text index of a segment, from the values of its rows.")
      .def(nb::init<std::uint32_t, std::uint32_t>(), "slot"_a, "n_rows"_a)
      .def("add", &SegmentTerms::add, "locators"_a, "data"_a, "offsets"_a)
      .def_prop_ro("meta", &SegmentTerms::meta)
      .def("finish", &SegmentTerms::finish, "cancel"_a);
  nb::borrow<nb::class_<Snapshot>>(m.attr("Snapshot"))
      .def("search_text", &search_text, "query"_a, "k"_a, "matches"_a.none(), "cancel"_a, "(locators, scores, stats) of the k best records, best first.")
      .def("search_multi", &search_multi, "column"_a, "query"_a, "k"_a, "exact"_a, "matches"_a.none(), "cancel"_a,
           "(locators, scores, best tokens, stats) of the k records of the largest MaxSim, best first.")
      .def("search_sparse", &search_sparse, "slot"_a, "indices"_a, "weights"_a, "idf"_a, "k"_a, "matches"_a.none(), "cancel"_a,
           "(locators, scores, stats) of the k records of the largest dot product, best first.");
}

}  // namespace vicino::bind
