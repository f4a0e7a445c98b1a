// Python's classes that field values are made of, looked up once. They are kept for the life of the process: a static destructor would run
// after the interpreter is gone.
#pragma once
#include <nanobind/nanobind.h>
// The datetime macros use a table that PyDateTime_IMPORT fills in each file that includes them.
#include <datetime.h>

namespace vicino::bind {

inline nanobind::object imported(const char* module, const char* name) { return nanobind::module_::import_(module).attr(name); }

inline nanobind::object& uuid_type() {
  static auto* type = new nanobind::object(imported("uuid", "UUID"));
  return *type;
}

inline nanobind::object& geo_point_type() {
  static auto* type = new nanobind::object(imported("vicino.types", "GeoPoint"));
  return *type;
}

inline nanobind::object& numpy_scalar_type() {
  static auto* type = new nanobind::object(imported("numpy", "generic"));
  return *type;
}

inline nanobind::object& numpy_array_type() {
  static auto* type = new nanobind::object(imported("numpy", "ndarray"));
  return *type;
}

// Static, not inline: each file has its own table.
static inline void need_datetime() {
  if (!PyDateTimeAPI) PyDateTime_IMPORT;
  if (!PyDateTimeAPI) throw nanobind::python_error();
}

}  // namespace vicino::bind
