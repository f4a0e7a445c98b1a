#include "filter/evaluate.h"

#include <algorithm>

#include "filter/field_index.h"
#include "filter/match_record.h"

namespace vicino {

namespace {

using namespace filter;

constexpr std::size_t kRowsPerCheck = 256;

/// How a condition can be answered: without documents, partly without, or from documents alone.
enum class Reach { answered, mixed, scanned };

class SourceRecord final : public RecordView {
 public:
  SourceRecord(const RowSource& source, std::size_t row) : source_(source), row_(row) {}
  Bytes id() const override { return source_.id(row_); }
  bool has_vector(std::string_view name) const override { return source_.has_vector(name, row_); }

 private:
  const RowSource& source_;
  std::size_t row_;
};

class Evaluation {
 public:
  Evaluation(const RowSource& source, const Cancel& cancel, EvaluateStats& stats) : source_(source), cancel_(cancel), stats_(stats) {}

  Bitmap rows_of(const Condition& condition, const Bitmap& candidates) {
    if (candidates.none()) return Bitmap(candidates.size());
    if (reach(condition) == Reach::scanned) {
      note_scanned_paths(condition);
      return scan(candidates, [&](Object document, const RecordView& record) { return matches(condition, document, record); });
    }
    return std::visit([&](const auto& node) { return answer(node, candidates); }, condition.node);
  }

 private:
  using Parts = std::vector<const Condition*>;

  const FieldIndex* index_for(const Leaf& leaf) const {
    const FieldIndex* index = source_.index(leaf.path.text());
    return index && index->answers(leaf.test) ? index : nullptr;
  }

  Reach reach_of_parts(const std::vector<Condition>& parts) const {
    bool some_answered = parts.empty();
    bool some_scanned = false;
    for (const Condition& part : parts) {
      const Reach one = reach(part);
      some_answered |= one != Reach::scanned;
      some_scanned |= one != Reach::answered;
    }
    return !some_scanned ? Reach::answered : some_answered ? Reach::mixed : Reach::scanned;
  }

  Reach reach(const Condition& condition) const {
    if (const auto* leaf = std::get_if<Leaf>(&condition.node)) return index_for(*leaf) ? Reach::answered : Reach::scanned;
    if (const auto* all = std::get_if<And>(&condition.node)) return reach_of_parts(all->parts);
    if (const auto* any = std::get_if<Or>(&condition.node)) return reach_of_parts(any->parts);
    if (const auto* negation = std::get_if<Not>(&condition.node)) return reach(negation->part.front());
    if (const auto* at_least = std::get_if<AtLeast>(&condition.node)) return reach_of_parts(at_least->parts);
    return Reach::answered;
  }

  void note_scanned_paths(const Condition& condition) {
    if (const auto* leaf = std::get_if<Leaf>(&condition.node)) stats_.paths_scanned.insert(leaf->path.text());
    const auto note_all = [&](const std::vector<Condition>& parts) {
      for (const Condition& part : parts) note_scanned_paths(part);
    };
    if (const auto* all = std::get_if<And>(&condition.node)) note_all(all->parts);
    if (const auto* any = std::get_if<Or>(&condition.node)) note_all(any->parts);
    if (const auto* negation = std::get_if<Not>(&condition.node)) note_all(negation->part);
    if (const auto* at_least = std::get_if<AtLeast>(&condition.node)) note_all(at_least->parts);
  }

  template <class Holds>
  Bitmap scan(const Bitmap& candidates, Holds&& holds) {
    Bitmap found(candidates.size());
    candidates.for_each([&](std::size_t row) {
      if (stats_.rows_scanned++ % kRowsPerCheck == 0) cancel_.check();
      if (holds(Object(source_.document(row)), SourceRecord(source_, row))) found.set(row);
    });
    return found;
  }

  /// Parts in the order answered, mixed, scanned; the answered ones by how many rows they let through.
  struct Ordered {
    Parts by_index, scanned;  // by_index ends with the mixed ones
  };
  Ordered order(const std::vector<Condition>& parts, bool fewest_first) const {
    std::vector<std::pair<std::size_t, const Condition*>> answered;
    Ordered ordered;
    Parts mixed;
    for (const Condition& part : parts) {
      const Reach one = reach(part);
      if (one == Reach::answered) answered.emplace_back(estimate(part, source_).likely, &part);
      else (one == Reach::mixed ? mixed : ordered.scanned).push_back(&part);
    }
    std::ranges::stable_sort(answered, [&](const auto& a, const auto& b) { return fewest_first ? a.first < b.first : a.first > b.first; });
    for (const auto& [rows, part] : answered) ordered.by_index.push_back(part);
    ordered.by_index.insert(ordered.by_index.end(), mixed.begin(), mixed.end());
    return ordered;
  }

  Bitmap answer(const And& all, const Bitmap& candidates) {
    const Ordered parts = order(all.parts, true);
    Bitmap open = candidates;
    for (const Condition* part : parts.by_index) open = rows_of(*part, open);
    if (parts.scanned.empty() || open.none()) return open;
    for (const Condition* part : parts.scanned) note_scanned_paths(*part);
    return scan(open, [&](Object document, const RecordView& record) {
      return std::ranges::all_of(parts.scanned, [&](const Condition* part) { return matches(*part, document, record); });
    });
  }

