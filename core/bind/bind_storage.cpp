#include "bind/bind.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "storage/checksum.h"
#include "storage/container.h"
#include "storage/log.h"
#include "util/blob.h"
#include "util/errors.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

/// A Python buffer held open. Released under the GIL, and not at all once the interpreter is gone.
struct HeldBuffer {
  Py_buffer view{};
  explicit HeldBuffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE)) throw nb::python_error();
  }
  HeldBuffer(const HeldBuffer&) = delete;
  HeldBuffer& operator=(const HeldBuffer&) = delete;
  ~HeldBuffer() {
    if (!Py_IsInitialized()) return;
    const nb::gil_scoped_acquire gil;
    PyBuffer_Release(&view);
  }
  Bytes bytes() const { return {static_cast<const std::uint8_t*>(view.buf), static_cast<std::size_t>(view.len)}; }
};

Blob blob_of(nb::handle object) {
  auto held = std::make_shared<HeldBuffer>(object);
  const Bytes bytes = held->bytes();
  return {bytes, std::move(held)};
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Blob& blob = *nb::inst_ptr<Blob>(self);
  // An empty blob has no address; Python wants one all the same.
  static std::uint8_t nothing = 0;
  void* data = blob.size() ? const_cast<std::uint8_t*>(blob.data()) : &nothing;
  return PyBuffer_FillInfo(view, self, data, static_cast<Py_ssize_t>(blob.size()), /*readonly=*/1, flags);
}

PyType_Slot blob_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

nb::bytes to_bytes(const std::string& text) { return nb::bytes(text.data(), text.size()); }

/// Gives up the GIL only where the work is long enough to be worth it.
constexpr std::size_t kReleaseGilBytes = 64 << 10;

template <class Checksum>
std::uint32_t checksum_of(nb::handle data, std::uint32_t value, Checksum&& checksum) {
  const HeldBuffer held(data);
  if (held.bytes().size() < kReleaseGilBytes) return checksum(held.bytes(), value);
  const nb::gil_scoped_release release;
  return checksum(held.bytes(), value);
}

using SectionTuple = std::tuple<std::string, std::uint64_t, std::uint64_t, std::vector<std::uint32_t>>;

nb::bytes container_end(const std::vector<SectionTuple>& tuples, std::uint64_t table_offset) {
  std::vector<Section> sections;
  for (const auto& [name, offset, size, checksums] : tuples) sections.push_back({name, offset, size, checksums});
  return to_bytes(encode_container_end(sections, table_offset));
}

std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> section_list(const Container& container) {
  std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> list;
  for (const Section& section : container.sections()) list.emplace_back(section.name, section.offset, section.size);
  return list;
}

nb::bytes log_header(std::uint64_t nonce, std::uint8_t type, std::uint64_t version, std::uint64_t time_us, std::uint64_t durable,
                     nb::sequence payload) {
  std::vector<std::unique_ptr<HeldBuffer>> held;
  std::vector<Bytes> parts;
  std::size_t size = 0;
  for (nb::handle part : payload) {
    held.push_back(std::make_unique<HeldBuffer>(part));
    parts.push_back(held.back()->bytes());
    size += parts.back().size();
  }
  std::string header;
  if (size < kReleaseGilBytes) {
    header = encode_log_header(nonce, type, version, time_us, durable, parts);
  } else {
    const nb::gil_scoped_release release;
    header = encode_log_header(nonce, type, version, time_us, durable, parts);
  }
  return to_bytes(header);
}

/// A LogReader together with the blob it reads.
struct OpenLog {
  Blob blob;
  LogReader reader;
  OpenLog(Blob file, std::size_t offset, std::string name) : blob(std::move(file)), reader(blob.bytes(), offset, std::move(name)) {}
};

nb::object next_record(OpenLog& log) {
  LogRecord record;
  if (!log.reader.next(record)) return nb::none();
  const auto offset = static_cast<std::size_t>(record.payload.data() - log.blob.data());
  return nb::make_tuple(record.type, record.version, record.time_us, record.durable, log.blob.part(offset, record.payload.size()),
                        record.start, record.end);
}

std::size_t skip_to_end(OpenLog& log) {
  const nb::gil_scoped_release release;
  LogRecord record;
  std::size_t count = 0;
  while (log.reader.next(record)) ++count;
  return count;
}

