// The core's exceptions. bind/ turns each into the Python class of the same kind; nothing else may leave the core.
#pragma once
#include <stdexcept>
#include <string>

namespace vicino {

/// Bytes that are not what their checksum, format or bounds say. Becomes vicino.errors.CorruptionError.
struct CorruptionError : std::runtime_error { using std::runtime_error::runtime_error; };
/// A file written by a newer format. Becomes vicino.errors.FormatError.
struct FormatError : std::runtime_error { using std::runtime_error::runtime_error; };
/// The operating system refused a read or a mapping. Becomes vicino.errors.StorageError.
struct StorageError : std::runtime_error { using std::runtime_error::runtime_error; };
/// A caller's argument is out of range. Becomes vicino.errors.InvalidArgument (a ValueError).
struct InvalidArgument : std::runtime_error { using std::runtime_error::runtime_error; };
/// The deadline passed or the caller cancelled. Becomes vicino.errors.TimeoutError / KeyboardInterrupt in Python.
struct Cancelled : std::runtime_error { using std::runtime_error::runtime_error; };

}  // namespace vicino
