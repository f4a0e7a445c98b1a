#include "storage/container.h"

#include <algorithm>
#include <cstdio>

#include "storage/checksum.h"
#include "util/byte_io.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr char kMagic[8] = {'V', 'I', 'C', 'I', 'N', 'O', '\r', '\n'};
constexpr char kEndMagic[4] = {'E', 'N', 'D', '\n'};

std::string hex(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

template <class T>
T value_at(Bytes bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

constexpr const char* kNextStep = "; restore the file from a snapshot or a copy";

void expect_checksum(std::uint32_t found, std::uint32_t expected, const std::string& place) {
  if (found != expected)
    throw CorruptionError(place + ": checksum is " + hex(found) + ", expected " + hex(expected) + kNextStep);
}

std::string read_header(Bytes file, const std::string& name) {
  if (std::memcmp(file.data(), kMagic, sizeof kMagic)) throw CorruptionError(name + ": is not a vicino file (wrong first 8 bytes)" + kNextStep);
  // The format comes before the checksum: a newer format may put its checksum elsewhere.
  if (const auto format = value_at<std::uint32_t>(file, 8); format != kContainerFormat)
    throw FormatError(name + ": has container format " + std::to_string(format) + ", this version reads format " +
                      std::to_string(kContainerFormat) + "; upgrade vicino");
  expect_checksum(crc32c(file.first(kContainerHeaderSize - 4)), value_at<std::uint32_t>(file, kContainerHeaderSize - 4), name + ", header");
  if (const auto features = value_at<std::uint64_t>(file, 16); features & ~kContainerFeatures)
    throw FormatError(name + ": requires features " + std::to_string(features & ~kContainerFeatures) +
                      " (bits) that this version does not know; upgrade vicino");
  const char* kind = reinterpret_cast<const char*>(file.data()) + 24;
  return {kind, strnlen(kind, kKindSizeMax)};
}

/// Sections must lie in order between header and table, aligned and apart, so that no two of them share a byte.
std::vector<Section> read_table(Bytes table, std::uint32_t count, std::uint64_t table_offset, const std::string& name) {
  ByteReader reader(table, name + ", section table");
  std::vector<Section> sections;
  std::uint64_t end = kContainerHeaderSize;
  for (std::uint32_t i = 0; i < count; ++i) {
    Section section;
    const Bytes text = reader.take(reader.read<std::uint32_t>());
    section.name.assign(text.begin(), text.end());
    section.offset = reader.read<std::uint64_t>();
    section.size = reader.read<std::uint64_t>();
    if (section.offset % kSectionAlignment || section.offset < end || section.offset > table_offset ||
        section.size > table_offset - section.offset)
      reader.fail("section \"" + section.name + "\" has offset " + std::to_string(section.offset) + " and " + std::to_string(section.size) +
                  " bytes, which does not fit between " + std::to_string(end) + " and " + std::to_string(table_offset) + kNextStep);
    end = section.offset + section.size;
    const std::size_t blocks = (section.size + kChecksumBlock - 1) / kChecksumBlock;
    const Bytes checksums = reader.take(blocks * sizeof(std::uint32_t));
    section.checksums.resize(blocks);
    if (blocks) std::memcpy(section.checksums.data(), checksums.data(), checksums.size());
    sections.push_back(std::move(section));
  }
  if (reader.remaining()) reader.fail(std::to_string(reader.remaining()) + " bytes left over" + kNextStep);
  return sections;
}

}  // namespace

Container Container::open(Blob blob, std::string name) {
  const Bytes file = blob.bytes();
  if (file.size() < kContainerHeaderSize + kContainerTrailerSize)
    throw CorruptionError(name + ": has " + std::to_string(file.size()) + " bytes, a container has at least " +
                          std::to_string(kContainerHeaderSize + kContainerTrailerSize) + kNextStep);
  Container container;
  container.kind_ = read_header(file, name);
  const Bytes trailer = file.last(kContainerTrailerSize);
  if (std::memcmp(trailer.data() + 24, kEndMagic, sizeof kEndMagic))
    throw CorruptionError(name + ": ends without a trailer at " + std::to_string(file.size()) + " bytes; the file is cut short or damaged" + kNextStep);
  expect_checksum(crc32c(trailer.first(28)), value_at<std::uint32_t>(trailer, 28), name + ", trailer");
  const auto table_offset = value_at<std::uint64_t>(trailer, 0), table_size = value_at<std::uint64_t>(trailer, 8);
  const std::uint64_t room = file.size() - kContainerTrailerSize;
  if (table_offset < kContainerHeaderSize || table_offset > room || table_size != room - table_offset)
    throw CorruptionError(name + ", trailer: the section table at " + std::to_string(table_offset) + " with " + std::to_string(table_size) +
                          " bytes does not end at " + std::to_string(room) + kNextStep);
  const Bytes table = file.subspan(table_offset, table_size);
  expect_checksum(crc32c(table), value_at<std::uint32_t>(trailer, 20), name + ", section table");
  container.sections_ = read_table(table, value_at<std::uint32_t>(trailer, 16), table_offset, name);
  container.blob_ = std::move(blob);
  container.name_ = std::move(name);
  return container;
}

std::optional<Blob> Container::find(std::string_view section_name) const {
  const auto found = std::ranges::find(sections_, section_name, &Section::name);
  if (found == sections_.end()) return std::nullopt;
  if (found->size <= kChecksumBlock) verify(*found);
  return blob_.part(found->offset, found->size);
}

Blob Container::section(std::string_view section_name) const {
  if (auto blob = find(section_name)) return *std::move(blob);
  std::string present;
  for (const Section& section : sections_) present += (present.empty() ? "" : ", ") + section.name;
  throw CorruptionError(name_ + ": has no section \"" + std::string(section_name) + "\", only: " + present + kNextStep);
}

void Container::verify() const {
  for (const Section& section : sections_) verify(section);
}

void Container::verify(const Section& section) const {
  const Bytes bytes = blob_.bytes().subspan(section.offset, section.size);
  for (std::size_t block = 0; block < section.checksums.size(); ++block) {
    const std::size_t start = block * kChecksumBlock;
    const Bytes part = bytes.subspan(start, std::min(kChecksumBlock, bytes.size() - start));
    expect_checksum(crc32c(part), section.checksums[block], name_ + ", section \"" + section.name + "\", block " + std::to_string(block));
  }
}

void Container::expect_kind(std::string_view kind) const {
  if (kind_ != kind) throw CorruptionError(name_ + ": is a file of kind \"" + kind_ + "\", expected \"" + std::string(kind) + "\"" + kNextStep);
}

std::string encode_container_header(std::string_view kind) {
  if (kind.empty() || kind.size() > kKindSizeMax || kind.find('\0') != std::string_view::npos)
    throw InvalidArgument("the kind of a container has 1 to " + std::to_string(kKindSizeMax) + " characters, got \"" + std::string(kind) + "\"");
  std::string header(kMagic, sizeof kMagic);
  append_value(header, kContainerFormat);
  append_value(header, std::uint32_t{0});
  append_value(header, std::uint64_t{0});  // nothing written by this version requires a feature bit
  header.append(kind);
  header.resize(kContainerHeaderSize - 4, '\0');
  append_value(header, crc32c(bytes_of(header)));
  return header;
}

std::string encode_container_end(const std::vector<Section>& sections, std::uint64_t table_offset) {
  std::string end;
  for (const Section& section : sections) {
    append_value(end, static_cast<std::uint32_t>(section.name.size()));
    end.append(section.name);
    append_value(end, section.offset);
    append_value(end, section.size);
    for (const std::uint32_t checksum : section.checksums) append_value(end, checksum);
  }
  const std::uint64_t table_size = end.size();
  std::string trailer;
  append_value(trailer, table_offset);
  append_value(trailer, table_size);
  append_value(trailer, static_cast<std::uint32_t>(sections.size()));
  append_value(trailer, crc32c(bytes_of(end)));
  trailer.append(kEndMagic, sizeof kEndMagic);
  append_value(trailer, crc32c(bytes_of(trailer)));
  return end + trailer;
}

}  // namespace vicino