void bind_blob(nb::module_& m) {
  nb::class_<Blob>(m, "Blob", nb::type_slots(blob_slots), "Immutable bytes that keep their owner alive; supports the buffer protocol.")
      .def("__init__", [](Blob* self, nb::handle data) { new (self) Blob(blob_of(data)); }, "data"_a)
      .def("__len__", &Blob::size)
      .def_prop_ro("size", &Blob::size)
      .def("part", [](const Blob& self, std::size_t offset, std::size_t size) {
        if (offset > self.size() || size > self.size() - offset)
          throw InvalidArgument("bytes " + std::to_string(offset) + " to " + std::to_string(offset + size) + " of a blob of " + std::to_string(self.size()));
        return self.part(offset, size);
      }, "offset"_a, "size"_a, "A part of this blob, sharing its owner.");
  m.def("map_file", &map_file, "path"_a, nb::call_guard<nb::gil_scoped_release>(), "Map a file read-only.");
}

void bind_checksum(nb::module_& m) {
  m.def("crc32c", [](nb::handle data, std::uint32_t value) { return checksum_of(data, value, crc32c); }, "data"_a, "value"_a = 0,
        "CRC32C of a buffer, continuing from `value`.");
  m.def("crc32c_portable", [](nb::handle data, std::uint32_t value) { return checksum_of(data, value, crc32c_portable); }, "data"_a,
        "value"_a = 0, "CRC32C without the processor's instruction.");
  m.def("crc32c_reference", [](nb::handle data, std::uint32_t value) { return checksum_of(data, value, crc32c_reference); }, "data"_a,
        "value"_a = 0, "CRC32C one byte at a time, for tests.");
}

void bind_container(nb::module_& m) {
  nb::class_<Container>(m, "Container", "An opened immutable file: named, checksummed sections.")
      .def_static("open", &Container::open, "blob"_a, "name"_a)
      .def_prop_ro("name", &Container::name)
      .def_prop_ro("kind", &Container::kind)
      .def_prop_ro("size", &Container::size)
      .def_prop_ro("sections", &section_list, "(name, offset, size) of every section, in the order of the file.")
      .def("section", [](const Container& self, const std::string& name) { return self.section(name); }, "name"_a)
      .def("find", [](const Container& self, const std::string& name) { return self.find(name); }, "name"_a)
      .def("expect_kind", [](const Container& self, const std::string& kind) { self.expect_kind(kind); }, "kind"_a)
      .def("verify", [](const Container& self) { self.verify(); }, nb::call_guard<nb::gil_scoped_release>(), "Check all checksums.");
  m.def("encode_container_header", [](const std::string& kind) { return to_bytes(encode_container_header(kind)); }, "kind"_a);
  m.def("encode_container_end", &container_end, "sections"_a, "table_offset"_a,
        "Section table and trailer for sections given as (name, offset, size, checksums).");
  m.attr("SECTION_ALIGNMENT") = kSectionAlignment;
  m.attr("CHECKSUM_BLOCK") = kChecksumBlock;
}

void bind_log(nb::module_& m) {
  m.def("encode_log_file_header", [](std::uint64_t number, std::uint64_t nonce, std::uint64_t previous_size,
                                    std::uint64_t previous_version) {
    return to_bytes(encode_log_file_header({number, nonce, previous_size, previous_version}));
  }, "number"_a, "nonce"_a, "previous_size"_a, "previous_version"_a);
  m.def("encode_log_header", &log_header, "nonce"_a, "type"_a, "version"_a, "time_us"_a, "durable"_a, "payload"_a,
        "The bytes before a payload that is given as a sequence of buffers.");
  nb::class_<OpenLog>(m, "LogReader", "Reads one log file front to back.")
      .def(nb::init<Blob, std::size_t, std::string>(), "blob"_a, "offset"_a, "name"_a)
      .def("next", &next_record, "The next (type, version, time_us, durable, payload, start, end), or None.")
      .def("skip_to_end", &skip_to_end, "Check all remaining records and return how many there were.")
      .def_prop_ro("end", [](const OpenLog& self) { return self.reader.end(); })
      .def_prop_ro("torn", [](const OpenLog& self) { return self.reader.torn(); })
      .def_prop_ro("proven", [](const OpenLog& self) { return self.reader.proven(); })
      .def_prop_ro("marked", [](const OpenLog& self) { return self.reader.marked(); })
      .def_prop_ro("version", [](const OpenLog& self) { return self.reader.version(); })
      .def_prop_ro("number", [](const OpenLog& self) { return self.reader.header().number; })
      .def_prop_ro("nonce", [](const OpenLog& self) { return self.reader.header().nonce; })
      .def_prop_ro("previous_size", [](const OpenLog& self) { return self.reader.header().previous_size; });
  m.attr("LOG_FILE_HEADER_SIZE") = kLogFileHeaderSize;
  m.attr("LOG_RECORD_HEADER_SIZE") = kLogRecordHeaderSize;
  m.attr("LOG_MARK") = kLogMark;
}

}  // namespace

void bind_storage(nb::module_& m) {
  bind_blob(m);
  bind_checksum(m);
  bind_container(m);
  bind_log(m);
}

}  // namespace vicino::bind
