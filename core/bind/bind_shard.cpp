#include <nanobind/ndarray.h>
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

#include "bind/bind.h"
#include "bind/ids.h"
#include "bind/values.h"
#include "filter/facet.h"
#include "index/graph.h"
#include "shard/state.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

using Column = std::tuple<std::uint32_t, std::uint32_t, Dtype, Metric>;  // slot, dim, dtype, metric
using RawArray = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using LocatorArray = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

ColumnSpec spec_of(const Column& column) {
  const auto& [slot, dim, dtype, metric] = column;
  return {slot, dim, dtype, metric};
}

nb::bytes to_bytes(const std::string& data) { return nb::bytes(data.data(), data.size()); }
nb::bytes to_bytes(Bytes data) { return nb::bytes(reinterpret_cast<const char*>(data.data()), data.size()); }

template <class T>
nb::ndarray<nb::numpy, T> to_array(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));
  nb::capsule owner(owned, [](void* data) noexcept { delete static_cast<std::vector<T>*>(data); });
  return nb::ndarray<nb::numpy, T>(owned->data(), {owned->size()}, owner);
}

BytesToWrite ids_to_write(const nb::list& ids) {
  BytesToWrite column;
  for (nb::handle id : ids) {
    const std::string encoded = encode_id(id);
    column.add({reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()});
  }
  return column;
}

using OffsetArray = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// Documents as encode_documents returned them.
BytesToWrite documents_to_write(const nb::bytes& data, const OffsetArray& offsets) {
  if (offsets.size() == 0 || offsets.data()[offsets.size() - 1] != data.size()) throw InvalidArgument("the offsets do not fit the encoded documents");
  if (data.size() > std::numeric_limits<std::uint32_t>::max()) throw InvalidArgument("one commit holds at most 4 GiB of fields");
  BytesToWrite column;
  column.data.assign(data.c_str(), data.size());
  column.offsets.assign(offsets.data(), offsets.data() + offsets.size());
  return column;
}

/// columns: (slot, dim, dtype, metric, rows as bytes, presence words as bytes or None)
using ColumnToWrite = std::tuple<std::uint32_t, std::uint32_t, Dtype, Metric, RawArray, std::optional<RawArray>>;

nb::bytes encode_upsert_payload(const nb::list& ids, const nb::bytes& documents, const OffsetArray& offsets,
                                const std::vector<ColumnToWrite>& columns) {
  const BytesToWrite id_column = ids_to_write(ids), document_column = documents_to_write(documents, offsets);
  if (document_column.offsets.size() != id_column.offsets.size()) throw InvalidArgument("as many documents as ids are needed");
  std::vector<VectorColumn> vectors;
  for (const auto& [slot, dim, dtype, metric, rows, presence] : columns) {
    VectorColumn column{{slot, dim, dtype, metric}, {}, {rows.data(), rows.size()}};
    if (rows.size() != nb::len(ids) * row_bytes(dtype, dim)) throw InvalidArgument("a vector column does not hold one row a record");
    if (presence) {
      column.presence.resize((nb::len(ids) + 63) / 64);
      if (presence->size() > column.presence.size() * 8) throw InvalidArgument("the presence bits of a vector column are too many");
      std::memcpy(column.presence.data(), presence->data(), presence->size());
    }
    vectors.push_back(std::move(column));
  }
  std::string payload;
  {
    nb::gil_scoped_release unlocked;
    payload = encode_upsert(id_column, document_column, vectors);
  }
  return to_bytes(payload);
}

/// ids, distances, encoded documents (None unless asked for) and locators of one query, ready for vicino.query.results.
nb::tuple to_results(const Snapshot& snapshot, const std::vector<Hit>& hits, bool documents) {
  nb::list ids, blobs;
  std::vector<float> distances;
  std::vector<std::int64_t> locators;
  distances.reserve(hits.size());
  locators.reserve(hits.size());
  for (const Hit& hit : hits) {
    const auto at = static_cast<Locator>(hit.row);
    ids.append(decode_id(snapshot.id(at)));
    if (documents) blobs.append(to_bytes(snapshot.document(at)));
    distances.push_back(hit.distance);
    locators.push_back(at);
  }
  return nb::make_tuple(ids, to_array(std::move(distances)), documents ? nb::object(blobs) : nb::none(), to_array(std::move(locators)));
}

