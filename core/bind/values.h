// Field values between Python and the core.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <optional>
#include <string>

#include "fields/document.h"
#include "filter/scalar.h"

namespace vicino::bind {

/// A value that a document cannot hold. `path` is spelled as in filters.
struct FieldRefused {
  std::string path;
  std::string reason;
};

/// Appends the document of a dict. Throws FieldRefused, leaving `out` with a part of the document at its end.
void encode_document(nanobind::handle document, std::string& out);

/// The Python value of one document, value or scalar. Throws CorruptionError for damaged bytes.
nanobind::object decode_document(Bytes document);
nanobind::object to_python(const Scalar& scalar);

/// The instant of a datetime (naive means UTC) or date (its midnight); nullopt if it lies outside years 1 to 9999 of UTC or is not a time.
/// The object must be one of the two.
std::optional<std::int64_t> instant_of_python(nanobind::handle datetime);

/// What a filter compares with: None, bool, an int of 64 bits, float, str, datetime or UUID. Throws InvalidArgument for anything else.
Scalar scalar_of_python(nanobind::handle value);

}  // namespace vicino::bind
