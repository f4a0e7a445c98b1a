// IdMap where it is hard: ids whose places in the table collide, in hash and tag, and tables that wrap around.
#include "shard/id_map.h"

#include <algorithm>
#include <memory>
#include <new>

#include "storage/checksum.h"
#include "tests/check.h"
#include "util/hash.h"

namespace vicino {

namespace {

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// The sections as a container in memory. The text must outlive it.
Container container_of(const IdMap::Image& image, std::string& text) {
  text = encode_container_header("ids");
  std::vector<Section> sections;
  const auto add = [&](const char* name, const std::string& data) {
    text.resize((text.size() + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment);
    Section section{name, text.size(), data.size(), {}};
    for (std::size_t at = 0; at < data.size(); at += kChecksumBlock)
      section.checksums.push_back(crc32c(bytes_of(data).subspan(at, std::min(kChecksumBlock, data.size() - at))));
    sections.push_back(std::move(section));
    text += data;
  };
  add("meta", image.meta);
  add("bytes", image.bytes);
  if (!image.offsets.empty()) add("offsets", image.offsets);
  add("table", image.table);
  add("tags", image.tags);
  text += encode_container_end(sections, text.size());
  // Sections are read in place as arrays, so the copy is aligned like a mapped file.
  const std::shared_ptr<std::uint8_t> aligned(static_cast<std::uint8_t*>(::operator new(text.size(), std::align_val_t{kSectionAlignment})),
                                              [](std::uint8_t* data) { ::operator delete(data, std::align_val_t{kSectionAlignment}); });
  std::copy(text.begin(), text.end(), aligned.get());
  return Container::open(Blob({aligned.get(), text.size()}, aligned), "ids");
}

/// Ids that all begin at the last place of a table of this capacity and have one tag.
std::vector<std::string> colliding_ids(std::size_t n, std::uint64_t capacity) {
  std::vector<std::string> found;
  for (std::uint32_t i = 0; found.size() < n; ++i) {
    std::string id = "id" + std::to_string(i);
    const std::uint64_t hash = hash_bytes(bytes_of(id));
    if (((hash >> 32) * capacity >> 32) == capacity - 1 && static_cast<std::uint8_t>(hash) == 7) found.push_back(std::move(id));
  }
  return found;
}

void check_finds_all(const std::vector<std::string>& ids) {
  std::vector<Bytes> views;
  for (const std::string& id : ids) views.push_back(bytes_of(id));
  std::string text;
  const Container container = container_of(IdMap::build(views), text);
  const IdMap map = IdMap::open(container);
  map.verify();
  CHECK_EQUAL(map.size(), ids.size());
  for (std::uint32_t row = 0; row < ids.size(); ++row) {
    CHECK(std::ranges::equal(map[row], views[row]));
    CHECK_EQUAL(map.find(views[row], hash_bytes(views[row])).value_or(~0u), row);
  }
  for (const char* other : {"", "other", "123456789", "id"}) {
    const std::string id = other;
    if (std::ranges::find(ids, id) == ids.end()) CHECK(!map.find(bytes_of(id), hash_bytes(bytes_of(id))));
  }
}

}  // namespace

TEST(id_map_finds_ids_whose_hashes_collide) {
  constexpr std::size_t n = 6;
  check_finds_all(colliding_ids(n, n + n / 3 + 1));
}

TEST(id_map_finds_ids_of_any_number_and_width) {
  for (const std::size_t n : {0, 1, 2, 3, 64, 1000}) {
    std::vector<std::string> uniform, mixed;
    for (std::size_t i = 0; i < n; ++i) {
      uniform.push_back(std::string(9, static_cast<char>(i)) );
      uniform.back().replace(1, 8, reinterpret_cast<const char*>(&i), sizeof i);
      mixed.push_back(std::string(i % 40, 'x') + std::to_string(i));
    }
    check_finds_all(uniform);
    check_finds_all(mixed);
  }
}

TEST(id_map_with_an_id_twice_does_not_verify) {
  const std::vector<std::string> ids = {"a", "b", "a"};
  std::vector<Bytes> views;
  for (const std::string& id : ids) views.push_back(bytes_of(id));
  std::string text;
  const Container container = container_of(IdMap::build(views), text);
  bool refused = false;
  try {
    IdMap::open(container).verify();
  } catch (const CorruptionError&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace vicino
