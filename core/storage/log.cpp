#include "storage/log.h"

#include <cstdio>
#include <optional>

#include "storage/checksum.h"
#include "util/byte_io.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr char kMagic[8] = {'V', 'I', 'C', 'I', 'N', 'O', 'W', 'L'};
constexpr std::size_t kLengthAndChecksum = 8;  // the length counts what follows these bytes
constexpr std::uint32_t kLengthMin = kLogRecordHeaderSize - kLengthAndChecksum;

template <class T>
T value_at(Bytes bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::uint32_t seed_of(std::uint64_t nonce) { return crc32c({reinterpret_cast<const std::uint8_t*>(&nonce), sizeof nonce}); }

}  // namespace

std::string encode_log_file_header(const LogFileHeader& header) {
  std::string out(kMagic, sizeof kMagic);
  append_value(out, kLogFormat);
  append_value(out, std::uint32_t{0});
  append_value(out, std::uint64_t{0});  // nothing written by this version requires a feature bit
  append_value(out, header.number);
  append_value(out, header.nonce);
  append_value(out, header.previous_size);
  append_value(out, header.previous_version);
  out.resize(kLogFileHeaderSize - 4, '\0');
  append_value(out, crc32c(bytes_of(out)));
  return out;
}

LogFileHeader decode_log_file_header(Bytes file, const std::string& name) {
  if (file.size() < kLogFileHeaderSize)
    throw CorruptionError(name + ": has " + std::to_string(file.size()) + " bytes, a log has at least " + std::to_string(kLogFileHeaderSize) +
                          "; restore it from a snapshot or a copy");
  if (std::memcmp(file.data(), kMagic, sizeof kMagic))
    throw CorruptionError(name + ": is not a vicino log (wrong first 8 bytes); restore it from a snapshot or a copy");
  if (const auto format = value_at<std::uint32_t>(file, 8); format != kLogFormat)
    throw FormatError(name + ": has log format " + std::to_string(format) + ", this version reads format " + std::to_string(kLogFormat) +
                      "; upgrade vicino");
  const std::uint32_t found = crc32c(file.first(kLogFileHeaderSize - 4)), expected = value_at<std::uint32_t>(file, kLogFileHeaderSize - 4);
  if (found != expected) {
    char text[96];
    std::snprintf(text, sizeof text, ", header: checksum is %08x, expected %08x; restore the file from a snapshot or a copy", found, expected);
    throw CorruptionError(name + text);
  }
  if (const auto features = value_at<std::uint64_t>(file, 16); features & ~kLogFeatures)
    throw FormatError(name + ": requires features " + std::to_string(features & ~kLogFeatures) +
                      " (bits) that this version does not know; upgrade vicino");
  return {value_at<std::uint64_t>(file, 24), value_at<std::uint64_t>(file, 32), value_at<std::uint64_t>(file, 40),
          value_at<std::uint64_t>(file, 48)};
}

std::string encode_log_header(std::uint64_t nonce, std::uint8_t type, std::uint64_t version, std::uint64_t time_us, std::uint64_t durable,
                              std::span<const Bytes> payload) {
  std::uint64_t length = kLengthMin;
  for (const Bytes part : payload) length += part.size();
  if (length > 0xFFFFFFFF)
    throw InvalidArgument("a log record holds at most 4294967267 bytes, got " + std::to_string(length - kLengthMin) + "; write in smaller slices");
  std::string body;
  append_value(body, type);
  body.append(3, '\0');
  append_value(body, version);
  append_value(body, time_us);
  append_value(body, durable);
  std::uint32_t checksum = crc32c(bytes_of(body), seed_of(nonce));
  for (const Bytes part : payload) checksum = crc32c(part, checksum);
  std::string header;
  append_value(header, static_cast<std::uint32_t>(length));
  append_value(header, checksum);
  return header + body;
}

LogReader::LogReader(Bytes file, std::size_t offset, std::string name)
    : file_(file), name_(std::move(name)), header_(decode_log_file_header(file, name_)), seed_(seed_of(header_.nonce)),
      position_(offset ? offset : kLogFileHeaderSize), version_(header_.previous_version) {
  if (position_ < kLogFileHeaderSize || position_ > file_.size())
    throw CorruptionError(name_ + ": asked for records from offset " + std::to_string(offset) + ", the log has " +
                          std::to_string(file_.size()) + " bytes; it was cut short by something else than vicino");
}

/// Whether a valid record starts here; fills `record`. The cheap checks come first, because the search behind damage asks at every byte.
/// checksum(start, size) is that of these bytes of the file, continuing from the seed.
template <class Checksum>
bool LogReader::parse(std::size_t start, LogRecord& record, Checksum&& checksum) const {
  if (file_.size() - start < kLogRecordHeaderSize) return false;
  const Bytes head = file_.subspan(start, kLogRecordHeaderSize);
  if (head[9] | head[10] | head[11]) return false;
  const auto length = value_at<std::uint32_t>(head, 0);
  if (length < kLengthMin || length > file_.size() - start - kLengthAndChecksum) return false;
  record.durable = value_at<std::uint64_t>(head, 28);
  if (record.durable > start) return false;
  if (checksum(start + kLengthAndChecksum, length) != value_at<std::uint32_t>(head, 4)) return false;
  record.type = head[8];
  record.version = value_at<std::uint64_t>(head, 12);
  record.time_us = value_at<std::uint64_t>(head, 20);
  record.start = start;
  record.end = start + kLengthAndChecksum + length;
  record.payload = file_.subspan(start + kLogRecordHeaderSize, length - kLengthMin);
  return true;
}

bool LogReader::next(LogRecord& record) {
  const auto checksum = [&](std::size_t start, std::size_t size) { return crc32c(file_.subspan(start, size), seed_); };
  while (parse(position_, record, checksum)) {
    position_ = record.end;
    if (record.durable > proven_) proven_ = record.durable;
    version_ = record.version;
    marked_ = record.type == kLogMark;
    if (!marked_) return true;
  }
  if (torn()) refuse_damage_before_durable();
  return false;
}

void LogReader::refuse_damage_before_durable() const {
  // What looks like records may overlap, a long one at nearly every byte if somebody wrote it so: no byte is read for each of them.
  std::optional<PartChecksums> parts;
  const auto checksum = [&](std::size_t start, std::size_t size) {
    if (!parts) parts.emplace(file_);
    return parts->of(start, size, seed_);
  };
  LogRecord record;
  for (std::size_t start = position_ + 1; start + kLogRecordHeaderSize <= file_.size(); ++start) {
    // A record whose `durable` is not beyond the damage proves nothing, so its checksum need not be computed.
    if (value_at<std::uint64_t>(file_, start + 28) <= position_ || !parse(start, record, checksum)) continue;
    throw CorruptionError(name_ + ": the record at offset " + std::to_string(position_) + " is damaged, but the record at offset " +
                          std::to_string(start) + " says that the first " + std::to_string(record.durable) +
                          " bytes had been synced; restore from a snapshot or a copy");
  }
}

}  // namespace vicino