const char* name_of(Strategy strategy) {
  switch (strategy) {
    case Strategy::none: return "none";
    case Strategy::scan: return "scan";
    case Strategy::walk: return "graph";
    case Strategy::walk_then_scan: return "graph, then scan";
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
  out["seconds"] = stats.seconds;
  return out;
}

nb::tuple search(const Snapshot& snapshot, const Column& column, const RawArray& queries, std::size_t k, std::size_t ef, bool exact,
                 const Matches* matches, bool documents, const Cancel& cancel) {
  const SearchRequest request{spec_of(column), k, ef, exact};
  const Dtype query_dtype = request.column.dtype == Dtype::float16 ? Dtype::float32 : request.column.dtype;
  const std::size_t width = row_bytes(query_dtype, request.column.dim);
  if (k == 0) throw InvalidArgument("k must be at least 1, got 0");
  if (queries.size() % width) throw InvalidArgument("the queries do not fit the column");
  if (query_dtype == Dtype::float32)
    if (const auto bad = first_non_finite({queries.data(), static_cast<std::uint32_t>(queries.size() / width), request.column.dim, query_dtype, nullptr}))
      throw InvalidArgument("the query vector holds NaN or an infinity at position " + std::to_string(bad->second));
  if (matches && matches->rows.size() != snapshot.entries().size()) throw InvalidArgument("the matches belong to another snapshot");
  SearchOutcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = snapshot.search(request, {queries.data(), queries.size()}, queries.size() / width, matches, cancel);
  }
  nb::list results, stats;
  for (const auto& hits : outcome.hits) results.append(to_results(snapshot, hits, documents));
  for (const EntryStats& entry : outcome.stats) stats.append(to_dict(entry));
  return nb::make_tuple(results, stats);
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
    for (const ColumnSpec& spec : entry.rows->columns()) columns[nb::int_(spec.slot)] = entry.rows->graph(spec.slot) != nullptr;
    info["columns"] = columns;
    infos.append(info);
  }
  return infos;
}

/// (rows as one uint8 array of n * row bytes, presence as bool array)
nb::tuple vectors(const Snapshot& snapshot, const Column& column, const LocatorArray& at) {
  const ColumnSpec spec = spec_of(column);
  const std::size_t width = row_bytes(spec.dtype, spec.dim);
  std::vector<std::uint8_t> rows(at.size() * width, 0), present(at.size(), 0);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const std::uint8_t* vector = snapshot.vector(spec.slot, at.data()[i]);
    if (!vector) continue;
    std::memcpy(rows.data() + i * width, vector, width);
    present[i] = 1;
  }
  return nb::make_tuple(to_array(std::move(rows)), to_array(std::move(present)));
}

Bitmap bitmap_of(const Snapshot& snapshot, std::size_t entry, const Matches* matches) {
  const Bitmap* allowed = snapshot.allowed(entry, matches);
  return allowed ? *allowed : Bitmap(snapshot.entries()[entry].rows->size(), true);
}

