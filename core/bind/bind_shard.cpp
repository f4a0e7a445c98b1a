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
#include "bind/piece_writing.h"
#include "bind/shard_types.h"
#include "shard/state.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

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

/// values: (slot, kind, dim, dtype, metric, bytes, offsets)
using ValuesArgument = std::tuple<std::uint32_t, ValueKind, std::uint32_t, Dtype, Metric, nb::bytes, OffsetArray>;

nb::bytes encode_upsert_payload(const nb::list& ids, const nb::bytes& documents, const OffsetArray& offsets,
                                const std::vector<ColumnToWrite>& columns, const std::vector<ValuesArgument>& values) {
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
  std::vector<ValuesToWrite> written;
  for (const auto& [slot, kind, dim, dtype, metric, data, value_offsets] : values) {
    written.push_back({{slot, kind, dim, dtype, metric}, documents_to_write(data, value_offsets)});
    if (written.back().values.offsets.size() != id_column.offsets.size()) throw InvalidArgument("as many values as ids are needed");
  }
  // Rows are copied once, into the object that is returned: fresh memory for another copy costs as much as the copy.
  const std::size_t size = upsert_size(id_column, document_column, vectors, written);
  nb::bytes payload = nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
  if (!payload.is_valid()) throw nb::python_error();
  auto* out = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(payload.ptr()));
  {
    nb::gil_scoped_release unlocked;
    encode_upsert(id_column, document_column, vectors, written, out);
  }
  return payload;
}

std::shared_ptr<const Segment> open_segment(std::uint64_t key, const Container& ids, const Container& fields, const std::vector<Container>& vectors,
                                            const std::vector<Container>& graphs, const std::vector<Container>& indexes,
                                            const std::vector<Container>& values, const std::vector<Container>& terms,
                                            const std::vector<Container>& multis) {
  nb::gil_scoped_release unlocked;
  return Segment::open(key, ids, fields, vectors, graphs, indexes, values, terms, multis);
}

VectorIndexParams lists_params(const std::string& kind, std::uint32_t nlist, std::uint32_t subvectors, std::uint32_t bits, bool copies,
                               const std::string& codes) {
  VectorIndexParams params{kind, nlist, subvectors, bits, copies};
  params.codes = codes;
  return params;
}

