#include <nanobind/ndarray.h>

#include <vector>

#include "bind/bind.h"
#include "bind/values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

/// vicino._core.FieldValueError; made once and kept for the life of the process.
PyObject* field_value_error = nullptr;

[[noreturn]] void raise(std::size_t index, const FieldRefused& refused) {
  const std::string place = refused.path.empty() ? "" : ", field `" + refused.path + "`";
  const std::string message = "document " + std::to_string(index) + place + ": " + refused.reason;
  nb::object error = nb::borrow(field_value_error)(message);
  error.attr("index") = index;
  error.attr("path") = refused.path;
  error.attr("reason") = refused.reason;
  PyErr_SetObject(field_value_error, error.ptr());
  throw nb::python_error();
}

nb::tuple encode_documents(nb::handle documents) {
  const nb::object sequence = nb::steal(PySequence_Fast(documents.ptr(), "documents must be a list of dicts"));
  if (!sequence) throw nb::python_error();
  std::string data;
  auto* offsets = new std::vector<std::uint64_t>{0};
  nb::capsule owner(offsets, [](void* vector) noexcept { delete static_cast<std::vector<std::uint64_t>*>(vector); });
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.ptr()); ++i) {
    const nb::object document = nb::borrow(PySequence_Fast_GET_ITEM(sequence.ptr(), i));
    try {
      encode_document(document, data);
    } catch (const FieldRefused& refused) {
      raise(static_cast<std::size_t>(i), refused);
    }
    offsets->push_back(data.size());
  }
  using Offsets = nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>;
  return nb::make_tuple(nb::bytes(data.data(), data.size()), Offsets(offsets->data(), {offsets->size()}, owner));
}

/// Holds the buffer of a bytes-like object.
struct BufferView {
  explicit BufferView(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE)) throw nb::python_error();
  }
  ~BufferView() { PyBuffer_Release(&view); }
  BufferView(const BufferView&) = delete;
  Bytes bytes() const { return {static_cast<const std::uint8_t*>(view.buf), static_cast<std::size_t>(view.len)}; }
  Py_buffer view;
};

}  // namespace

void bind_fields(nb::module_& m) {
  const char* description = "A field that no document can hold: `index` of the document in the call, `path` of the value, `reason`.";
  field_value_error = PyErr_NewExceptionWithDoc("vicino._core.FieldValueError", description, PyExc_ValueError, nullptr);
  if (!field_value_error) throw nb::python_error();
  m.attr("FieldValueError") = nb::handle(field_value_error);

  m.def("encode_documents", &encode_documents, "documents"_a,
        "Encodes dicts as documents: (their bytes end to end, uint64 offsets of n + 1). Raises FieldValueError.");
  m.def(
      "decode_document", [](nb::handle document) { return decode_document(BufferView(document).bytes()); }, "document"_a,
      "The dict of one document's bytes. Datetimes are aware, in UTC. Raises CorruptionError.");
  m.def(
      "validate_document", [](nb::handle document) { validate_document(BufferView(document).bytes()); }, "document"_a,
      "Checks every byte of one document. Raises CorruptionError saying what is wrong and where.");
}

}  // namespace vicino::bind
