// Record ids between Python and the core.
//
// Encoded id: one tag byte and the bytes of the value, so that different ids are different bytes and 1, "1" and a UUID never meet:
//   1 + int64 little endian | 2 + UTF-8 | 3 + 16 bytes of the UUID, big endian | 4 + two's complement, little endian, shortest form
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "util/blob.h"

namespace vicino::bind {

/// Encodes one id. Raises TypeError naming the type for anything but int, str and uuid.UUID (bool is refused), ValueError for a
/// string that is not valid Unicode.
std::string encode_id(nanobind::handle id);

/// The Python value of an encoded id. The bytes have been validated when they were read.
nanobind::object decode_id(Bytes encoded);

}  // namespace vicino::bind
