#include "bind/numpy_arrays.h"

#include <cstdlib>

namespace nb = nanobind;

namespace vicino::bind::numpy {

namespace {

using NewArray = PyObject* (*)(PyTypeObject* type, int n_dims, const Py_ssize_t* shape, int element, const Py_ssize_t* strides, void* data,
                               int element_bytes, int flags, PyObject* like);

// Places in the table, and numbers of element types.
constexpr std::size_t kArrayType = 2, kNewArray = 93;
constexpr int kLong = 7, kLongLong = 9, kFloat = 11;

/// How every array object begins.
struct ArrayHead {
  PyObject object;
  void* data;
};

struct Interface {
  PyTypeObject* array_type;
  NewArray new_array;

  Interface() {
    const nb::module_ numpy = nb::module_::import_("numpy");
    // Version 2 keeps its modules under another name, and warns of the old one.
    const bool is_old = std::atoi(nb::cast<nb::str>(numpy.attr("__version__")).c_str()) < 2;
    const nb::object capsule = nb::module_::import_(is_old ? "numpy.core.multiarray" : "numpy._core.multiarray").attr("_ARRAY_API");
    auto** const table = static_cast<void**>(PyCapsule_GetPointer(capsule.ptr(), nullptr));
    if (!table) throw nb::python_error();
    array_type = static_cast<PyTypeObject*>(table[kArrayType]);
    new_array = reinterpret_cast<NewArray>(table[kNewArray]);
  }
};

int number_of(Element element) {
  if (element == Element::float32) return kFloat;
  return sizeof(long) == sizeof(std::int64_t) ? kLong : kLongLong;
}

}  // namespace

nb::object make_matrix(std::size_t rows, std::size_t columns, Element element, void** data) {
  // Not initialized as a static by the language: importing may hand Python's lock to another thread, which would then wait for this one.
  static const Interface* found = nullptr;
  if (!found) found = new Interface;
  const Py_ssize_t shape[] = {static_cast<Py_ssize_t>(rows), static_cast<Py_ssize_t>(columns)};
  PyObject* const made = found->new_array(found->array_type, 2, shape, number_of(element), nullptr, nullptr, 0, 0, nullptr);
  if (!made) throw nb::python_error();
  *data = reinterpret_cast<ArrayHead*>(made)->data;
  return nb::steal(made);
}

}  // namespace vicino::bind::numpy
