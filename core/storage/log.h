// The log: one file of records, appended and synced in groups. Reading it is the core's part, writing it is Python's.
//
//   file header, 64 bytes:  magic "VICINOWL", format u32, zero u32, required features u64, number u64 (the n of wal-<n>),
//                           nonce u64, size u64 of wal-<n-1> when this file was begun (0 for the first), version u64 that its last
//                           record had, 4 zero bytes, crc32c u32 of the 60 bytes before it
//   record:                 length u32 (of all after the checksum), crc32c u32 (of all that follows, seeded with the file's nonce),
//                           type u8, 3 zero bytes, version u64, time_us u64, durable u64, payload
//
// `durable` is the offset in this file known to be synced when the record was written. A record that does not hold ends the log when no
// valid record further on has `durable` beyond it: it is the torn tail of a group that nobody was told about, and it is dropped. Otherwise
// acknowledged bytes are damaged, and reading refuses. A record of type kLogMark has no payload and no meaning but its `durable`; it is
// written when a log is closed or rotated, so that the very last records are proven too. Readers never return it.
//
// The nonce is random per file and seeds the checksums: bytes of another log (an old file's blocks, a log stored as somebody's text) are
// never taken for records of this one while searching behind damage.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "util/blob.h"

namespace vicino {

inline constexpr std::uint32_t kLogFormat = 1;
inline constexpr std::uint64_t kLogFeatures = 0;
inline constexpr std::size_t kLogFileHeaderSize = 64;
inline constexpr std::size_t kLogRecordHeaderSize = 36;
inline constexpr std::uint8_t kLogMark = 0;

struct LogFileHeader {
  std::uint64_t number = 0;
  std::uint64_t nonce = 0;
  std::uint64_t previous_size = 0;
  std::uint64_t previous_version = 0;
};

std::string encode_log_file_header(const LogFileHeader& header);
/// Throws CorruptionError for damage, FormatError for a newer format.
LogFileHeader decode_log_file_header(Bytes file, const std::string& name);

struct LogRecord {
  std::uint8_t type = kLogMark;
  std::uint64_t version = 0;
  std::uint64_t time_us = 0;
  std::uint64_t durable = 0;
  Bytes payload;  // points into the file; not aligned
  std::size_t start = 0, end = 0;  // offsets in the file
};

/// The 36 bytes before a payload, which may be given in parts. Throws InvalidArgument when the payload is 4 GiB or more.
std::string encode_log_header(std::uint64_t nonce, std::uint8_t type, std::uint64_t version, std::uint64_t time_us, std::uint64_t durable,
                              std::span<const Bytes> payload);

/// Reads the records of one log file front to back.
class LogReader {
 public:
  /// `file`: the whole file from its first byte, or the prefix of it that may be read. `offset`: where to begin, the end of a record read
  /// earlier; 0 is the first record. `name` is what errors call the file. Throws CorruptionError, FormatError.
  LogReader(Bytes file, std::size_t offset, std::string name);

  /// The next record; false at the end or at a torn tail. Throws CorruptionError for damage to bytes that are proven to have been durable.
  bool next(LogRecord& record);

  /// Where the valid records read so far end; after `next` was false: where the log is to be continued.
  std::size_t end() const { return position_; }
  /// Whether bytes after `end` were dropped as a torn tail.
  bool torn() const { return position_ < file_.size(); }
  /// Whether a mark proves everything up to `end` durable.
  bool marked() const { return marked_; }
  /// How much of the file the records read so far prove to have been synced.
  std::size_t proven() const { return proven_; }
  /// Version of the last record or mark; before the first, of the last record of the log before.
  std::uint64_t version() const { return version_; }
  const LogFileHeader& header() const { return header_; }

 private:
  template <class Checksum>
  bool parse(std::size_t start, LogRecord& record, Checksum&& checksum) const;
  void refuse_damage_before_durable() const;

  Bytes file_;
  std::string name_;
  LogFileHeader header_;
  std::uint32_t seed_ = 0;
  std::size_t position_ = 0;
  std::size_t proven_ = kLogFileHeaderSize;  // the header is synced before the first record is written
  std::uint64_t version_ = 0;
  bool marked_ = false;
};

}  // namespace vicino
