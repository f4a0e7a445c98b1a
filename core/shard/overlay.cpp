#include "shard/overlay.h"

#include <algorithm>
#include <mutex>

#include "util/byte_io.h"

namespace vicino {

void Overlay::load(const Container& patch, std::uint32_t n_rows) {
  const std::string& name = patch.name();
  const Bytes raw_rows = patch.section("rows").bytes();
  const std::size_t n = raw_rows.size() / sizeof(std::uint32_t);
  const auto rows = typed_section<std::uint32_t>(raw_rows, n, name + ", section rows");
  const auto versions = typed_section<std::uint64_t>(patch.section("versions").bytes(), n, name + ", section versions");
  const auto offsets = typed_section<std::uint64_t>(patch.section("offsets").bytes(), n + 1, name + ", section offsets");
  const Blob documents = patch.section("documents");
  std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < n; ++i) {
    if (rows[i] >= n_rows) throw CorruptionError(name + ": row " + std::to_string(rows[i]) + " of " + std::to_string(n_rows));
    if (offsets[i] > offsets[i + 1] || offsets[i + 1] > documents.size()) throw CorruptionError(name + ": document " + std::to_string(i) + " is out of bounds");
    link(rows[i], versions[i], documents.bytes().subspan(offsets[i], offsets[i + 1] - offsets[i]));
  }
  n_loaded_ = entries_.size();
  patches_.push_back(documents);
}

void Overlay::put(std::uint32_t row, std::uint64_t version, Bytes document) {
  auto copy = std::make_unique_for_overwrite<std::uint8_t[]>(document.size());
  std::copy(document.begin(), document.end(), copy.get());
  std::unique_lock lock(mutex_);
  link(row, version, {copy.get(), document.size()});
  owned_bytes_ += document.size();
  owned_.push_back(std::move(copy));
}

void Overlay::link(std::uint32_t row, std::uint64_t version, Bytes document) {
  auto& latest = latest_[row];  // 0: none yet
  entries_.push_back({version, document, latest});
  latest = static_cast<std::uint32_t>(entries_.size());
}

std::optional<Overlay::Update> Overlay::find(std::uint32_t row, std::uint64_t bound) const {
  std::shared_lock lock(mutex_);
  const auto found = latest_.find(row);
  if (found == latest_.end()) return std::nullopt;
  for (std::uint32_t at = found->second; at; at = entries_[at - 1].previous) {
    const Entry& entry = entries_[at - 1];
    if (entry.version <= bound) return Update{row, entry.version, entry.document};
  }
  return std::nullopt;
}

std::vector<Overlay::Update> Overlay::between(std::uint64_t after, std::uint64_t bound) const {
  std::vector<Update> updates;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [row, latest] : latest_) {
      for (std::uint32_t at = latest; at; at = entries_[at - 1].previous) {
        const Entry& entry = entries_[at - 1];
        if (entry.version > bound) continue;
        if (entry.version > after) updates.push_back({row, entry.version, entry.document});
        break;
      }
    }
  }
  std::ranges::sort(updates, {}, &Update::row);
  return updates;
}

std::vector<Overlay::Update> Overlay::since(std::uint64_t after) const {
  std::vector<Update> updates;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [row, latest] : latest_)
      for (std::uint32_t at = latest; at && entries_[at - 1].version > after; at = entries_[at - 1].previous)
        updates.push_back({row, entries_[at - 1].version, entries_[at - 1].document});
  }
  std::ranges::stable_sort(updates, {}, &Update::version);
  return updates;
}

std::uint64_t Overlay::newest(std::uint64_t bound) const {
  std::shared_lock lock(mutex_);
  for (std::size_t i = entries_.size(); i-- > n_loaded_;)
    if (entries_[i].version <= bound) return entries_[i].version;
  std::uint64_t newest = 0;
  for (std::size_t i = 0; i < n_loaded_; ++i)
    if (entries_[i].version <= bound) newest = std::max(newest, entries_[i].version);
  return newest;
}

Overlay::Image Overlay::image(std::uint64_t bound) const {
  Image image;
  append_value(image.offsets, std::uint64_t{0});
  for (const Update& update : between(0, bound)) {
    append_value(image.rows, update.row);
    append_value(image.versions, update.version);
    append_bytes(image.documents, update.document);
    append_value(image.offsets, static_cast<std::uint64_t>(image.documents.size()));
  }
  return image;
}

std::size_t Overlay::memory_bytes() const {
  std::shared_lock lock(mutex_);
  constexpr std::size_t per_row = 48, per_entry = sizeof(Entry) + sizeof(std::unique_ptr<std::uint8_t[]>) + 16;  // node, bucket; entry, allocation
  return latest_.size() * per_row + entries_.size() * per_entry + owned_bytes_;
}

}  // namespace vicino
