#include "shard/id_map.h"

#include <algorithm>

#include "util/byte_io.h"
#include "util/hash.h"

namespace vicino {

namespace {

std::uint64_t start_of(std::uint64_t hash, std::uint64_t capacity) {
  return (hash >> 32) * capacity >> 32;  // n < 2^32 rows of which at most 8M are used: no overflow
}

std::uint8_t tag_of(std::uint64_t hash) { return static_cast<std::uint8_t>(hash); }  // low byte: the high ones choose the place

}  // namespace

IdMap::Image IdMap::build(std::span<const Bytes> ids) {
  constexpr std::size_t integer_width = 9;
  const bool uniform = std::all_of(ids.begin(), ids.end(), [](Bytes id) { return id.size() == integer_width; });
  const std::uint64_t capacity = ids.size() + ids.size() / 3 + 1;
  Image image;
  append_value(image.meta, static_cast<std::uint32_t>(ids.size()));
  append_value(image.meta, static_cast<std::uint32_t>(uniform ? integer_width : 0));
  append_value(image.meta, capacity);
  std::vector<std::uint32_t> table(capacity, 0);
  image.tags.assign(capacity, '\0');
  if (!uniform) append_value(image.offsets, std::uint64_t{0});
  for (std::size_t row = 0; row < ids.size(); ++row) {
    append_bytes(image.bytes, ids[row]);
    if (!uniform) append_value(image.offsets, static_cast<std::uint64_t>(image.bytes.size()));
    const std::uint64_t hash = hash_bytes(ids[row]);
    std::uint64_t place = start_of(hash, capacity);
    while (table[place]) place = place + 1 == capacity ? 0 : place + 1;
    table[place] = static_cast<std::uint32_t>(row + 1);
    image.tags[place] = static_cast<char>(tag_of(hash));
  }
  image.table.assign(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(std::uint32_t));
  return image;
}

IdMap IdMap::open(const Container& container) {
  IdMap map;
  map.name_ = container.name();
  ByteReader meta(container.section("meta").bytes(), map.name_ + ", section meta");
  map.n_ = meta.read<std::uint32_t>();
  map.stride_ = meta.read<std::uint32_t>();
  map.capacity_ = meta.read<std::uint64_t>();
  if (map.capacity_ <= map.n_) meta.fail("capacity " + std::to_string(map.capacity_) + " leaves no free place for " + std::to_string(map.n_) + " ids");
  map.bytes_ = container.section("bytes").bytes();
  if (map.stride_) {
    if (map.bytes_.size() != std::size_t{map.n_} * map.stride_) meta.fail("section bytes does not hold " + std::to_string(map.n_) + " ids");
  } else {
    map.offsets_ = typed_section<std::uint64_t>(container.section("offsets").bytes(), std::size_t{map.n_} + 1, map.name_ + ", section offsets");
  }
  map.table_ = typed_section<std::uint32_t>(container.section("table").bytes(), map.capacity_, map.name_ + ", section table");
  map.tags_ = container.section("tags").bytes();
  if (map.tags_.size() != map.capacity_) meta.fail("section tags has a wrong size");
  return map;
}

std::optional<std::uint32_t> IdMap::find(Bytes id, std::uint64_t hash) const {
  const std::uint8_t tag = tag_of(hash);
  std::uint64_t place = start_of(hash, capacity_);
  // The loop is bounded by the capacity: a damaged table without a free place must not hang.
  for (std::uint64_t step = 0; step < capacity_; ++step) {
    const std::uint32_t entry = table_[place];
    if (entry == 0) return std::nullopt;
    if (tags_[place] == tag) {
      if (entry > n_) throw CorruptionError(name_ + ": the id table names row " + std::to_string(entry - 1) + " of " + std::to_string(n_));
      const Bytes found = (*this)[entry - 1];
      if (found.size() == id.size() && std::memcmp(found.data(), id.data(), id.size()) == 0) return entry - 1;
    }
    place = place + 1 == capacity_ ? 0 : place + 1;
  }
  return std::nullopt;
}

void IdMap::verify() const {
  for (std::uint32_t row = 0; row < n_; ++row) {
    const Bytes id = (*this)[row];
    const auto found = find(id, hash_bytes(id));
    if (!found) throw CorruptionError(name_ + ": the id of row " + std::to_string(row) + " is not in the table");
    if (*found != row) throw CorruptionError(name_ + ": rows " + std::to_string(row) + " and " + std::to_string(*found) + " have the same id");
  }
}

}  // namespace vicino
