// Overlay against a list of all updates, asked at every version.
#include "shard/overlay.h"

#include <map>

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

struct Known {
  std::uint32_t row;
  std::uint64_t version;
  std::string document;
};

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Newest update of each row with after < version <= bound.
std::map<std::uint32_t, Known> newest_of(const std::vector<Known>& all, std::uint64_t after, std::uint64_t bound) {
  std::map<std::uint32_t, Known> newest;
  for (const Known& known : all)
    if (known.version <= bound) newest.insert_or_assign(known.row, known);
  std::erase_if(newest, [&](const auto& entry) { return entry.second.version <= after; });
  return newest;
}

void check_same(const std::vector<Overlay::Update>& found, const std::map<std::uint32_t, Known>& expected) {
  CHECK_EQUAL(found.size(), expected.size());
  auto wanted = expected.begin();
  for (const Overlay::Update& update : found) {
    CHECK_EQUAL(update.row, wanted->first);
    CHECK_EQUAL(update.version, wanted->second.version);
    CHECK_EQUAL(text_of(update.document), wanted->second.document);
    ++wanted;
  }
}

}  // namespace

TEST(overlay_shows_each_version_its_own_documents) {
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    Overlay overlay;
    std::vector<Known> all;
    std::uint64_t version = 0;
    for (int i = 0; i < 60; ++i) {
      version += random.below(3);
      const std::string document(random.below(5), static_cast<char>('a' + i % 26));
      all.push_back({random.below(8), version, document});
      overlay.put(all.back().row, version, {reinterpret_cast<const std::uint8_t*>(document.data()), document.size()});
    }
    for (std::uint64_t bound = 0; bound <= version + 1; ++bound) {
      const auto newest = newest_of(all, 0, bound);
      for (std::uint32_t row = 0; row < 9; ++row) {
        // Version 0 is before every commit; an update that carries it is found all the same.
        const auto found = overlay.find(row, bound);
        bool exists = false;
        std::uint64_t expected = 0;
        for (const Known& known : all)
          if (known.row == row && known.version <= bound) exists = true, expected = known.version;
        CHECK_EQUAL(found.has_value(), exists);
        if (found) CHECK_EQUAL(found->version, expected);
      }
      check_same(overlay.between(0, bound), newest);
      check_same(overlay.between(version / 2, bound), newest_of(all, version / 2, bound));
      std::uint64_t latest = 0;
      for (const Known& known : all)
        if (known.version <= bound) latest = std::max(latest, known.version);
      CHECK_EQUAL(overlay.newest(bound), latest);
      std::size_t n_since = 0;
      for (const Known& known : all) n_since += known.version > bound;
      const auto since = overlay.since(bound);
      CHECK_EQUAL(since.size(), n_since);
      for (std::size_t i = 1; i < since.size(); ++i) CHECK(since[i - 1].version <= since[i].version);
    }
  }
}

}  // namespace vicino
