// A path into a document, and the values it leads to.
//
//   path = step ("." step)*       step = key ("[]" | "[" digits "]")*
//   key  = any characters but . [ ] and "  |  "any characters but a quote" in quotes, for a key that holds one of those
//
// `a.b` goes into objects and never into lists; `a[]` stands for every element of a list, `a[0]` for one. What stands at the end of the
// steps are the path's targets (none, one or, with `[]`, several). Its values are the targets, a list among them replaced by its elements:
// one level, so that `tags` finds "red" in ["red", "blue"], and `[["red"]]` needs `tags[]`.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fields/document.h"

namespace vicino {

/// A key as it is spelled in a path.
std::string quoted_where_needed(const std::string& key);

class Path {
 public:
  struct Step {
    enum class Kind : std::uint8_t { key, every, at } kind;
    std::string key;
    std::uint64_t index = 0;
  };

  /// Throws InvalidArgument showing the path and the place where it cannot be read.
  static Path parse(std::string_view text);

  /// The path in its one canonical spelling: quotes only where they are needed. Field indexes are known by it.
  const std::string& text() const { return text_; }

  /// The same path without a last `[]`, for conditions on the elements of a list.
  Path without_last_every() const;

  /// Calls `visit(target)` for each target until one call returns true, and says whether one did.
  template <class Visit>
  bool any_target(Object document, Visit&& visit) const { return any_in_object(document, 0, visit); }

  /// The same for each value.
  template <class Visit>
  bool any_value(Object document, Visit&& visit) const {
    return any_target(document, [&](const Value& target) {
      if (!target.is_list()) return static_cast<bool>(visit(target));
      for (ListCursor element(target); element.next();)
        if (visit(element.value())) return true;
      return false;
    });
  }

 private:
  explicit Path(std::vector<Step> steps);

  template <class Visit>
  bool any_in_object(Object object, std::size_t depth, Visit&& visit) const {
    const auto found = object.find(steps_[depth].key);
    return found && any_at(*found, depth + 1, visit);
  }

  template <class Visit>
  bool any_at(const Value& value, std::size_t depth, Visit&& visit) const {
    if (depth == steps_.size()) return visit(value);
    const Step& step = steps_[depth];
    if (step.kind == Step::Kind::key) return value.is_object() && any_in_object(value.as_object(), depth, visit);
    if (!value.is_list() || (step.kind == Step::Kind::at && step.index >= value.list_size())) return false;
    std::uint64_t position = 0;
    for (ListCursor element(value); element.next(); ++position) {
      if (step.kind == Step::Kind::at && position != step.index) continue;
      if (any_at(element.value(), depth + 1, visit)) return true;
      if (step.kind == Step::Kind::at) return false;
    }
    return false;
  }

  std::vector<Step> steps_;  // the first is a key
  std::string text_;
};

}  // namespace vicino
