// From Python to documents. The common types are told apart by their type pointer and written without a call into Python; everything rarer
// (UUIDs, aware datetimes, numpy) takes the long way at the end.
#include <cmath>

#include "bind/python_classes.h"
#include "bind/values.h"
#include "fields/datetime_text.h"
#include "filter/path.h"

namespace nb = nanobind;

namespace vicino::bind {

namespace {

std::string class_name(nb::handle object) { return nb::cast<std::string>(nb::str(object.type().attr("__name__"))); }
std::string text_of(nb::handle object) { return nb::cast<std::string>(nb::str(object)); }
std::string repr_of(nb::handle object) { return nb::cast<std::string>(nb::steal(PyObject_ASCII(object.ptr()))); }

/// The text of a str; nullopt for one with unpaired surrogates, which UTF-8 cannot hold.
std::optional<std::string_view> utf8_of(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data) return std::string_view(data, static_cast<std::size_t>(size));
  PyErr_Clear();
  return std::nullopt;
}

std::int64_t offset_of(nb::handle datetime) {
  PyObject* zone = PyDateTime_DATE_GET_TZINFO(datetime.ptr());
  if (zone == Py_None || zone == PyDateTime_TimeZone_UTC) return 0;
  const nb::object offset = datetime.attr("utcoffset")();
  if (offset.is_none()) return 0;
  const std::int64_t seconds = std::int64_t{PyDateTime_DELTA_GET_DAYS(offset.ptr())} * 86'400 + PyDateTime_DELTA_GET_SECONDS(offset.ptr());
  return seconds * 1'000'000 + PyDateTime_DELTA_GET_MICROSECONDS(offset.ptr());
}

/// pandas' NaT is an instance of datetime, but not an instant, and not even equal to itself.
bool equals_itself(PyObject* object) {
  const nb::object answer = nb::steal(PyObject_RichCompare(object, object, Py_EQ));
  const int is_true = answer ? PyObject_IsTrue(answer.ptr()) : -1;
  if (is_true < 0) throw nb::python_error();
  return is_true == 1;
}

Uuid uuid_bytes(nb::handle uuid) {
  const nb::object bytes = uuid.attr("bytes");
  Uuid value;
  if (!PyBytes_Check(bytes.ptr()) || PyBytes_GET_SIZE(bytes.ptr()) != 16) throw nb::type_error("the bytes of a UUID are not 16 bytes");
  std::memcpy(value.data(), PyBytes_AS_STRING(bytes.ptr()), 16);
  return value;
}

class Encoder {
 public:
  explicit Encoder(std::string& out) : writer_(out) {}

  void entries(PyObject* dict, std::size_t depth) {
    Py_ssize_t position = 0;
    PyObject* key_object = nullptr;
    PyObject* value_object = nullptr;
    while (PyDict_Next(dict, &position, &key_object, &value_object)) {
      // Some values are read by Python code, in which another thread may change the dict.
      const nb::object key = nb::borrow(key_object);
      const nb::object value = nb::borrow(value_object);
      if (!PyUnicode_Check(key.ptr())) refuse("a key must be a str, got " + class_name(key) + " " + repr_of(key));
      const auto text = utf8_of(key.ptr());
      if (!text) refuse("a key holds an unpaired surrogate, which is not valid Unicode: " + repr_of(key));
      writer_.key(*text);
      const Place place(*this, {place_, key.ptr(), 0});
      this->value(value.ptr(), depth);
    }
  }

  [[noreturn]] void refuse(const std::string& reason) const { throw FieldRefused{path_of(place_), reason}; }

 private:
  /// Where the encoder is, for messages: a list of frames on the stack.
  struct Frame {
    const Frame* outer;
    PyObject* key;  // null: element `index` of a list
    Py_ssize_t index;
  };
  struct Place {
    Place(Encoder& encoder, Frame frame) : encoder(encoder), frame(frame) { encoder.place_ = &this->frame; }
    ~Place() { encoder.place_ = frame.outer; }
    Place(const Place&) = delete;
    Encoder& encoder;
    Frame frame;
  };

