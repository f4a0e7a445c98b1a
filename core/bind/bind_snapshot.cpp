// Snapshots in Python: search, match, read, and what is built from a snapshot.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "bind/found.h"
#include "bind/ids.h"
#include "bind/piece_writing.h"
#include "bind/shard_types.h"
#include "bind/values.h"
#include "filter/facet.h"
#include "shard/known_costs.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

const char* name_of(Strategy strategy) {
  switch (strategy) {
    case Strategy::none: return "none";
    case Strategy::scan: return "scan";
    case Strategy::walk: return "graph";
    case Strategy::walk_pages: return "graph on disk";
    case Strategy::two_hop: return "graph of matches";
    case Strategy::lists: return "lists";
    case Strategy::scan_codes: return "scan of codes";
    case Strategy::walk_then_scan: return "graph, then scan";
    case Strategy::postings: return "postings";
  }
  return "none";
}

nb::dict to_dict(const EntryStats& stats) {
  nb::dict out;
  out["key"] = stats.key;
  out["rows"] = stats.rows;
  out["candidates"] = stats.candidates;
  out["strategy"] = name_of(stats.strategy);
  out["rows_scored"] = stats.rows_scored;
  out["rows_read"] = stats.rows_read;
  out["codes_scanned"] = stats.codes_scanned;
  out["hops"] = stats.hops;
  out["codes"] = stats.codes;
  out["rows_are_coded"] = stats.rows_are_coded;
  out["seconds"] = stats.seconds;
  if (stats.scan_ns > 0) {
    out["walk_ns"] = stats.walk_ns;
    out["scan_ns"] = stats.scan_ns;
    out["two_hop_ns"] = stats.two_hop_ns;
    out["costs_are_measured"] = stats.costs_are_measured;
  }
  return out;
}

nb::tuple search(std::shared_ptr<Snapshot> snapshot, const Column& column, const RawArray& queries, std::size_t k, std::size_t ef, bool exact,
                 const Matches* matches, const Cancel& cancel, std::size_t nprobe, unsigned threads, float oversampling) {
  SearchRequest request{spec_of(column), k, ef, nprobe, exact, oversampling};
  request.threads = threads;
  request.with_ids = true;
  if (k == 0) throw InvalidArgument("k must be at least 1, got 0");
  const std::size_t n = count_queries(request.column, queries, matches, *snapshot);
  SearchOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot->search(request, {queries.data(), queries.size()}, n, matches, cancel);
  }
  return nb::make_tuple(Found(std::move(snapshot), std::move(outcome.hits)), SearchCounts{std::move(outcome.stats)});
}

using CostsOfOne = std::tuple<float, float, float>;

std::vector<CostsOfOne> costs(const Snapshot& snapshot, std::uint32_t slot) {
  std::vector<CostsOfOne> found;
  for (const SearchCosts& costs : known_costs(snapshot, slot)) found.emplace_back(costs.scanned_ns, costs.walked_ns, costs.beam_rows);
  return found;
}

void set_costs(const Snapshot& snapshot, std::uint32_t slot, const std::vector<CostsOfOne>& costs) {
  std::vector<SearchCosts> known;
  for (const auto& [scanned_ns, walked_ns, beam_rows] : costs) known.push_back({scanned_ns, walked_ns, beam_rows, true});
  set_known_costs(snapshot, slot, known);
}

void measure_costs(const Snapshot& snapshot, const Column& column, const RawArray& queries, const nb::callable& clock, const Cancel& cancel) {
  const ColumnSpec spec = spec_of(column);
  const std::size_t n = count_queries(spec, queries, nullptr, snapshot);
  const Clock now = [&clock] {
    const nb::gil_scoped_acquire locked;
    return nb::cast<double>(clock());
  };
  nb::gil_scoped_release unlocked;
  measure_known_costs(snapshot, spec, {queries.data(), queries.size()}, n, now, cancel);
}

/// Live rows that match, in order of entries and rows, from `after` (exclusive; -1: from the start).
nb::ndarray<nb::numpy, std::int64_t> locators(const Snapshot& snapshot, const Matches* matches, Locator after, std::size_t limit) {
  std::vector<std::int64_t> found;
  const std::size_t first = after < 0 ? 0 : static_cast<std::size_t>(after >> 32);
  for (std::size_t i = first; i < snapshot.entries().size() && found.size() < limit; ++i) {
    const Bitmap* allowed = snapshot.allowed(i, matches);
    const std::uint32_t n = snapshot.entries()[i].rows->size();
    for (std::uint32_t row = i == first && after >= 0 ? static_cast<std::uint32_t>(after) + 1 : 0; row < n && found.size() < limit; ++row)
      if (!allowed || allowed->test(row)) found.push_back(locator(i, row));
  }
  return to_array(std::move(found));
}