nb::list facet_counts(const Snapshot& snapshot, const std::string& path, const Matches* matches, const Cancel& cancel) {
  const Path parsed = Path::parse(path);
  nb::list parts;
  for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
    const SlotNames none;
    const auto source = snapshot.source(i, none);
    std::vector<std::pair<Scalar, std::uint64_t>> counts;
    {
      nb::gil_scoped_release unlocked;
      counts = facet(parsed, *source, bitmap_of(snapshot, i, matches), cancel);
    }
    nb::list part;
    for (const auto& [value, count] : counts) part.append(nb::make_tuple(to_python(value), count));
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

std::shared_ptr<const Segment> open_segment(std::uint64_t key, const Container& ids, const Container& fields, const std::vector<Container>& vectors,
                                            const std::vector<Container>& graphs, const std::vector<Container>& indexes) {
  nb::gil_scoped_release unlocked;
  return Segment::open(key, ids, fields, vectors, graphs, indexes);
}

const Segment& segment_at(const Snapshot& snapshot, std::uint64_t key) {
  for (const Entry& entry : snapshot.entries())
    if (entry.rows->key() == key)
      if (const auto* segment = dynamic_cast<const Segment*>(entry.rows.get())) return *segment;
  throw InvalidArgument("there is no sealed segment with key " + std::to_string(key));
}

nb::bytes build_segment_graph(const Snapshot& snapshot, std::uint64_t key, std::uint32_t slot, unsigned threads, const Cancel& cancel) {
  const Segment& segment = segment_at(snapshot, key);
  const auto chunks = segment.chunks(slot);
  if (chunks.empty()) throw InvalidArgument("the segment has no vectors in slot " + std::to_string(slot));
  std::vector<std::uint8_t> graph;
  {
    nb::gil_scoped_release unlocked;
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < segment.size(); ++row)
      if (segment.vector(slot, row)) rows.push_back(row);
    Metric metric = Metric::l2;
    for (const ColumnSpec& spec : segment.columns())
      if (spec.slot == slot) metric = spec.metric;
    graph = build_graph(chunks[0].block, rows, metric, GraphParams{}, threads, cancel, nullptr);
  }
  return to_bytes(Bytes{graph.data(), graph.size()});
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

void bind_snapshot(nb::module_& m) {
  nb::class_<Matches>(m, "Matches", "Live rows of a snapshot that meet a condition.")
      .def_ro("count", &Matches::count)
      .def_ro("counts", &Matches::counts)
      .def_prop_ro("rows_scanned", [](const Matches& matches) { return matches.stats.rows_scanned; })
      .def_prop_ro("paths_indexed", [](const Matches& matches) {
        return std::vector<std::string>(matches.stats.paths_indexed.begin(), matches.stats.paths_indexed.end());
      })
      .def_prop_ro("paths_scanned", [](const Matches& matches) {
        return std::vector<std::string>(matches.stats.paths_scanned.begin(), matches.stats.paths_scanned.end());
      });

  nb::class_<Snapshot>(m, "Snapshot", "One consistent state of a shard. Safe to use from any thread.")
      .def_prop_ro("version", [](const Snapshot& s) { return s.version(); })
      .def_prop_ro("n_records", &Snapshot::n_records)
      .def_prop_ro("entries", &entry_infos)
      .def("find", [](const Snapshot& s, const nb::list& ids) {
        std::vector<std::int64_t> found;
        for (nb::handle id : ids) {
          const std::string encoded = encode_id(id);
          found.push_back(s.find({reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()}));
        }
        return to_array(std::move(found));
      }, "ids"_a, "Locator of each id, -1 where there is no live record.")
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
      .def("search", &search, "column"_a, "queries"_a, "k"_a, "ef"_a, "exact"_a, "matches"_a.none(), "documents"_a, "cancel"_a)
      .def("locators", &locators, "matches"_a.none(), "after"_a, "limit"_a)
      .def("facet", &facet_counts, "path"_a, "matches"_a.none(), "cancel"_a)
      .def("ordered", &ordered, "path"_a, "matches"_a.none(), "descending"_a, "cancel"_a)
      .def("tombstones", &tombstone_words, "entry"_a)
      .def("patch", [](const Snapshot& s, std::size_t entry) {
        const Overlay::Image image = s.entries().at(entry).overlay->image(s.version());
        return nb::make_tuple(to_bytes(image.rows), to_bytes(image.versions), to_bytes(image.offsets), to_bytes(image.documents));
      }, "entry"_a)
      .def("build_graph", &build_segment_graph, "key"_a, "slot"_a, "threads"_a, "cancel"_a)
      .def("build_index", &build_segment_index, "key"_a, "path"_a, "kind"_a, "cancel"_a)
      .def("verify", [](const Snapshot& s, std::uint64_t key) {
        nb::gil_scoped_release unlocked;
        segment_at(s, key).verify();
      }, "key"_a, "Checks every checksum, offset, id and document of a sealed segment.");
}

/// Runs `make`, which returns a std::string, without the GIL.
template <class Make>
nb::bytes released(Make&& make) {
  std::string made;
  {
    nb::gil_scoped_release unlocked;
    made = make();
  }
  return to_bytes(made);
}

void bind_rewrite(nb::module_& m) {
  nb::class_<Rewrite>(m, "Rewrite", "The live rows of some entries as the sections of new files.")
      .def("__init__", [](Rewrite* self, std::shared_ptr<const Snapshot> snapshot, std::vector<std::size_t> inputs, bool keep_rows) {
        nb::gil_scoped_release unlocked;
        new (self) Rewrite(std::move(snapshot), std::move(inputs), keep_rows);
      }, "snapshot"_a, "inputs"_a, "keep_rows"_a = false)
      .def_prop_ro("n_rows", &Rewrite::n_rows)
      .def("ids", [](const Rewrite& r) {
        IdMap::Image image;
        {
          nb::gil_scoped_release unlocked;
          image = r.ids();
        }
        return nb::make_tuple(to_bytes(image.meta), to_bytes(image.bytes), to_bytes(image.offsets), to_bytes(image.table), to_bytes(image.tags));
      })
      .def("versions", [](const Rewrite& r) { return to_bytes(r.versions()); })
      .def("document_offsets", [](const Rewrite& r) { return to_bytes(r.document_offsets()); })
      .def("documents", [](const Rewrite& r, std::uint32_t first, std::uint32_t count) {
        return released([&] { return r.documents(first, count); });
      }, "first"_a, "count"_a)
      .def("has_column", [](const Rewrite& r, const Column& c) { return r.has_column(spec_of(c)); }, "column"_a)
      .def("column_meta", [](const Rewrite& r, const Column& c) { return to_bytes(r.column_meta(spec_of(c))); }, "column"_a)
      .def("vectors", [](const Rewrite& r, const Column& c, std::uint32_t first, std::uint32_t count) {
        return released([&] { return r.vectors(spec_of(c), first, count); });
      }, "column"_a, "first"_a, "count"_a)
      .def("norms", [](const Rewrite& r, const Column& c, std::uint32_t first, std::uint32_t count) {
        return released([&] { return r.norms(spec_of(c), first, count); });
      }, "column"_a, "first"_a, "count"_a)
      .def("presence", [](const Rewrite& r, const Column& c) { return to_bytes(r.presence(spec_of(c))); }, "column"_a);
}

void bind_state(nb::module_& m) {
  nb::class_<Segment>(m, "Segment", "A sealed segment, opened from its containers.");
  m.def("open_segment", &open_segment, "key"_a, "ids"_a, "fields"_a, "vectors"_a, "graphs"_a, "indexes"_a);

  nb::class_<ShardState>(m, "ShardState", "The state machine of one shard; one writer, any number of readers of its snapshots.")
      .def(nb::init<std::uint64_t, bool>(), "version"_a, "lenient"_a = false)
      .def("add_segment", [](ShardState& s, std::shared_ptr<const Segment> segment, const Container* tombstones, const Container* patch) {
        s.add_segment(std::move(segment), tombstones, patch);
      }, "segment"_a, "tombstones"_a.none(), "patch"_a.none())
      .def_prop_ro("version", &ShardState::version)
      .def_prop_ro("head_rows", &ShardState::head_rows)
      .def_prop_ro("head_bytes", &ShardState::head_bytes)
      .def_prop_ro("n_frozen", &ShardState::n_frozen)
      .def("apply", [](ShardState& s, std::uint8_t type, const nb::bytes& payload, std::uint64_t version) {
        const Bytes bytes{reinterpret_cast<const std::uint8_t*>(payload.c_str()), payload.size()};
        nb::gil_scoped_release unlocked;
        s.apply(static_cast<RecordType>(type), bytes, version);
      }, "type"_a, "payload"_a, "version"_a)
      .def("replay", [](ShardState& s, const Blob& log, std::size_t offset, const std::string& name, std::uint64_t until) {
        ReplayOutcome outcome;
        {
          nb::gil_scoped_release unlocked;
          outcome = s.replay(log.bytes(), offset, name, until);
        }
        nb::list controls;
        for (const auto& control : outcome.controls) controls.append(nb::make_tuple(control.version, control.time_us, to_bytes(control.payload)));
        return nb::make_tuple(outcome.end, outcome.last_time_us, controls);
      }, "log"_a, "offset"_a, "name"_a, "until"_a)
      .def("publish", [](ShardState& s) {
        nb::gil_scoped_release unlocked;
        return std::const_pointer_cast<Snapshot>(s.publish());
      })
      .def("snapshot", [](const ShardState& s) { return std::const_pointer_cast<Snapshot>(s.snapshot()); })
      .def("base", [](const ShardState& s) { return std::const_pointer_cast<Snapshot>(s.base()); })
      .def("freeze", [](ShardState& s) { return std::const_pointer_cast<Snapshot>(s.freeze()); })
      .def("live_versions", [](const ShardState& s, const nb::list& ids) {
        std::vector<std::uint64_t> versions;
        for (nb::handle id : ids) {
          const std::string encoded = encode_id(id);
          versions.push_back(s.live_version({reinterpret_cast<const std::uint8_t*>(encoded.data()), encoded.size()}));
        }
        return to_array(std::move(versions));
      }, "ids"_a, "Version of the live record of each id with everything applied; 0 where there is none.")
      .def("install", [](ShardState& s, const Rewrite& rewrite, std::shared_ptr<const Segment> output, bool advances_base) {
        nb::gil_scoped_release unlocked;
        s.install(rewrite, std::move(output), advances_base);
      }, "rewrite"_a, "output"_a.none(), "advances_base"_a)
      .def("attach_graph", [](ShardState& s, std::uint64_t key, const Container& graph) { s.replace(segment_at(*s.snapshot(), key).with_graph(graph)); },
           "key"_a, "graph"_a)
      .def("attach_index", [](ShardState& s, std::uint64_t key, const Container& index) { s.replace(segment_at(*s.snapshot(), key).with_index(index)); },
           "key"_a, "index"_a)
      .def("drop_index", [](ShardState& s, std::uint64_t key, const std::string& path) { s.replace(segment_at(*s.snapshot(), key).without_indexes(path)); },
           "key"_a, "path"_a)
      .def("drop_column", [](ShardState& s, std::uint64_t key, std::uint32_t slot) { s.replace(segment_at(*s.snapshot(), key).without_column(slot)); },
           "key"_a, "slot"_a)
      .def("replace_fields", [](ShardState& s, std::uint64_t key, const Container& fields, std::uint64_t bound) {
        s.replace_fields(segment_at(*s.snapshot(), key).with_fields(fields), bound);
      }, "key"_a, "fields"_a, "bound"_a)
      .def("next_key", &ShardState::next_key)
      .def_prop_ro("memory_bytes", &ShardState::memory_bytes);
}

}  // namespace