void bind_rewrite(nb::module_& m) {
  nb::class_<Rewrite>(m, "Rewrite", "The live rows of some entries as the sections of new files.")
      .def("__init__", [](Rewrite* self, std::shared_ptr<const Snapshot> snapshot, std::vector<std::size_t> inputs, bool keep_rows) {
        nb::gil_scoped_release unlocked;
        new (self) Rewrite(std::move(snapshot), std::move(inputs), keep_rows);
      }, "snapshot"_a, "inputs"_a, "keep_rows"_a = false)
      .def_prop_ro("n_rows", &Rewrite::n_rows)
      .def("order_by_lists", [](Rewrite& r, const Column& c, bool coded, unsigned threads, const Cancel& cancel, const std::string& kind,
                                std::uint32_t nlist, std::uint32_t subvectors, std::uint32_t bits, bool copies, const std::string& codes,
                                std::uint32_t sample) {
        nb::gil_scoped_release unlocked;
        VectorIndexParams params = lists_params(kind, nlist, subvectors, bits, copies, codes);
        params.sample = sample;
        r.order_by_lists(spec_of(c), params, coded, threads, cancel);
      }, "column"_a, "coded"_a, "threads"_a, "cancel"_a, "kind"_a, "nlist"_a = 0, "subvectors"_a = 0, "bits"_a = 4, "copies"_a = false,
           "codes"_a = "auto", "sample"_a = 64,
           "Puts the rows into the order of inverted lists over one vector, before anything is written.")
      .def("write_lists", [](Rewrite& r, const Segment& written, const Column& c, unsigned threads, const Cancel& cancel, const nb::callable& write,
                             const std::string& kind, std::uint32_t nlist, std::uint32_t subvectors, std::uint32_t bits, bool copies,
                             const std::string& codes) {
        nb::gil_scoped_release unlocked;
        PieceWriter out = writer_of(write);
        r.write_lists(written, spec_of(c), lists_params(kind, nlist, subvectors, bits, copies, codes), threads, cancel, out);
      }, "written"_a, "column"_a, "threads"_a, "cancel"_a, "write"_a, "kind"_a, "nlist"_a = 0, "subvectors"_a = 0, "bits"_a = 4, "copies"_a = false,
           "codes"_a = "auto", "Calls `write` with the bytes of the index of these lists over the segment that was written, piece by piece.")
      .def("carry_codes", [](const Rewrite& r, const Segment& written, const std::vector<std::uint32_t>& slots) {
        nb::gil_scoped_release unlocked;
        r.carry_codes(written, slots);
      }, "written"_a, "slots"_a, "Codes of the one head that was sealed serve the segment that was written of it too.")
      .def("working_bytes", [](const Rewrite& r, std::size_t slice_bytes) {
        nb::gil_scoped_release unlocked;
        return r.working_bytes(slice_bytes);
      }, "slice_bytes"_a, "Upper bound of the memory that writing it takes, in slices of this size or one row.")
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
      .def("column_meta", [](const Rewrite& r, const Column& c, bool coded) { return to_bytes(r.column_meta(spec_of(c), coded)); }, "column"_a, "coded"_a = false)
      .def("vectors", [](const Rewrite& r, const Column& c, std::uint32_t first, std::uint32_t count, bool coded) {
        return released([&] { return r.vectors(spec_of(c), first, count, coded); });
      }, "column"_a, "first"_a, "count"_a, "coded"_a = false, "Rows as they were written, or in 8 bits a number.")
      .def("norms", [](const Rewrite& r, const Column& c, std::uint32_t first, std::uint32_t count, bool coded) {
        return released([&] { return r.norms(spec_of(c), first, count, coded); });
      }, "column"_a, "first"_a, "count"_a, "coded"_a = false)
      .def("presence", [](const Rewrite& r, const Column& c) { return to_bytes(r.presence(spec_of(c))); }, "column"_a)
      .def("has_values", [](const Rewrite& r, const Values& c) {
        nb::gil_scoped_release unlocked;
        return r.has_values(spec_of(c));
      }, "column"_a)
      .def("value_meta", [](const Rewrite& r, const Values& c) { return to_bytes(r.value_meta(spec_of(c))); }, "column"_a)
      .def("value_offsets", [](const Rewrite& r, const Values& c) { return released([&] { return r.value_offsets(spec_of(c)); }); }, "column"_a)
      .def("values", [](const Rewrite& r, const Values& c, std::uint32_t first, std::uint32_t count) {
        return released([&] { return r.values(spec_of(c), first, count); });
      }, "column"_a, "first"_a, "count"_a)
      .def("terms_bytes", [](const Rewrite& r, const Values& c) {
        nb::gil_scoped_release unlocked;
        return r.terms_bytes(spec_of(c));
      }, "column"_a, "Upper bound of the memory that `terms` takes.")
      .def("multi_index", [](const Rewrite& r, const Values& c, unsigned threads, const Cancel& cancel) {
        std::vector<std::uint8_t> index;
        {
          nb::gil_scoped_release unlocked;
          index = r.multi_index(spec_of(c), threads, cancel);
        }
        return to_bytes(Bytes{index.data(), index.size()});
      }, "column"_a, "threads"_a, "cancel"_a, "What makes search over a multi-vector fast.")
      .def("terms", [](const Rewrite& r, const Values& c, const Cancel& cancel) {
        TermsBuilder::Image image;
        {
          nb::gil_scoped_release unlocked;
          image = r.terms(spec_of(c), cancel);
        }
        return to_sections(image);
      }, "column"_a, "cancel"_a, "The inverted index of a text or sparse column: (name, bytes) of each section.");
}

