#include "shard/snapshot.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/coded_rows.h"
#include "util/hash.h"

namespace vicino {

namespace {

class EntrySource final : public RowSource {
 public:
  EntrySource(const Entry& entry, std::uint64_t version, const SlotNames& slots) : entry_(entry), version_(version), slots_(slots) {}

  std::size_t rows() const override { return entry_.rows->size(); }
  Bytes document(std::size_t row) const override {
    const auto at = static_cast<std::uint32_t>(row);
    if (entry_.updated && entry_.updated->test(row))
      if (const auto update = entry_.overlay->find(at, version_)) return update->document;
    return entry_.rows->document(at);
  }
  Bytes id(std::size_t row) const override { return entry_.rows->id(static_cast<std::uint32_t>(row)); }
  bool has_vector(std::string_view name, std::size_t row) const override {
    const auto slot = slots_.find(std::string(name));
    return slot != slots_.end() && entry_.rows->vector(slot->second, static_cast<std::uint32_t>(row)) != nullptr;
  }
  std::optional<std::vector<std::size_t>> rows_of(Bytes id) const override {
    // The id map knows the last row written under the id; earlier ones are dead.
    const auto row = entry_.rows->find(id, hash_bytes(id));
    return row ? std::vector<std::size_t>{*row} : std::vector<std::size_t>{};
  }
  const FieldIndex* index(std::string_view path) const override { return entry_.rows->index(path); }
  const Bitmap* stale() const override { return entry_.updated.get(); }

 private:
  const Entry& entry_;
  std::uint64_t version_;
  const SlotNames& slots_;
};

}  // namespace

std::size_t Matches::memory_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i]) bytes += 2 * rows[i]->n_words() * sizeof(std::uint64_t) + sizeof(std::uint32_t) * std::min<std::size_t>(counts[i], rows[i]->size() / 8);
  return bytes;
}

Snapshot::Snapshot(std::uint64_t version, std::vector<Entry> entries) : version_(version), entries_(std::move(entries)) {
  static std::atomic<std::uint64_t> made{0};
  identity_ = made.fetch_add(1, std::memory_order_relaxed);
  for (const Entry& entry : entries_) n_records_ += entry.n_live;
}

Locator Snapshot::find_any(Bytes id) const {
  const std::uint64_t hash = hash_bytes(id);
  for (std::size_t i = entries_.size(); i-- > 0;)
    if (const auto row = entries_[i].rows->find(id, hash)) return locator(i, *row);
  return kNowhere;
}

Locator Snapshot::find(Bytes id) const {
  const std::uint64_t hash = hash_bytes(id);
  for (std::size_t i = entries_.size(); i-- > 0;) {
    const auto row = entries_[i].rows->find(id, hash);
    if (row && !entries_[i].is_dead(*row)) return locator(i, *row);
  }
  return kNowhere;
}

const Entry& Snapshot::entry_of(Locator at) const {
  const auto position = static_cast<std::size_t>(at >> 32);
  if (at < 0 || position >= entries_.size() || static_cast<std::uint32_t>(at) >= entries_[position].rows->size())
    throw InvalidArgument("locator " + std::to_string(at) + " does not belong to this snapshot");
  return entries_[position];
}

Bytes Snapshot::id(Locator at) const { return entry_of(at).rows->id(static_cast<std::uint32_t>(at)); }

Bytes Snapshot::document(Locator at) const {
  const Entry& entry = entry_of(at);
  const auto row = static_cast<std::uint32_t>(at);
  if (entry.updated && entry.updated->test(row))
    if (const auto update = entry.overlay->find(row, version_)) return update->document;
  return entry.rows->document(row);
}

std::uint64_t Snapshot::version(Locator at) const {
  const Entry& entry = entry_of(at);
  const auto row = static_cast<std::uint32_t>(at);
  if (entry.updated && entry.updated->test(row))
    if (const auto update = entry.overlay->find(row, version_)) return update->version;
  return entry.rows->version(row);
}

const std::uint8_t* Snapshot::vector(std::uint32_t slot, Locator at) const { return entry_of(at).rows->vector(slot, static_cast<std::uint32_t>(at)); }

