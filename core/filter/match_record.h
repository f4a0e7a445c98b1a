// One record against a condition: the scan's side of every rule. Field indexes must agree with it.
#pragma once
#include <string_view>

#include "filter/condition.h"

namespace vicino::filter {

/// The parts of a record that are not in its document.
class RecordView {
 public:
  virtual ~RecordView() = default;
  virtual Bytes id() const = 0;
  virtual bool has_vector(std::string_view name) const = 0;
};

/// Inside Nested, `document` is the element, and the record stays the whole one.
bool matches(const Condition& condition, Object document, const RecordView& record);
bool passes(const Leaf& leaf, Object document, const RecordView& record);

bool in_slice(const Slice& slice, Bytes id);

/// Rules about one string; indexes ask them of each distinct string.
bool passes_text(const StringRange& test, std::string_view text);
bool passes_text(const Prefix& test, std::string_view text);
bool passes_text(const Substring& test, std::string_view text);
bool passes_text(const WordMatch& test, std::string_view text);

}  // namespace vicino::filter
