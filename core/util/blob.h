// A piece of immutable memory that keeps its owner alive: a mapped file, or a buffer handed over by the caller.
//
// The core reads everything through blobs, so a folder, an in-memory store and a simulated one run the same code.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace vicino {

using Bytes = std::span<const std::uint8_t>;

class Blob {
 public:
  Blob() = default;
  Blob(Bytes bytes, std::shared_ptr<const void> owner) : bytes_(bytes), owner_(std::move(owner)) {}

  Bytes bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  const std::uint8_t* data() const { return bytes_.data(); }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  /// A part of this blob that shares its owner. The caller has checked the range.
  Blob part(std::size_t offset, std::size_t size) const { return {bytes_.subspan(offset, size), owner_}; }

 private:
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
};

/// Maps a file read-only. Throws StorageError naming the path. An empty file gives an empty blob.
Blob map_file(const std::string& path);

}  // namespace vicino