/// What is worth knowing of inverted lists.
nb::dict list_info(const Ivf& ivf) {
  nb::dict info;
  info["nlist"] = ivf.nlist();
  info["nprobe"] = ivf.nprobe();
  info["trained_rows"] = ivf.training().rows;
  info["drift"] = ivf.training().distance > 0 ? ivf.mean_distance() / ivf.training().distance : 1.0;
  return info;
}

nb::dict graph_info(const Graph& graph) {
  nb::dict info;
  info["nodes"] = graph.n_nodes();
  info["ef"] = graph.usual_beam();
  return info;
}

nb::list entry_infos(const Snapshot& snapshot) {
  nb::list infos;
  for (const Entry& entry : snapshot.entries()) {
    nb::dict info;
    info["key"] = entry.rows->key();
    info["rows"] = entry.rows->size();
    info["live"] = entry.n_live;
    info["updated"] = entry.n_updated;
    info["last_update"] = entry.overlay->newest(snapshot.version());
    info["sealed"] = dynamic_cast<const Segment*>(entry.rows.get()) != nullptr;
    info["memory_bytes"] = entry.rows->memory_bytes() + entry.overlay->memory_bytes();
    nb::dict columns;
    nb::dict lists, graphs;
    nb::list coded;
    for (const ColumnSpec& spec : entry.rows->columns()) {
      const VectorIndex* index = entry.rows->vector_index(spec.slot);
      columns[nb::int_(spec.slot)] = index ? nb::cast(index->made()) : nb::none();
      if (index && index->lists()) lists[nb::int_(spec.slot)] = list_info(*index->lists());
      if (index && index->mapped_graph()) graphs[nb::int_(spec.slot)] = graph_info(*index->mapped_graph());
      if (entry.rows->is_coded(spec.slot)) coded.append(spec.slot);
    }
    info["columns"] = columns;
    info["lists"] = lists;
    info["graphs"] = graphs;
    info["coded"] = coded;
    infos.append(info);
  }
  return infos;
}

/// (rows as one uint8 array of n * row bytes, presence as bool array)
nb::tuple vectors(const Snapshot& snapshot, const Column& column, const LocatorArray& at) {
  const ColumnSpec spec = spec_of(column);
  snapshot.expect_column(spec);
  const std::size_t width = row_bytes(spec.dtype, spec.dim);
  std::vector<std::uint8_t> rows(at.size() * width, 0), present(at.size(), 0);
  for (std::size_t i = 0; i < at.size(); ++i) {
    present[i] = snapshot.read_vector(spec, at.data()[i], rows.data() + i * width);
  }
  return nb::make_tuple(to_array(std::move(rows)), to_array(std::move(present)));
}

Bitmap bitmap_of(const Snapshot& snapshot, std::size_t entry, const Matches* matches) {
  const Bitmap* allowed = snapshot.allowed(entry, matches);
  return allowed ? *allowed : Bitmap(snapshot.entries()[entry].rows->size(), true);
}

/// (value, rows) of one entry after another; None when all distinct values take more than `bytes_max`.
nb::object facet_counts(const Snapshot& snapshot, const std::string& path, const Matches* matches, const Cancel& cancel, std::size_t bytes_max) {
  const Path parsed = Path::parse(path);
  nb::list parts;
  for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
    const SlotNames none;
    const auto source = snapshot.source(i, none);
    std::optional<std::vector<std::pair<Scalar, std::uint64_t>>> counts;
    {
      nb::gil_scoped_release unlocked;
      counts = facet(parsed, *source, bitmap_of(snapshot, i, matches), cancel, bytes_max);
    }
    if (!counts) return nb::none();
    nb::list part;
    for (const auto& [value, count] : *counts) {
      const auto* text = std::get_if<std::string>(&value);
      bytes_max -= std::min(bytes_max, sizeof(value) + (text ? text->capacity() : 0));  // what this entry keeps is not there for the next
      part.append(nb::make_tuple(to_python(value), count));
    }
    parts.append(part);
  }
  return parts;
}

