// A filter on its way from Python: nested tuples, made by vicino/filter/compile.py, that become a condition tree.
//
//   ("and" | "or", parts)   ("not", part)   ("at_least", n, parts)   ("nested", path, part)
//   ("in" | "not_in", path, values, strict)   ("null" | "empty" | "exists", path)   ("count", path, low, high)
//   ("numbers" | "strings" | "datetimes", path, gt, gte, lt, lte)   ("prefix", path, text)   ("substring", path, text, ignore_case)
//   ("words", path, text, "all" | "any" | "phrase")   ("radius", path, lat, lon, radius_m)   ("box", path, top, left, bottom, right)
//   ("polygon", path, exterior, interiors)   ("has_id", ids)   ("has_vector", name)   ("slice", total, index)
//
// Bounds and counts may be None. Texts arrive as the user wrote them and are split and folded here, by the tables that documents are
// read with.
#pragma once
#include <nanobind/nanobind.h>

#include "filter/condition.h"

namespace vicino::bind {

/// Throws InvalidArgument for paths and values that no filter can have, ValueError for a program that compile.py would not write.
Condition condition_of(nanobind::handle program);

}  // namespace vicino::bind
