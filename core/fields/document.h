// One record's fields as bytes: a tagged tree that can be walked, skipped and searched without allocating.
//
//   document = entry*                         in the order given; a record without fields has a document of zero bytes
//   entry    = varint size, key (UTF-8), value
//   value    = tag u8, payload
//
//   tag       payload                         value
//   0         -                               null
//   1, 2      -                               false, true
//   3 4 5 6   1, 2, 4 or 8 bytes              int, two's complement, the shortest that holds it
//   7         8 bytes                         float, finite
//   8         varint size, UTF-8              string
//   9         8 bytes                         datetime: int64 microseconds since 1970-01-01T00:00:00Z
//   10        16 bytes                        UUID, big endian
//   11        16 bytes                        geo point: latitude and longitude in degrees, float64 each
//   12        varint count, varint size, value*     list; `size` counts the bytes of its values
//   13        varint size, entry*             object
//
// Numbers are little endian; a varint holds seven bits a byte, low bits first, the high bit says that more follow.
// Sizes come before contents, so a reader steps over what it does not want. Every read checks its bounds and throws CorruptionError,
// whether or not `validate_document` was called: a segment of a million documents opens without a look at any of them, and is still safe
// to search.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "util/blob.h"
#include "util/errors.h"

namespace vicino {

enum class ValueType : std::uint8_t { null, boolean, integer, number, string, datetime, uuid, geo, list, object };

struct GeoPoint {
  double lat = 0;
  double lon = 0;
};

using Uuid = std::array<std::uint8_t, 16>;

/// Lists and objects may lie this deep within the document, which itself does not count.
inline constexpr std::size_t kDocumentDepthMax = 100;

/// The instants that years 1 to 9999 (UTC) can name; what lies outside cannot be given back as a datetime.
inline constexpr std::int64_t kDatetimeMin = -62135596800000000;
inline constexpr std::int64_t kDatetimeMax = 253402300799999999;

namespace document {

enum Tag : std::uint8_t {
  kNull, kFalse, kTrue, kInt8, kInt16, kInt32, kInt64, kFloat, kString, kDatetime, kUuid, kGeo, kList, kObject
};

[[noreturn]] void fail_truncated(std::size_t needed, std::size_t available);
[[noreturn]] void fail_varint();
[[noreturn]] void fail_tag(std::uint8_t tag);
[[noreturn]] void fail_type(ValueType expected, ValueType actual);
[[noreturn]] void fail_not_finite();

/// Reads forward through bytes that may hold anything.
struct Reader {
  const std::uint8_t* at;
  const std::uint8_t* end;

  explicit Reader(Bytes bytes) : at(bytes.data()), end(bytes.data() + bytes.size()) {}
  std::size_t left() const { return static_cast<std::size_t>(end - at); }