void bind_state(nb::module_& m) {
  nb::class_<Segment>(m, "Segment", "A sealed segment, opened from its containers.")
      .def("finish_codes", [](const Segment& s, const Cancel& cancel) {
        nb::gil_scoped_release unlocked;
        s.finish_codes(cancel);
      }, "cancel"_a, "Makes those of rows that codes which were carried over do not reach.");
  m.def("open_segment", &open_segment, "key"_a, "ids"_a, "fields"_a, "vectors"_a, "graphs"_a, "indexes"_a,
        "values"_a = std::vector<Container>{}, "terms"_a = std::vector<Container>{}, "multis"_a = std::vector<Container>{});

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
        std::vector<std::string> encoded;
        for (nb::handle id : ids) encoded.push_back(encode_id(id));
        std::vector<std::uint64_t> versions;
        {
          nb::gil_scoped_release unlocked;  // a writer may hold the state's lock for as long as it applies
          for (const std::string& id : encoded) versions.push_back(s.live_version({reinterpret_cast<const std::uint8_t*>(id.data()), id.size()}));
        }
        return to_array(std::move(versions));
      }, "ids"_a, "Version of the live record of each id with everything applied; 0 where there is none.")
      .def("install", [](ShardState& s, const Rewrite& rewrite, std::shared_ptr<const Segment> output, bool advances_base) {
        nb::gil_scoped_release unlocked;
        s.install(rewrite, std::move(output), advances_base);
      }, "rewrite"_a, "output"_a.none(), "advances_base"_a)
      .def("drop_vector_index", [](ShardState& s, std::uint64_t key, std::uint32_t slot) {
        s.replace(segment_at(*s.snapshot(), key).without_vector_index(slot));
      }, "key"_a, "slot"_a)
      .def("attach_vector_index", [](ShardState& s, std::uint64_t key, const Container& index) {
        s.replace(segment_at(*s.snapshot(), key).with_vector_index(index));
      }, "key"_a, "index"_a)
      .def("attach_terms", [](ShardState& s, std::uint64_t key, const Container& terms) { s.replace(segment_at(*s.snapshot(), key).with_terms(terms)); },
           "key"_a, "terms"_a)
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
      .def("keep_graphs_in_memory", [](ShardState& s) {
        nb::gil_scoped_release unlocked;
        s.keep_graphs_in_memory();
      })
      .def("ask_for_codes", [](ShardState& s, const nb::callable& has_room) {
        // The last segment that asks may be let go by a thread without the interpreter's lock.
        const std::shared_ptr<nb::callable> held(new nb::callable(has_room), [](nb::callable* kept) {
          nb::gil_scoped_acquire locked;
          delete kept;
        });
        nb::gil_scoped_release unlocked;
        s.ask_for_codes([held] {
          nb::gil_scoped_acquire locked;
          return nb::cast<bool>((*held)());
        });
      }, "has_room"_a, "Who says whether there is room for codes of segments without an index, which are counted by then.")
      .def("give_up_codes", [](ShardState& s, std::optional<std::uint32_t> slot) {
        nb::gil_scoped_release unlocked;
        s.give_up_codes(slot);
      }, "slot"_a = nb::none(), "Frees the codes of segments without an index.")
      .def("take_codes", [](ShardState& s, const ShardState& before) {
        nb::gil_scoped_release unlocked;
        s.take_codes(before);
      }, "before"_a, "Goes on from codes of segments that a state of the same shard had opened before.")
      .def_prop_ro("memory_bytes", [](const ShardState& s) {
        nb::gil_scoped_release unlocked;
        return s.memory_bytes();
      });
}

}  // namespace

void bind_shard(nb::module_& m) {
  nb::enum_<Dtype>(m, "Dtype", "How the numbers of a vector are stored.")
      .value("float32", Dtype::float32)
      .value("float16", Dtype::float16)
      .value("int8", Dtype::int8)
      .value("uint8", Dtype::uint8)
      .value("binary", Dtype::binary)
      .value("coded", Dtype::coded);
  nb::enum_<Metric>(m, "Metric", "How far apart two vectors are.")
      .value("cosine", Metric::cosine)
      .value("dot", Metric::dot)
      .value("l2", Metric::l2)
      .value("l1", Metric::l1)
      .value("hamming", Metric::hamming)
      .value("jaccard", Metric::jaccard);
  nb::enum_<ValueKind>(m, "ValueKind", "What a value column holds.")
      .value("text", ValueKind::text)
      .value("sparse", ValueKind::sparse)
      .value("multi", ValueKind::multi);
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
      .def("check", [](const Cancel& self) { self.check(); }, "Raise TimeoutError once the time has passed or the call was cancelled.")
      .def_prop_ro("cancelled", &Cancel::cancelled);

  m.def("row_bytes", [](Dtype dtype, std::uint32_t dim) { return row_bytes(dtype, dim); }, "dtype"_a, "dim"_a, "Bytes of one stored vector.");
  m.def("encode_upsert", &encode_upsert_payload, "ids"_a, "documents"_a, "offsets"_a, "columns"_a,
        "values"_a = std::vector<ValuesArgument>{},
        "Log payload of an upsert; documents and offsets as encode_documents returns them.");
  m.def("encode_delete", [](const nb::list& ids) { return to_bytes(encode_delete(ids_to_write(ids))); }, "ids"_a);
  m.def("encode_fields", [](const nb::list& ids, const nb::bytes& documents, const OffsetArray& offsets) {
    return to_bytes(encode_fields(ids_to_write(ids), documents_to_write(documents, offsets)));
  }, "ids"_a, "documents"_a, "offsets"_a);
  bind_snapshot(m);
  bind_pages(m);
  bind_rewrite(m);
  bind_state(m);
}

}  // namespace vicino::bind
