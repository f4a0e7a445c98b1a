#include "fields/document.h"

#include <cmath>
#include <limits>

#include "fields/unicode.h"

namespace vicino {

namespace document {

namespace {

constexpr const char* kTypeNames[] = {"null", "bool", "int", "float", "string", "datetime", "UUID", "geo point", "list", "object"};

}  // namespace

void fail_truncated(std::size_t needed, std::size_t available) {
  throw CorruptionError("a field document ends early: " + std::to_string(needed) + " bytes expected, " + std::to_string(available) +
                        " left; restore from a snapshot");
}

void fail_varint() { throw CorruptionError("a field document holds a size without an end; restore from a snapshot"); }

void fail_tag(std::uint8_t tag) {
  throw CorruptionError("a field document holds the unknown value tag " + std::to_string(tag) + "; restore from a snapshot");
}

void fail_type(ValueType expected, ValueType actual) {
  throw CorruptionError(std::string("a field document holds a ") + kTypeNames[static_cast<std::size_t>(actual)] + " where a " +
                        kTypeNames[static_cast<std::size_t>(expected)] + " was expected");
}

void fail_not_finite() { throw CorruptionError("a field document holds a float that is not finite; restore from a snapshot"); }

}  // namespace document

namespace {

/// Checks one document. Recursion is bounded by kDocumentDepthMax.
class Validation {
 public:
  explicit Validation(Bytes document) : start_(document.data()) {}

  void object(Bytes entries, std::size_t depth) {
    document::Reader reader(entries);
    while (reader.left() != 0) {
      const Bytes key = reader.take(reader.varint());
      if (!is_valid_utf8({reinterpret_cast<const char*>(key.data()), key.size()})) fail("a key that is not UTF-8", key.data());
      value(reader, depth);
    }
  }

 private:
  [[noreturn]] void fail(const char* what, const std::uint8_t* place) const {
    throw CorruptionError(std::string("a field document holds ") + what + " at byte " + std::to_string(place - start_) +
                          "; restore from a snapshot");
  }

  void list(const Value& list, std::size_t depth, const std::uint8_t* place) {
    document::Reader reader(list.list_bytes());
    std::uint64_t count = 0;
    for (; reader.left() != 0; ++count) value(reader, depth);
    if (count != list.list_size()) fail("a list whose count does not fit its bytes", place);
  }

  void value(document::Reader& reader, std::size_t depth) {
    const std::uint8_t* place = reader.at;
    const Value value = Value::read(reader);
    if ((value.is_list() || value.is_object()) && depth == kDocumentDepthMax) fail("more than 100 nested levels", place);
    switch (value.type()) {
      case ValueType::number:
        if (!value.is_finite()) fail("a float that is not finite", place);
        break;
      case ValueType::string:
        if (!is_valid_utf8(value.as_string())) fail("a string that is not UTF-8", place);
        break;
      case ValueType::datetime:
        if (value.as_datetime() < kDatetimeMin || value.as_datetime() > kDatetimeMax) fail("a datetime outside years 1 to 9999", place);
        break;
      case ValueType::geo: {
        const GeoPoint point = value.as_geo();
        if (!(std::abs(point.lat) <= 90 && std::abs(point.lon) <= 180)) fail("a geo point off the globe", place);
        break;
      }
      case ValueType::list: list(value, depth + 1, place); break;
      case ValueType::object: object(value.as_object().entries(), depth + 1); break;
      default: break;
    }
  }

  const std::uint8_t* start_;
};

std::size_t append_varint(std::uint64_t value, char* out) {
  std::size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<char>(value | 0x80);
  out[size++] = static_cast<char>(value);
  return size;
}

template <class Small>
bool fits(std::int64_t value) {
  return value >= std::numeric_limits<Small>::min() && value <= std::numeric_limits<Small>::max();
}

}  // namespace

void validate_document(Bytes document) { Validation(document).object(document, 0); }

void DocumentWriter::integer(std::int64_t value) {
  if (fits<std::int8_t>(value)) {
    tag(document::kInt8);
    put(static_cast<std::int8_t>(value));
  } else if (fits<std::int16_t>(value)) {
    tag(document::kInt16);
    put(static_cast<std::int16_t>(value));
  } else if (fits<std::int32_t>(value)) {
    tag(document::kInt32);
    put(static_cast<std::int32_t>(value));
  } else {
    tag(document::kInt64);
    put(value);
  }
}

void DocumentWriter::varint(std::uint64_t value) {
  char bytes[10];
  out_.append(bytes, append_varint(value, bytes));
}

void DocumentWriter::end_list(std::size_t mark, std::uint64_t count) {
  char bytes[20];
  std::size_t size = append_varint(count, bytes);
  size += append_varint(out_.size() - mark, bytes + size);
  out_.insert(mark, bytes, size);
}

void DocumentWriter::end_object(std::size_t mark) {
  char bytes[10];
  out_.insert(mark, bytes, append_varint(out_.size() - mark, bytes));
}

}  // namespace vicino