/// All rows that have a number, datetime or string at the path, ordered by it over all entries; ties by locator.
nb::ndarray<nb::numpy, std::int64_t> ordered(const Snapshot& snapshot, const std::string& path, const Matches* matches, bool descending,
                                             const Cancel& cancel) {
  const Path parsed = Path::parse(path);
  std::vector<std::int64_t> locators;
  {
    nb::gil_scoped_release unlocked;
    struct Keyed {
      SortKey key;
      Locator at;
    };
    std::vector<Keyed> all;
    std::vector<std::unique_ptr<RowSource>> sources;  // the keys point into them
    const SlotNames none;
    for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
      sources.push_back(snapshot.source(i, none));
      for (OrderedRow& row : order_by(parsed, *sources.back(), bitmap_of(snapshot, i, matches), descending, cancel))
        all.push_back({std::move(row.key), locator(i, static_cast<std::uint32_t>(row.row))});
    }
    std::ranges::stable_sort(all, [&](const Keyed& a, const Keyed& b) {
      const auto order = compare(a.key, b.key);
      return descending ? order > 0 : order < 0;
    });
    locators.reserve(all.size());
    for (const Keyed& keyed : all) locators.push_back(keyed.at);
  }
  return to_array(std::move(locators));
}

/// Words of the dead rows of an entry, for its tombstones file.
nb::bytes tombstone_words(const Snapshot& snapshot, std::size_t entry) {
  const Entry& found = snapshot.entries().at(entry);
  Bitmap dead(found.rows->size());
  if (found.live) {
    dead = *found.live;
    dead.flip();
  }
  return to_bytes(Bytes{reinterpret_cast<const std::uint8_t*>(dead.words()), dead.n_words() * 8});
}

void write_segment_index_of_vector(const Snapshot& snapshot, std::uint64_t key, std::uint32_t slot, unsigned threads, const Cancel& cancel,
                                   const nb::callable& write, const std::string& kind, std::uint32_t nlist, std::uint32_t subvectors, std::uint32_t bits,
                                   bool copies, std::uint32_t m, std::uint32_t ef_construct, const std::string& codes, const std::string& layout) {
  const Segment& segment = segment_at(snapshot, key);
  const auto chunks = segment.chunks(slot);
  if (chunks.empty()) throw InvalidArgument("the segment has no vectors in slot " + std::to_string(slot));
  nb::gil_scoped_release unlocked;
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < segment.size(); ++row)
    if (segment.vector(slot, row)) rows.push_back(row);
  Metric metric = Metric::l2;
  for (const ColumnSpec& spec : segment.columns())
    if (spec.slot == slot) metric = spec.metric;
  PieceWriter out = writer_of(write);
  write_vector_index(params_of(kind, nlist, subvectors, bits, copies, m, ef_construct, codes, layout), chunks[0].block, rows, metric, threads, cancel, out);
}

nb::bytes build_segment_index(const Snapshot& snapshot, std::uint64_t key, const std::string& path, const std::string& kind, const Cancel& cancel) {
  segment_at(snapshot, key);
  std::vector<std::uint8_t> index;
  {
    nb::gil_scoped_release unlocked;
    const auto& entries = snapshot.entries();
    const auto at = std::ranges::find(entries, key, [](const Entry& entry) { return entry.rows->key(); }) - entries.begin();
    // Of the segment's own documents: rows with newer ones are stale for the index and are read instead.
    Entry plain = entries[static_cast<std::size_t>(at)];
    plain.updated = nullptr;
    const Snapshot alone(snapshot.version(), {plain});
    const SlotNames none;
    index = build_field_index(*alone.source(0, none), path, index_kind(kind), cancel);
  }
  return to_bytes(Bytes{index.data(), index.size()});
}

}  // namespace

const Segment& segment_at(const Snapshot& snapshot, std::uint64_t key) {
  for (const Entry& entry : snapshot.entries())
    if (entry.rows->key() == key)
      if (const auto* segment = dynamic_cast<const Segment*>(entry.rows.get())) return *segment;
  throw InvalidArgument("there is no sealed segment with key " + std::to_string(key));
}

nb::list to_list(const std::vector<EntryStats>& all) {
  nb::list stats;
  for (const EntryStats& entry : all) stats.append(to_dict(entry));
  return stats;
}