  static std::string path_of(const Frame* frame) {
    if (!frame) return {};
    const std::string outer = path_of(frame->outer);
    if (!frame->key) return outer + "[" + std::to_string(frame->index) + "]";
    return outer + (outer.empty() ? "" : ".") + quoted_where_needed(std::string(*utf8_of(frame->key)));
  }

  void value(PyObject* object, std::size_t depth) {
    if (PyUnicode_Check(object)) return string(object);
    if (PyLong_CheckExact(object)) return integer(object);
    if (PyFloat_Check(object)) return number(PyFloat_AS_DOUBLE(object));
    if (object == Py_None) return writer_.null();
    if (object == Py_True || object == Py_False) return writer_.boolean(object == Py_True);
    if (PyList_Check(object)) return list(object, depth);
    if (PyDict_Check(object)) return dict(object, depth);
    rare(object, depth);
  }

  void string(PyObject* object) {
    const auto text = utf8_of(object);
    if (!text) refuse("the string holds an unpaired surrogate, which is not valid Unicode; decode it with errors=\"replace\"");
    writer_.string(*text);
  }

  void integer(PyObject* object) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (value == -1 && PyErr_Occurred()) throw nb::python_error();
    if (overflow) refuse("an int beyond 64 bits is not a field type; store it as str or float");
    writer_.integer(value);
  }

  void number(double value) {
    if (std::isnan(value)) refuse("NaN is not a field type; leave the field out or use None");
    if (std::isinf(value)) refuse("infinity is not a field type; leave the field out or use None");
    writer_.number(value);
  }

  std::size_t deeper(std::size_t depth) const {
    if (depth == kDocumentDepthMax) refuse("lists and objects lie more than 100 levels deep; flatten the document");
    return depth + 1;
  }

  void list(PyObject* object, std::size_t depth) {
    const std::size_t inner = deeper(depth);
    const std::size_t mark = writer_.begin_list();
    Py_ssize_t i = 0;
    Place place(*this, {place_, nullptr, 0});
    for (; i < PySequence_Fast_GET_SIZE(object); ++i) {
      place.frame.index = i;
      const nb::object element = nb::borrow(PySequence_Fast_GET_ITEM(object, i));
      value(element.ptr(), inner);
    }
    writer_.end_list(mark, static_cast<std::uint64_t>(i));
  }

  void dict(PyObject* object, std::size_t depth) {
    const std::size_t inner = deeper(depth);
    const std::size_t mark = writer_.begin_object();
    entries(object, inner);
    writer_.end_object(mark);
  }

  void rare(PyObject* object, std::size_t depth) {
    const nb::handle handle(object);
    need_datetime();
    if (PyLong_Check(object)) return integer(object);
    if (nb::isinstance(handle, geo_point_type())) return geo(object);
    if (PyTuple_Check(object)) return list(object, depth);
    if (PyDateTime_Check(object) || PyDate_Check(object)) return datetime(handle);
    if (nb::isinstance(handle, uuid_type())) return writer_.uuid(uuid_bytes(handle));
    if (nb::isinstance(handle, numpy_scalar_type())) return numpy_scalar(handle, depth);
    if (nb::isinstance(handle, numpy_array_type())) return numpy_array(handle, depth);
    refuse_type(object);
  }

  void datetime(nb::handle handle) {
    const auto instant = instant_of_python(handle);
    if (!instant) refuse(class_name(handle) + " " + text_of(handle) + " is not an instant of the years 1 to 9999 in UTC");
    writer_.datetime(*instant);
  }

  void geo(PyObject* point) {
    const double lat = PyFloat_AsDouble(PyTuple_GET_ITEM(point, 0));
    const double lon = PyErr_Occurred() ? 0 : PyFloat_AsDouble(PyTuple_GET_ITEM(point, 1));
    if (PyErr_Occurred()) {
      PyErr_Clear();
      refuse("a GeoPoint holds two numbers, got " + repr_of(point));
    }
    if (!(std::abs(lat) <= 90 && std::abs(lon) <= 180)) {
      refuse("a GeoPoint has a latitude within 90 and a longitude within 180 degrees of zero, got " + repr_of(point));
    }
    writer_.geo({lat, lon});
  }

