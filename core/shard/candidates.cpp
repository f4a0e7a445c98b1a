#include "shard/candidates.h"

#include <string>

#include "util/errors.h"

namespace vicino {

Matches matches_of(const Snapshot& snapshot, std::span<const Locator> locators) {
  const auto& entries = snapshot.entries();
  std::vector<std::shared_ptr<Bitmap>> rows(entries.size());
  for (const Locator at : locators) {
    const auto entry = static_cast<std::size_t>(at >> 32);
    const auto row = static_cast<std::uint32_t>(at);
    if (at < 0 || entry >= entries.size() || row >= entries[entry].rows->size())
      throw InvalidArgument("locator " + std::to_string(at) + " does not belong to this snapshot");
    if (entries[entry].is_dead(row)) continue;
    if (!rows[entry]) rows[entry] = std::make_shared<Bitmap>(entries[entry].rows->size());
    rows[entry]->set(row);
  }
  Matches matches;
  for (std::size_t entry = 0; entry < entries.size(); ++entry) {
    // A null bitmap would mean every row.
    if (!rows[entry]) rows[entry] = std::make_shared<Bitmap>(entries[entry].rows->size());
    matches.counts.push_back(static_cast<std::uint32_t>(rows[entry]->count()));
    matches.count += matches.counts.back();
    matches.rows.push_back(std::move(rows[entry]));
  }
  return matches;
}

Matches match_within(const Snapshot& snapshot, const Condition& condition, const SlotNames& slots, const Matches* within, const Cancel& cancel) {
  const auto& entries = snapshot.entries();
  if (within && within->rows.size() != entries.size()) throw InvalidArgument("the matches belong to another snapshot");
  Matches matches;
  for (std::size_t entry = 0; entry < entries.size(); ++entry) {
    const Bitmap* allowed = snapshot.allowed(entry, within);
    const Bitmap candidates = allowed ? *allowed : Bitmap(entries[entry].rows->size(), true);
    auto found = std::make_shared<Bitmap>(entries[entry].rows->size());
    if (!candidates.none()) *found = evaluate(condition, *snapshot.source(entry, slots), candidates, cancel, matches.stats);
    matches.counts.push_back(static_cast<std::uint32_t>(found->count()));
    matches.count += matches.counts.back();
    matches.rows.push_back(std::move(found));
  }
  return matches;
}

}  // namespace vicino