void bind_snapshot(nb::module_& m) {
  bind_found(m);
  nb::class_<Matches>(m, "Matches", "Live rows of a snapshot that meet a condition.")
      .def_ro("count", &Matches::count)
      .def_ro("counts", &Matches::counts)
      .def("keep", [](Matches& matches) { matches.forms->keep(); },
           "They are kept for searches to come: what these read of an index may be copied side by side, which counts as its memory.")
      .def_prop_ro("rows_scanned", [](const Matches& matches) { return matches.stats.rows_scanned; })
      .def_prop_ro("is_indexed", [](const Matches& matches) { return matches.stats.paths_scanned.empty(); },
                   "Whether no field had to be read from documents.")
      .def_prop_ro("memory_bytes", &Matches::memory_bytes)
      .def_prop_ro("paths_indexed", [](const Matches& matches) {
        return std::vector<std::string>(matches.stats.paths_indexed.begin(), matches.stats.paths_indexed.end());
      })
      .def_prop_ro("paths_scanned", [](const Matches& matches) {
        return std::vector<std::string>(matches.stats.paths_scanned.begin(), matches.stats.paths_scanned.end());
      });

  nb::class_<Snapshot> snapshot(m, "Snapshot", "One consistent state of a shard. Safe to use from any thread.");
  bind_query(snapshot);
  snapshot
      .def_prop_ro("version", [](const Snapshot& s) { return s.version(); })
      .def_prop_ro("identity", &Snapshot::identity, "Another number for every snapshot of this process.")
      .def_prop_ro("n_records", &Snapshot::n_records)
      .def_prop_ro("entries", &entry_infos)
      .def("walked", [](const Snapshot& s, std::uint32_t slot) {
        nb::list found;
        for (const Entry& entry : s.entries())
          if (const VectorIndex* index = entry.rows->vector_index(slot))
            found.append(nb::make_tuple(entry.rows->key() ^ index->identity(), entry.rows->size(), entry.n_live));
        return nb::tuple(found);
      }, "slot"_a, "(identity, rows, live rows) of every segment that has an index over a vector; another index over the same rows has another identity.")
      .def("costs", &costs, "slot"_a,
           "(ns of a row that a scan of codes scores, ns of one that a walk scores, rows a walk scores for each of its beam) of every segment that has an\n"
           "index over a vector, as they were measured or set; zeros where they were not.")
      .def("set_costs", &set_costs, "slot"_a, "costs"_a, "Sets costs that were measured before, where none are known; in the order of `costs`.")
      .def("measure_costs", &measure_costs, "column"_a, "queries"_a, "clock"_a, "cancel"_a,
           "Measures by these queries what is not known of `costs`; searches under filters choose by it from now on. clock: tells the time in seconds.")
      .def("find", [](const Snapshot& s, const nb::list& ids) {
        std::vector<std::int64_t> found;
        for (nb::handle id : ids) {
          const std::string encoded = encode_id(id);
          found.push_back(s.find({reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()}));
        }
        return to_array(std::move(found));
      }, "ids"_a, "Locator of each id, -1 where there is no live record.")
      .def("find_any", [](const Snapshot& s, nb::handle id) {
        const std::string encoded = encode_id(id);
        return s.find_any({reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()});
      }, "id"_a, "Locator of the newest row written under an id, be it deleted; -1 when no segment has one any more.")
      .def("ids", [](const Snapshot& s, const LocatorArray& at) {
        nb::list out;
        for (std::size_t i = 0; i < at.size(); ++i) out.append(decode_id(s.id(at.data()[i])));
        return out;
      }, "locators"_a)
      .def("documents", [](const Snapshot& s, const LocatorArray& at) {
        nb::list out;
        for (std::size_t i = 0; i < at.size(); ++i) out.append(to_bytes(s.document(at.data()[i])));
        return out;
      }, "locators"_a, "Encoded documents, see decode_document.")
      .def("document_sizes", [](const Snapshot& s, const LocatorArray& at) {
        std::vector<std::uint64_t> out;
        out.reserve(at.size());
        for (std::size_t i = 0; i < at.size(); ++i) out.push_back(s.document(at.data()[i]).size());
        return to_array(std::move(out));
      }, "locators"_a, "Bytes of each encoded document.")
      .def("versions", [](const Snapshot& s, const LocatorArray& at) {
        std::vector<std::uint64_t> out;
        for (std::size_t i = 0; i < at.size(); ++i) out.push_back(s.version(at.data()[i]));
        return to_array(std::move(out));
      }, "locators"_a)
      .def("vectors", &vectors, "column"_a, "locators"_a)
      .def("match", [](const Snapshot& s, const Condition* condition, const SlotNames& slots, const Cancel& cancel) {
        nb::gil_scoped_release unlocked;
        return s.match(condition, slots, cancel);
      }, "filter"_a.none(), "slots"_a, "cancel"_a)
      .def("estimate", [](const Snapshot& s, const Condition& condition, const SlotNames& slots) {
        const Cardinality found = s.estimate(condition, slots);
        return nb::make_tuple(found.low, found.likely, found.high);
      }, "filter"_a, "slots"_a, "(low, likely, high) number of records that meet the condition.")
      .def("rows_of", [](const Snapshot& s, std::size_t entry, std::uint32_t after, std::uint32_t limit) {
        std::vector<std::int64_t> found;
        const Entry& rows = s.entries().at(entry);
        for (std::uint32_t row = after; row < rows.rows->size() && found.size() < limit; ++row)
          if (!rows.is_dead(row)) found.push_back(locator(entry, row));
        return to_array(std::move(found));
      }, "entry"_a, "first"_a, "limit"_a, "Locators of the live rows of an entry, from row `first` on.")
      .def("value", [](const Snapshot& s, std::uint32_t slot, const LocatorArray& at) {
        nb::list out;
        for (std::size_t i = 0; i < at.size(); ++i) out.append(to_bytes(s.value(slot, at.data()[i])));
        return out;
      }, "slot"_a, "locators"_a, "Stored bytes of a sparse or multi-vector, empty where there is none.")
      .def("n_uncovered", &Snapshot::n_uncovered, "slot"_a, "Live records that a text index does not hold yet.")
      .def("search", &search, "column"_a, "queries"_a, "k"_a, "ef"_a, "exact"_a, "matches"_a.none(), "cancel"_a, "nprobe"_a = 0, "threads"_a = 1,
           "oversampling"_a = kRescoredByBound, "What every query found, and the counts of all entries. Several queries are shared by so many threads.")
      .def("locators", &locators, "matches"_a.none(), "after"_a, "limit"_a)
      .def("spaced_records", [](const Snapshot& s, std::uint32_t slot, std::size_t n) {
        auto found = s.spaced_records(slot, n);
        return to_array(std::vector<std::int64_t>(found.begin(), found.end()));
      }, "slot"_a, "n"_a, "Locators of about n live records that have a vector, spread evenly over the rows.")
      .def("facet", &facet_counts, "path"_a, "matches"_a.none(), "cancel"_a, "bytes_max"_a = std::numeric_limits<std::size_t>::max(),
           "(value, rows) of every entry; None when all distinct values take more than `bytes_max`.")
      .def("ordered", &ordered, "path"_a, "matches"_a.none(), "descending"_a, "cancel"_a)
      .def("tombstones", &tombstone_words, "entry"_a)
      .def("patch", [](const Snapshot& s, std::size_t entry) {
        const Overlay::Image image = s.entries().at(entry).overlay->image(s.version());
        return nb::make_tuple(to_bytes(image.rows), to_bytes(image.versions), to_bytes(image.offsets), to_bytes(image.documents));
      }, "entry"_a)
      .def("write_vector_index", &write_segment_index_of_vector, "key"_a, "slot"_a, "threads"_a, "cancel"_a, "write"_a, "kind"_a, "nlist"_a = 0,
           "subvectors"_a = 0, "bits"_a = 4, "copies"_a = false, "m"_a = 16, "ef_construct"_a = 200, "codes"_a = "auto", "layout"_a = "memory",
           "Calls `write` with the bytes of the index over one vector of a sealed segment, piece by piece.")
      .def("build_index", &build_segment_index, "key"_a, "path"_a, "kind"_a, "cancel"_a)
      .def("verify", [](const Snapshot& s, std::uint64_t key) {
        nb::gil_scoped_release unlocked;
        segment_at(s, key).verify();
      }, "key"_a, "Checks every checksum, offset, id and document of a sealed segment.");

  m.def("vector_index_section", [](std::string kind) { return section_of(VectorIndexParams{std::move(kind)}); }, "kind"_a,
        "Name of the section that holds an index of this kind.");
  m.def("vector_index_build_bytes", [](const Column& column, std::size_t rows, unsigned threads, const std::string& kind, std::uint32_t nlist,
                                       std::uint32_t subvectors, std::uint32_t bits, bool copies, std::uint32_t m, std::uint32_t ef_construct,
                                       const std::string& codes, const std::string& layout, std::uint32_t sample) {
    const ColumnSpec spec = spec_of(column);
    VectorIndexParams params = params_of(kind, nlist, subvectors, bits, copies, m, ef_construct, codes, layout);
    params.sample = sample;
    return vector_index_build_bytes(params, rows, spec.dim, spec.dtype, spec.metric, threads);
  }, "column"_a, "rows"_a, "threads"_a, "kind"_a, "nlist"_a = 0, "subvectors"_a = 0, "bits"_a = 4, "copies"_a = false, "m"_a = 16, "ef_construct"_a = 200,
        "codes"_a = "auto", "layout"_a = "memory", "sample"_a = 64,
        "Upper bound of the memory that writing the index of a vector takes.");
}

}  // namespace vicino::bind
