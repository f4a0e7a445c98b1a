// The container: the one form of every immutable file. Written front to back in one pass, read in place from a mapped file or a buffer.
//
//   0      header, 64 bytes:  magic "VICINO\r\n", format u32, zero u32, required features u64, kind 12 bytes padded with zeros,
//                             24 zero bytes, crc32c u32 of the 60 bytes before it
//   4096   first section; every section starts at a multiple of 4096, so that any element type is aligned and pages are not shared
//   ...
//          section table:     per section: name length u32, name, offset u64, size u64, crc32c u32 of each started 1 MiB of the section
//          trailer, 32 bytes: table offset u64, table size u64, number of sections u32, crc32c u32 of the table,
//                             magic "END\n", crc32c u32 of the 28 bytes before it
//
// The table comes last because sizes and checksums are known only when a section has been streamed. A reader trusts nothing: every
// offset and size is checked against the file before it is used.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/blob.h"

namespace vicino {

inline constexpr std::uint32_t kContainerFormat = 1;
inline constexpr std::uint64_t kContainerFeatures = 0;  // bits of required features this version understands
inline constexpr std::size_t kContainerHeaderSize = 64;
inline constexpr std::size_t kContainerTrailerSize = 32;
inline constexpr std::size_t kSectionAlignment = 4096;
inline constexpr std::size_t kChecksumBlock = std::size_t{1} << 20;
inline constexpr std::size_t kKindSizeMax = 12;

struct Section {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<std::uint32_t> checksums;  // one per started kChecksumBlock
};

/// An opened container. Cheap to copy the sections out of: each is a part of the file's blob and keeps it alive.
class Container {
 public:
  /// Checks header, trailer and table. `name` is what errors call the file.
  /// Throws CorruptionError for damage, FormatError for a newer format or features this version does not know.
  static Container open(Blob blob, std::string name);

  const std::string& name() const { return name_; }
  const std::string& kind() const { return kind_; }
  const std::vector<Section>& sections() const { return sections_; }
  std::size_t size() const { return blob_.size(); }

  /// The bytes of a section. A section of at most one checksum block is verified each time it is asked for: that costs some
  /// microseconds. Larger ones are verified by `verify`, so that opening touches no pages. Throws CorruptionError when there is none.
  Blob section(std::string_view section_name) const;
  /// Like `section`, but nothing when the container has no such section.
  std::optional<Blob> find(std::string_view section_name) const;

  /// Checks all bytes of all sections, or of one. Throws CorruptionError naming file, section, block and both checksums.
  void verify() const;
  void verify(const Section& section) const;
  /// Throws CorruptionError unless the container is of this kind.
  void expect_kind(std::string_view kind) const;

 private:
  Blob blob_;
  std::string name_;
  std::string kind_;
  std::vector<Section> sections_;
};

/// The 64 bytes at the front of a container. Throws InvalidArgument for a kind that is empty or longer than kKindSizeMax.
std::string encode_container_header(std::string_view kind);
/// Section table and trailer, to be written at `table_offset`, right after the last section's last byte.
std::string encode_container_end(const std::vector<Section>& sections, std::uint64_t table_offset);

}  // namespace vicino
