// Hits of several queries in one piece of memory, beside a vector for each.
#include "shard/hit_lists.h"

#include <string>

#include "tests/check.h"

namespace vicino {

namespace {

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// Hits of row 10 q to 10 q + counts[q] - 1 for query q; the id of row r is r times an "x".
HitLists filled(const std::vector<std::size_t>& counts, std::size_t width, bool with_ids) {
  HitLists lists(counts.size(), width, with_ids);
  for (std::size_t query = 0; query < counts.size(); ++query) {
    std::vector<Hit> hits;
    for (std::size_t i = 0; i < counts[query]; ++i) hits.push_back({static_cast<float>(i), 10 * query + i});
    lists.set(query, hits);
  }
  std::vector<std::string> ids(200);
  for (std::size_t row = 0; row < ids.size(); ++row) ids[row].assign(row, 'x');
  lists.read_ids(0, counts.size(), [&](std::uint64_t row) { return bytes_of(ids[row]); });
  return lists;
}

std::vector<std::uint64_t> rows_of(const HitLists& lists, std::size_t query) {
  std::vector<std::uint64_t> rows;
  for (const Hit& hit : lists[query]) rows.push_back(hit.row);
  return rows;
}

}  // namespace

TEST(hit_lists_hold_what_was_set) {
  const HitLists lists = filled({3, 0, 4}, 4, false);
  CHECK_EQUAL(lists.size(), std::size_t{3});
  CHECK_EQUAL(lists.n_hits(), std::size_t{7});
  CHECK((rows_of(lists, 0) == std::vector<std::uint64_t>{0, 1, 2}));
  CHECK(rows_of(lists, 1).empty());
  CHECK((rows_of(lists, 2) == std::vector<std::uint64_t>{20, 21, 22, 23}));
  CHECK(lists.ids(0).empty());
}

TEST(hit_lists_hold_short_ids_only) {
  const HitLists lists = filled({2, 2, 5}, 5, true);
  for (std::size_t query = 0; query < lists.size(); ++query)
    for (std::size_t i = 0; i < lists[query].size(); ++i) {
      const std::size_t row = lists[query][i].row;
      CHECK_EQUAL(lists.ids(query)[i].bytes().size(), row <= 23 ? row : std::size_t{0});
    }
}

TEST(hit_lists_are_cut_and_put_together) {
  HitLists lists = filled({3, 1}, 3, true);
  lists.append(filled({5}, 9, true));
  CHECK_EQUAL(lists.size(), std::size_t{3});
  CHECK((rows_of(lists, 2) == std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
  CHECK_EQUAL(lists.ids(1)[0].bytes().size(), std::size_t{10});
  lists.skip(2);
  lists.truncate(2, 2);
  lists.truncate(0, 7);
  CHECK((rows_of(lists, 0) == std::vector<std::uint64_t>{2}));
  CHECK(rows_of(lists, 1).empty());
  CHECK((rows_of(lists, 2) == std::vector<std::uint64_t>{2, 3}));
  CHECK_EQUAL(lists.ids(2)[1].bytes().size(), std::size_t{3});
  HitLists none;
  none.append(lists);
  CHECK_EQUAL(none.n_hits(), std::size_t{3});
  CHECK_EQUAL(none.ids(1).size() + none.ids(2).size(), std::size_t{2});
  none.append(filled({1}, 1, false));
  CHECK_EQUAL(none.n_hits(), std::size_t{4});
  CHECK(none.ids(2).empty());
}

TEST(hit_lists_without_end_have_no_ids) {
  const HitLists most(2, HitLists::kIdsMax / 2, true), more(3, HitLists::kIdsMax / 2, true);
  CHECK(most.ids(0).data());
  CHECK(!more.ids(0).data());
}

}  // namespace vicino