void bind_shard(nb::module_& m) {
  nb::enum_<Dtype>(m, "Dtype", "How the numbers of a vector are stored.")
      .value("float32", Dtype::float32)
      .value("float16", Dtype::float16)
      .value("int8", Dtype::int8)
      .value("uint8", Dtype::uint8)
      .value("binary", Dtype::binary);
  nb::enum_<Metric>(m, "Metric", "How far apart two vectors are.")
      .value("cosine", Metric::cosine)
      .value("dot", Metric::dot)
      .value("l2", Metric::l2)
      .value("l1", Metric::l1)
      .value("hamming", Metric::hamming)
      .value("jaccard", Metric::jaccard);
  nb::class_<Cancel>(m, "Cancel", "Stops a long call: `cancel()` from another thread, a timeout in seconds, or Ctrl-C in the main thread.")
      .def("__init__", [](Cancel* self, std::optional<double> timeout, bool signals) {
        new (self) Cancel(timeout);
        if (signals)
          self->set_poll([] {
            nb::gil_scoped_acquire locked;
            if (PyErr_CheckSignals()) throw nb::python_error();
          });
      }, "timeout"_a = nb::none(), "signals"_a = false)
      .def("cancel", &Cancel::cancel)
      .def_prop_ro("cancelled", &Cancel::cancelled);

  m.def("encode_upsert", &encode_upsert_payload, "ids"_a, "documents"_a, "offsets"_a, "columns"_a,
        "Log payload of an upsert; documents and offsets as encode_documents returns them.");
  m.def("encode_delete", [](const nb::list& ids) { return to_bytes(encode_delete(ids_to_write(ids))); }, "ids"_a);
  m.def("encode_fields", [](const nb::list& ids, const nb::bytes& documents, const OffsetArray& offsets) {
    return to_bytes(encode_fields(ids_to_write(ids), documents_to_write(documents, offsets)));
  }, "ids"_a, "documents"_a, "offsets"_a);
  bind_snapshot(m);
  bind_rewrite(m);
  bind_state(m);
}

}  // namespace vicino::bind