  Bytes take(std::uint64_t size) {
    if (size > left()) fail_truncated(size, left());
    const Bytes taken{at, static_cast<std::size_t>(size)};
    at += size;
    return taken;
  }
  std::uint64_t varint() {
    if (at != end && *at < 0x80) return *at++;
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && at != end; shift += 7) {
      const std::uint8_t byte = *at++;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail_varint();
  }
};

template <class Number>
Number load(const std::uint8_t* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace document

class Object;

/// A view of one value; the bytes belong to somebody else. The as_* functions throw CorruptionError for another type.
class Value {
 public:
  Value() = default;
  /// Reads one value and leaves the reader behind it.
  static Value read(document::Reader& reader);

  ValueType type() const;
  bool is_null() const { return tag_ == document::kNull; }
  bool is_list() const { return tag_ == document::kList; }
  bool is_object() const { return tag_ == document::kObject; }

  bool as_bool() const { expect(ValueType::boolean); return tag_ == document::kTrue; }
  std::int64_t as_int() const;
  /// Always finite: sorts and comparisons rely on an order. Throws CorruptionError otherwise.
  double as_float() const;
  bool is_finite() const { return std::isfinite(document::load<double>(payload_.data())); }  // of a float only
  std::string_view as_string() const {
    expect(ValueType::string);
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }
  std::int64_t as_datetime() const { expect(ValueType::datetime); return document::load<std::int64_t>(payload_.data()); }
  Uuid as_uuid() const { expect(ValueType::uuid); return document::load<Uuid>(payload_.data()); }
  GeoPoint as_geo() const {
    expect(ValueType::geo);
    return {document::load<double>(payload_.data()), document::load<double>(payload_.data() + 8)};
  }
  Object as_object() const;
  /// Number of elements of a list, as it was written.
  std::uint64_t list_size() const { expect(ValueType::list); return count_; }
  /// The bytes of a list's elements, for ListCursor.
  Bytes list_bytes() const { expect(ValueType::list); return payload_; }

 private:
  void expect(ValueType expected) const { if (type() != expected) document::fail_type(expected, type()); }

  std::uint8_t tag_ = document::kNull;
  std::uint64_t count_ = 0;
  Bytes payload_;
};

/// Walks a list: `for (ListCursor element(value); element.next();) use(element.value());`
class ListCursor {
 public:
  explicit ListCursor(const Value& list) : reader_(list.list_bytes()), left_(list.list_size()) {}
  bool next() {
    if (left_ == 0) return false;
    --left_;
    value_ = Value::read(reader_);
    return true;
  }
  const Value& value() const { return value_; }

 private:
  document::Reader reader_;
  std::uint64_t left_;
  Value value_;
};

/// Walks an object's entries in the order they were written.
class ObjectCursor {
 public:
  explicit ObjectCursor(Bytes entries) : reader_(entries) {}
  bool next() {
    if (reader_.left() == 0) return false;
    const Bytes key = reader_.take(reader_.varint());
    key_ = {reinterpret_cast<const char*>(key.data()), key.size()};
    value_ = Value::read(reader_);
    return true;
  }
  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  document::Reader reader_;
  std::string_view key_;
  Value value_;
};

/// A view of an object; a whole document is one.
class Object {
 public:
  explicit Object(Bytes entries) : entries_(entries) {}
  Bytes entries() const { return entries_; }
  std::optional<Value> find(std::string_view key) const {
    for (ObjectCursor entry(entries_); entry.next();)
      if (entry.key() == key) return entry.value();
    return std::nullopt;
  }

 private:
  Bytes entries_;
};

/// Checks everything: bounds, tags, UTF-8, finite floats, coordinates, list counts, depth. Throws CorruptionError saying what is wrong and
/// at which byte.
void validate_document(Bytes document);

/// Writes a document front to back. Containers are opened and closed in pairs; an object's entries are `key` and one value each.
class DocumentWriter {
 public:
  explicit DocumentWriter(std::string& out) : out_(out) {}

  void key(std::string_view key) { varint(key.size()); out_.append(key); }
  void null() { tag(document::kNull); }
  void boolean(bool value) { tag(value ? document::kTrue : document::kFalse); }
  void integer(std::int64_t value);
  void number(double value) { tag(document::kFloat); put(value); }
  void string(std::string_view value) { tag(document::kString); varint(value.size()); out_.append(value); }
  void datetime(std::int64_t microseconds) { tag(document::kDatetime); put(microseconds); }
  void uuid(const Uuid& value) { tag(document::kUuid); put(value); }
  void geo(GeoPoint point) { tag(document::kGeo); put(point.lat); put(point.lon); }

  /// Both return a mark for the matching end: sizes are known only then, and are put in front of what was written meanwhile.
  std::size_t begin_list() { tag(document::kList); return out_.size(); }
  void end_list(std::size_t mark, std::uint64_t count);
  std::size_t begin_object() { tag(document::kObject); return out_.size(); }
  void end_object(std::size_t mark);

 private:
  template <class Number>
  void put(const Number& value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void tag(document::Tag tag) { out_.push_back(static_cast<char>(tag)); }
  void varint(std::uint64_t value);

  std::string& out_;
};

inline ValueType Value::type() const {
  using enum ValueType;
  constexpr ValueType types[] = {null,   boolean, boolean,  integer, integer, integer, integer,
                                 number, string,  datetime, uuid,    geo,     list,    object};
  return types[tag_];
}

inline Object Value::as_object() const { expect(ValueType::object); return Object(payload_); }

inline double Value::as_float() const {
  expect(ValueType::number);
  if (!is_finite()) document::fail_not_finite();
  return document::load<double>(payload_.data());
}

inline std::int64_t Value::as_int() const {
  switch (tag_) {
    case document::kInt8: return document::load<std::int8_t>(payload_.data());
    case document::kInt16: return document::load<std::int16_t>(payload_.data());
    case document::kInt32: return document::load<std::int32_t>(payload_.data());
    case document::kInt64: return document::load<std::int64_t>(payload_.data());
    default: document::fail_type(ValueType::integer, type());
  }
}

inline Value Value::read(document::Reader& reader) {
  constexpr std::uint8_t fixed_sizes[] = {0, 0, 0, 1, 2, 4, 8, 8, 0, 8, 16, 16};
  Value value;
  const std::uint8_t tag = reader.take(1)[0];
  if (tag > document::kObject) document::fail_tag(tag);
  value.tag_ = tag;
  switch (tag) {
    case document::kList:
      value.count_ = reader.varint();
      [[fallthrough]];
    case document::kString:
    case document::kObject: value.payload_ = reader.take(reader.varint()); break;
    default: value.payload_ = reader.take(fixed_sizes[tag]);
  }
  return value;
}

}  // namespace vicino
