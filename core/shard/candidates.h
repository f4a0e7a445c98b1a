// Searches over some rows of a snapshot: the ranking of one part of a query, handed to the next.
#pragma once
#include <span>

#include "shard/snapshot.h"

namespace vicino {

/// These rows, as what a search may be restricted to. Dead rows among them are left out. Throws InvalidArgument for other snapshots' locators.
Matches matches_of(const Snapshot& snapshot, std::span<const Locator> locators);

/// Those of `within` (null: all live rows) that meet the condition.
Matches match_within(const Snapshot& snapshot, const Condition& condition, const SlotNames& slots, const Matches* within, const Cancel& cancel);

}  // namespace vicino