  void numpy_scalar(nb::handle scalar, std::size_t depth) {
    const auto kind = nb::cast<std::string>(scalar.attr("dtype").attr("kind"));
    const nb::object item = scalar.attr("item")();
    // A long double stays a numpy scalar; dates of numpy become ints or datetimes by their unit.
    if (std::string("biufU").find(kind) == std::string::npos || nb::isinstance(item, numpy_scalar_type())) refuse_type(scalar.ptr());
    value(item.ptr(), depth);
  }

  void numpy_array(nb::handle array, std::size_t depth) {
    const nb::object dtype = array.attr("dtype");
    const auto kind = nb::cast<std::string>(dtype.attr("kind"));
    const auto dimensions = nb::cast<std::size_t>(array.attr("ndim"));
    if (dimensions != 1 || std::string("biufUO").find(kind) == std::string::npos) {
      refuse("a numpy array must have one dimension and hold numbers, bools or strings, got " + std::to_string(dimensions) +
             " dimensions of " + text_of(dtype) + "; convert it with .tolist()");
    }
    const nb::object values = array.attr("tolist")();
    list(values.ptr(), depth);
  }

  [[noreturn]] void refuse_type(PyObject* object) const {
    const std::string name = class_name(object);
    if (name == "Decimal") refuse("Decimal is not a field type; use float, or str to keep every digit");
    if (name == "bytes" || name == "bytearray" || name == "memoryview") refuse(name + " is not a field type; store text, or base64 as str");
    if (name == "set" || name == "frozenset") refuse(name + " is not a field type; use a list");
    if (name == "datetime64") refuse("datetime64 is not a field type; use .astype(\"datetime64[us]\").item()");
    refuse(name + " is not a field type; use None, bool, int, float, str, datetime, date, UUID, GeoPoint, list or dict");
  }

  DocumentWriter writer_;
  const Frame* place_ = nullptr;
};

}  // namespace

std::optional<std::int64_t> instant_of_python(nb::handle datetime) {
  need_datetime();
  PyObject* object = datetime.ptr();
  if (!PyDateTime_CheckExact(object) && !PyDate_CheckExact(object) && !equals_itself(object)) return std::nullopt;
  CivilTime time{PyDateTime_GET_YEAR(object), PyDateTime_GET_MONTH(object), PyDateTime_GET_DAY(object)};
  std::int64_t offset = 0;
  if (PyDateTime_Check(object)) {
    time.hour = PyDateTime_DATE_GET_HOUR(object);
    time.minute = PyDateTime_DATE_GET_MINUTE(object);
    time.second = PyDateTime_DATE_GET_SECOND(object);
    time.microsecond = PyDateTime_DATE_GET_MICROSECOND(object);
    offset = offset_of(datetime);
  }
  const std::int64_t instant = vicino::instant_of(time) - offset;
  if (instant < kDatetimeMin || instant > kDatetimeMax) return std::nullopt;
  return instant;
}

Scalar scalar_of_python(nb::handle value) {
  PyObject* object = value.ptr();
  need_datetime();
  if (object == Py_None) return std::monostate{};
  if (PyBool_Check(object)) return object == Py_True;
  if (PyLong_Check(object)) {
    const long long number = PyLong_AsLongLong(object);
    if (number == -1 && PyErr_Occurred()) throw nb::python_error();
    return std::int64_t{number};
  }
  if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
  if (PyUnicode_Check(object)) {
    const auto text = utf8_of(object);
    if (!text) throw InvalidArgument("a filter compares with a string that holds an unpaired surrogate; no field can be equal to it");
    return std::string(*text);
  }
  if (PyDateTime_Check(object)) {
    const auto instant = instant_of_python(value);
    if (!instant) throw InvalidArgument("a filter compares with " + text_of(value) + ", which is not within years 1 to 9999 of UTC");
    return Datetime{*instant};
  }
  if (nb::isinstance(value, uuid_type())) return uuid_bytes(value);
  throw InvalidArgument("a filter compares with None, bool, int, float, str, datetime or UUID, got " + class_name(object));
}

void encode_document(nb::handle document, std::string& out) {
  Encoder encoder(out);
  if (!PyDict_Check(document.ptr())) encoder.refuse("the fields of a record must be a dict, got " + class_name(document.ptr()));
  encoder.entries(document.ptr(), 0);
}

}  // namespace vicino::bind
