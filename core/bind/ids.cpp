#include "bind/ids.h"

#include <cstring>

#include "util/errors.h"

namespace nb = nanobind;

namespace vicino::bind {

namespace {

enum Tag : char { kInt64 = 1, kText = 2, kUuid = 3, kBigInt = 4 };

nb::object& uuid_class() {
  // Looked up once and kept for the life of the process: the class object outlives every caller, a static destructor would not.
  static nb::object* cls = new nb::object(nb::module_::import_("uuid").attr("UUID"));
  return *cls;
}

std::string encode_big_int(nb::handle id) {
  const std::size_t bits = nb::cast<std::size_t>(id.attr("bit_length")());
  nb::object bytes = id.attr("to_bytes")(bits / 8 + 1, "little", nb::arg("signed") = true);
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size)) throw nb::python_error();
  return std::string(1, kBigInt) + std::string(data, static_cast<std::size_t>(size));
}

}  // namespace

std::string encode_id(nb::handle id) {
  PyObject* object = id.ptr();
  if (PyLong_CheckExact(object) || (PyLong_Check(object) && !PyBool_Check(object))) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (value == -1 && PyErr_Occurred()) throw nb::python_error();
    if (overflow) return encode_big_int(id);
    std::string encoded(9, kInt64);
    std::memcpy(encoded.data() + 1, &value, 8);
    return encoded;
  }
  if (PyUnicode_Check(object)) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) {
      PyErr_Clear();
      throw nb::value_error("an id must be valid Unicode text, got a string with an unpaired surrogate");
    }
    return std::string(1, kText) + std::string(text, static_cast<std::size_t>(size));
  }
  if (nb::isinstance(id, uuid_class())) {
    nb::object bytes = id.attr("bytes");
    return std::string(1, kUuid) + std::string(PyBytes_AS_STRING(bytes.ptr()), 16);
  }
  const std::string type = nb::cast<std::string>(nb::str(id.type().attr("__name__")));
  throw nb::type_error(("an id must be an int, a str or a uuid.UUID, got " + type).c_str());
}

nb::object decode_id(Bytes encoded) {
  if (encoded.empty()) throw CorruptionError("an encoded id is empty");
  const char* data = reinterpret_cast<const char*>(encoded.data()) + 1;
  const std::size_t size = encoded.size() - 1;
  switch (encoded[0]) {
    case kInt64: {
      long long value;
      if (size != 8) break;
      std::memcpy(&value, data, 8);
      return nb::steal(PyLong_FromLongLong(value));
    }
    case kText:
      return nb::steal(PyUnicode_DecodeUTF8(data, static_cast<Py_ssize_t>(size), "strict"));
    case kUuid:
      if (size != 16) break;
      return uuid_class()(nb::arg("bytes") = nb::bytes(data, size));
    case kBigInt:
      return nb::module_::import_("builtins").attr("int").attr("from_bytes")(nb::bytes(data, size), "little", nb::arg("signed") = true);
    default: break;
  }
  throw CorruptionError("an encoded id has the unknown tag " + std::to_string(encoded[0]) + " or a wrong length");
}

}  // namespace vicino::bind