bool Snapshot::read_vector(const ColumnSpec& column, Locator at, std::uint8_t* out) const {
  const Rows& rows = *entry_of(at).rows;
  const std::uint8_t* vector = rows.vector(column.slot, static_cast<std::uint32_t>(at));
  if (!vector) return false;
  if (!rows.is_coded(column.slot)) std::memcpy(out, vector, row_bytes(column.dtype, column.dim));
  else decode_coded_row(vector, column.dim, column.dtype, out);
  return true;
}

void Snapshot::expect_column(const ColumnSpec& column) const {
  const auto shape = [](const ColumnSpec& spec) {
    return std::string("dim ").append(std::to_string(spec.dim)).append(", ").append(name_of(spec.dtype)).append(", ").append(name_of(spec.metric));
  };
  for (const Entry& entry : entries_)
    for (const ColumnSpec& stored : entry.rows->columns())
      if (stored.slot == column.slot && stored != column)
        throw CorruptionError("vector slot " + std::to_string(column.slot) + " is stored with " + shape(stored) + ", asked for with " +
                              shape(column) + "; restore the folder from a snapshot or a copy");
}

std::vector<Locator> Snapshot::spaced_records(std::uint32_t slot, std::size_t n) const {
  std::uint64_t n_rows = 0, before = 0;
  for (const Entry& entry : entries_) n_rows += entry.rows->size();
  const std::uint64_t step = std::max<std::uint64_t>(1, n_rows / std::max<std::size_t>(1, n));
  std::vector<Locator> found;
  std::uint64_t next = 0;  // the first row from which one may be taken
  for (std::size_t position = 0; position < entries_.size(); before += entries_[position++].rows->size()) {
    const Entry& entry = entries_[position];
    const auto size = static_cast<std::uint32_t>(entry.rows->size());
    for (std::uint64_t row = next > before ? next - before : 0; row < size; ++row) {
      const auto at = static_cast<std::uint32_t>(row);
      if (entry.is_dead(at) || !entry.rows->vector(slot, at)) continue;  // the next that is there stands for it
      found.push_back(locator(position, at));
      next = ((before + row) / step + 1) * step;
      row = next - before - 1;
    }
  }
  return found;
}

std::unique_ptr<RowSource> Snapshot::source(std::size_t entry, const SlotNames& slots) const {
  return std::make_unique<EntrySource>(entries_[entry], version_, slots);
}

const Bitmap* Snapshot::allowed(std::size_t entry, const Matches* matches) const {
  return matches ? matches->rows[entry].get() : entries_[entry].live.get();
}

Matches Snapshot::match(const Condition* condition, const SlotNames& slots, const Cancel& cancel) const {
  Matches matches;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::shared_ptr<const Bitmap> rows = entries_[i].live;
    std::uint32_t count = entries_[i].n_live;
    if (condition) {
      const Bitmap candidates = rows ? *rows : Bitmap(entries_[i].rows->size(), true);
      const EntrySource source(entries_[i], version_, slots);
      auto found = std::make_shared<Bitmap>(evaluate(*condition, source, candidates, cancel, matches.stats));
      count = static_cast<std::uint32_t>(found->count());
      rows = std::move(found);
    }
    matches.rows.push_back(std::move(rows));
    matches.counts.push_back(count);
    matches.count += count;
  }
  return matches;
}

Cardinality Snapshot::estimate(const Condition& condition, const SlotNames& slots) const {
  Cardinality total{0, 0, 0};
  for (const Entry& entry : entries_) {
    const EntrySource source(entry, version_, slots);
    const Cardinality part = vicino::estimate(condition, source);
    total.low += entry.live ? 0 : part.low;  // any of the rows counted may be dead
    total.likely += part.likely * entry.n_live / std::max<std::size_t>(1, entry.rows->size());
    total.high += std::min<std::size_t>(part.high, entry.n_live);
  }
  total.low = std::min(total.low, total.high);
  total.likely = std::clamp(total.likely, total.low, total.high);
  return total;
}

}  // namespace vicino
