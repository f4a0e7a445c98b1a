// From documents to Python.
#include <array>
#include <string>

#include "bind/python_classes.h"
#include "bind/values.h"
#include "fields/datetime_text.h"

namespace nb = nanobind;

namespace vicino::bind {

namespace {

nb::object string(std::string_view text) {
  nb::object decoded = nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "strict"));
  if (decoded) return decoded;
  PyErr_Clear();
  throw CorruptionError("a field holds text that is not UTF-8; restore from a snapshot");
}

/// Names of fields as Python strings. Documents of one collection have the same few, so that each is made and hashed once; where two meet in one
/// place the later takes it. Python's lock is held by whoever asks.
class FieldNames {
 public:
  static nb::object of(std::string_view name) {
    if (name.size() > kLongest) return string(name);
    // Kept for the life of the process: a static destructor would run after the interpreter's end.
    static auto* const places = new std::array<Place, kPlaces>;
    Place& place = (*places)[place_of(name)];
    if (place.object.is_valid() && place.name == name) return place.object;
    nb::object made = string(name);
    place = {std::string(name), made};
    return made;
  }

 private:
  static constexpr std::size_t kPlaces = 512, kLongest = 64;
  struct Place {
    std::string name;
    nb::object object;
  };
  /// FNV-1a.
  static std::size_t place_of(std::string_view name) {
    std::uint32_t hash = 2166136261u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return (hash ^ hash >> 16) % kPlaces;
  }
};

nb::object datetime(std::int64_t instant) {
  if (instant < kDatetimeMin || instant > kDatetimeMax) {
    throw CorruptionError("a field holds the datetime " + std::to_string(instant) + ", outside years 1 to 9999; restore from a snapshot");
  }
  need_datetime();
  const CivilTime at = civil_time(instant);
  return nb::steal(PyDateTimeAPI->DateTime_FromDateAndTime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond,
                                                           PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType));
}

nb::object uuid(const Uuid& value) { return uuid_type()(nb::arg("bytes") = nb::bytes(value.data(), value.size())); }

nb::object value_to_python(const Value& value, std::size_t depth);

nb::object object_to_python(const Object& object, std::size_t depth) {
  if (depth > kDocumentDepthMax) throw CorruptionError("a field document is nested more than 100 levels deep; restore from a snapshot");
  nb::object dict = nb::steal(PyDict_New());
  for (ObjectCursor entry(object.entries()); entry.next();) {
    const nb::object key = FieldNames::of(entry.key());
    const nb::object value = value_to_python(entry.value(), depth);
    if (PyDict_SetItem(dict.ptr(), key.ptr(), value.ptr())) throw nb::python_error();
  }
  return dict;
}

nb::object list_to_python(const Value& list, std::size_t depth) {
  if (depth > kDocumentDepthMax) throw CorruptionError("a field document is nested more than 100 levels deep; restore from a snapshot");
  // Appended one by one: the count of a damaged list must not decide how much is allocated.
  nb::object values = nb::steal(PyList_New(0));
  for (ListCursor element(list); element.next();)
    if (PyList_Append(values.ptr(), value_to_python(element.value(), depth).ptr())) throw nb::python_error();
  return values;
}

nb::object value_to_python(const Value& value, std::size_t depth) {
  switch (value.type()) {
    case ValueType::null: return nb::none();
    case ValueType::boolean: return nb::bool_(value.as_bool());
    case ValueType::integer: return nb::steal(PyLong_FromLongLong(value.as_int()));
    case ValueType::number: return nb::steal(PyFloat_FromDouble(value.as_float()));
    case ValueType::string: return string(value.as_string());
    case ValueType::datetime: return datetime(value.as_datetime());
    case ValueType::uuid: return uuid(value.as_uuid());
    case ValueType::geo: return geo_point_type()(value.as_geo().lat, value.as_geo().lon);
    case ValueType::list: return list_to_python(value, depth + 1);
    case ValueType::object: return object_to_python(value.as_object(), depth + 1);
  }
  throw CorruptionError("a field document holds a value of unknown type");
}

}  // namespace

nb::object decode_document(Bytes document) { return object_to_python(Object(document), 0); }

nb::object to_python(const Scalar& scalar) {
  struct Visitor {
    nb::object operator()(std::monostate) const { return nb::none(); }
    nb::object operator()(bool value) const { return nb::bool_(value); }
    nb::object operator()(std::int64_t value) const { return nb::int_(value); }
    nb::object operator()(double value) const { return nb::float_(value); }
    nb::object operator()(const std::string& value) const { return string(value); }
    nb::object operator()(Datetime value) const { return datetime(value.microseconds); }
    nb::object operator()(const Uuid& value) const { return uuid(value); }
  };
  return std::visit(Visitor{}, scalar);
}

}  // namespace vicino::bind
