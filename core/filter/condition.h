// The condition tree as values: what vicino/filter/model.py says, lowered to what the core needs.
//
// Equal and ContainsAll are written with ScalarIn (alone, or several under And); paths are parsed, texts split into folded words, number
// bounds rounded. A leaf tests the targets of one path (path.h); conditions on ids and vector names look at the record instead.
// Semantics are two-valued and Not is plain negation, so every rule about missing fields, nulls and lists lives in the leaves.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "filter/path.h"
#include "filter/scalar.h"
#include "util/blob.h"

namespace vicino {

struct Condition;

namespace filter {

/// Some value is (negated: some value that is not null is not) one of the set.
struct ScalarIn {
  ScalarSet values;
  bool negated = false;
};

struct Prefix {
  std::string text;
};

/// `text` is already folded if case is ignored.
struct Substring {
  std::string text;
  bool ignore_case = false;
};

struct WordMatch {
  enum class Mode : std::uint8_t { all, any, phrase };
  std::vector<std::string> words;  // folded; in the order of the query, repeated as there
  Mode mode = Mode::all;
};

struct GeoRadius {
  GeoPoint center;
  double radius_m = 0;
};

struct GeoBox {
  GeoPoint top_left, bottom_right;
};

struct GeoPolygon {
  std::vector<GeoPoint> exterior;
  std::vector<std::vector<GeoPoint>> interiors;
};

struct IsNull {};
struct IsEmpty {};
struct Exists {};

struct CountRange {
  Interval<std::int64_t> counts;
};

/// One element (an object) of a list at the path meets the condition.
struct Nested {
  std::shared_ptr<const Condition> part;
};

using Test = std::variant<ScalarIn, NumberRange, StringRange, DatetimeRange, Prefix, Substring, WordMatch, GeoRadius, GeoBox, GeoPolygon,
                          IsNull, IsEmpty, Exists, CountRange, Nested>;

struct Leaf {
  Path path;
  Test test;
};

struct HasId {
  std::unordered_set<std::string> ids;  // encoded as in bind/ids.h
};

struct HasVector {
  std::string name;
};

struct Slice {
  std::uint32_t total = 1;
  std::uint32_t index = 0;
};

struct And {
  std::vector<Condition> parts;
};
struct Or {
  std::vector<Condition> parts;
};
struct Not {
  std::vector<Condition> part;  // exactly one; a vector because Condition is not complete here
};
struct AtLeast {
  std::uint64_t n = 0;
  std::vector<Condition> parts;
};

}  // namespace filter

struct Condition {
  std::variant<filter::And, filter::Or, filter::Not, filter::AtLeast, filter::Leaf, filter::HasId, filter::HasVector, filter::Slice> node;
};

}  // namespace vicino
