// The core's exceptions as the Python classes of the same kind (vicino.errors).
#include "bind/bind.h"

#include <string>

#include "util/errors.h"

namespace nb = nanobind;

namespace vicino::bind {

namespace {

void raise(const char* class_name, const std::string& message) {
  // Imported when it is needed: vicino.errors is pure Python and has no part in loading the core.
  const nb::object cls = nb::module_::import_("vicino.errors").attr(class_name);
  // A message may quote a damaged file: bytes that are no text are shown as \xNN.
  const nb::object text = nb::steal(PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
  PyErr_SetObject(cls.ptr(), cls(text).ptr());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const CorruptionError& error) {
    raise("CorruptionError", error.what());
  } catch (const FormatError& error) {
    raise("FormatError", error.what());
  } catch (const StorageError& error) {
    raise("StorageError", error.what());
  } catch (const InvalidArgument& error) {
    raise("InvalidArgument", error.what());
  } catch (const Cancelled& error) {
    // "deadline" is the caller's `timeout=`; anything else is somebody's wish to stop, which Python spells as Ctrl-C.
    if (std::string(error.what()) == "deadline") raise("TimeoutError", "the deadline given by `timeout=` passed; allow more time or ask for less");
    else PyErr_SetString(PyExc_KeyboardInterrupt, error.what());
  }
}

}  // namespace

void bind_errors() { nb::register_exception_translator(translate); }

}  // namespace vicino::bind