  Bitmap answer(const Or& any, const Bitmap& candidates) {
    const Ordered parts = order(any.parts, false);
    Bitmap found(candidates.size());
    Bitmap open = candidates;
    for (const Condition* part : parts.by_index) {
      const Bitmap rows = rows_of(*part, open);
      found |= rows;
      open.and_not(rows);
    }
    if (parts.scanned.empty() || open.none()) return found;
    for (const Condition* part : parts.scanned) note_scanned_paths(*part);
    found |= scan(open, [&](Object document, const RecordView& record) {
      return std::ranges::any_of(parts.scanned, [&](const Condition* part) { return matches(*part, document, record); });
    });
    return found;
  }

  Bitmap answer(const Not& negation, const Bitmap& candidates) {
    Bitmap open = candidates;
    open.and_not(rows_of(negation.part.front(), candidates));
    return open;
  }

  Bitmap answer(const AtLeast& at_least, const Bitmap& candidates) {
    if (at_least.n == 0) return candidates;
    const Ordered ordered = order(at_least.parts, false);
    Parts parts = ordered.by_index;
    parts.insert(parts.end(), ordered.scanned.begin(), ordered.scanned.end());
    Bitmap found(candidates.size());
    Bitmap open = candidates;
    std::vector<std::uint32_t> held(candidates.size());
    for (std::size_t left = parts.size(); left > 0 && !open.none(); --left) {
      const Bitmap rows = rows_of(*parts[parts.size() - left], open);
      rows.for_each([&](std::size_t row) { ++held[row]; });
      Bitmap undecided = open;
      open.for_each([&](std::size_t row) {
        if (held[row] >= at_least.n) found.set(row);
        if (held[row] >= at_least.n || held[row] + (left - 1) < at_least.n) undecided.reset(row);
      });
      open = std::move(undecided);
    }
    return found;
  }

  Bitmap answer(const Leaf& leaf, const Bitmap& candidates) {
    const FieldIndex& index = *index_for(leaf);
    if (index.n_rows() != source_.rows()) {
      throw CorruptionError("the index of `" + leaf.path.text() + "` covers " + std::to_string(index.n_rows()) + " rows, the segment has " +
                            std::to_string(source_.rows()) + "; drop the index and create it anew");
    }
    stats_.paths_indexed.insert(leaf.path.text());
    FieldIndex::Answer known = index.answer(leaf.test, cancel_);
    known.rows &= candidates;
    Bitmap unsure(candidates.size());
    if (known.unsure) unsure |= *known.unsure;
    if (const Bitmap* stale = source_.stale()) {
      known.rows.and_not(*stale);
      unsure |= *stale;
    }
    unsure &= candidates;
    known.rows |= scan(unsure, [&](Object document, const RecordView& record) { return passes(leaf, document, record); });
    return std::move(known.rows);
  }

  Bitmap answer(const HasId& has_id, const Bitmap& candidates) {
    Bitmap found(candidates.size());
    for (const std::string& id : has_id.ids) {
      const auto rows = source_.rows_of({reinterpret_cast<const std::uint8_t*>(id.data()), id.size()});
      if (!rows) return select(candidates, [&](std::size_t row) { return has_id.ids.contains(text_of(source_.id(row))); });
      for (const std::size_t row : *rows)
        if (row < candidates.size() && candidates.test(row)) found.set(row);
    }
    return found;
  }

  Bitmap answer(const HasVector& vector, const Bitmap& candidates) {
    return select(candidates, [&](std::size_t row) { return source_.has_vector(vector.name, row); });
  }

  Bitmap answer(const Slice& slice, const Bitmap& candidates) {
    return select(candidates, [&](std::size_t row) { return in_slice(slice, source_.id(row)); });
  }

  template <class Holds>
  Bitmap select(const Bitmap& candidates, Holds&& holds) const {
    Bitmap found(candidates.size());
    std::size_t looked_at = 0;
    candidates.for_each([&](std::size_t row) {
      if (looked_at++ % kRowsPerCheck == 0) cancel_.check();
      if (holds(row)) found.set(row);
    });
    return found;
  }

  static std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

  const RowSource& source_;
  const Cancel& cancel_;
  EvaluateStats& stats_;
};

class LooseRecord final : public RecordView {
 public:
  LooseRecord(Bytes id, const std::function<bool(std::string_view)>& has_vector) : id_(id), has_vector_(has_vector) {}
  Bytes id() const override { return id_; }
  bool has_vector(std::string_view name) const override { return has_vector_(name); }

 private:
  Bytes id_;
  const std::function<bool(std::string_view)>& has_vector_;
};

}  // namespace

Bitmap evaluate(const Condition& condition, const RowSource& source, const Bitmap& candidates, const Cancel& cancel, EvaluateStats& stats) {
  cancel.check();
  return Evaluation(source, cancel, stats).rows_of(condition, candidates);
}

bool matches(const Condition& condition, Bytes document, Bytes id, const std::function<bool(std::string_view)>& has_vector) {
  return filter::matches(condition, Object(document), LooseRecord(id, has_vector));
}

}  // namespace vicino
