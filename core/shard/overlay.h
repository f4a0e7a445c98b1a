// Newer documents of rows whose source is immutable: how fields change without rewriting vectors, graph or even the fields file.
//
// Append-only: each entry remembers the row's previous one, so a snapshot walks back to the newest entry that is not younger than itself.
// One writer, many readers. Entries loaded from a patch file point into the mapped file; later ones own their bytes.
//
// Patch file sections: rows u32[n] ascending, versions u64[n], offsets u64[n + 1], documents.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/container.h"
#include "util/blob.h"

namespace vicino {

class Overlay {
 public:
  struct Update {
    std::uint32_t row;
    std::uint64_t version;
    Bytes document;
  };
  struct Image {
    std::string rows, versions, offsets, documents;
  };

  /// Reads a patch for a source of `n_rows` rows.
  void load(const Container& patch, std::uint32_t n_rows);
  void put(std::uint32_t row, std::uint64_t version, Bytes document);
  /// The newest update of the row with version <= bound.
  std::optional<Update> find(std::uint32_t row, std::uint64_t bound) const;
  /// Newest update of every row with after < version <= bound, ascending by row.
  std::vector<Update> between(std::uint64_t after, std::uint64_t bound) const;
  /// Every update with version > after, oldest first.
  std::vector<Update> since(std::uint64_t after) const;
  /// The largest version <= bound of any update, 0: there is none.
  std::uint64_t newest(std::uint64_t bound) const;
  /// The patch file of all that is visible at `bound`.
  Image image(std::uint64_t bound) const;
  std::size_t memory_bytes() const;

 private:
  struct Entry {
    std::uint64_t version;
    Bytes document;
    std::uint32_t previous;  // index + 1, 0: none
  };
  void link(std::uint32_t row, std::uint64_t version, Bytes document);

  mutable std::shared_mutex mutex_;
  std::unordered_map<std::uint32_t, std::uint32_t> latest_;  // row -> index of its newest entry
  std::deque<Entry> entries_;
  std::vector<std::unique_ptr<std::uint8_t[]>> owned_;
  std::vector<Blob> patches_;
  std::size_t n_loaded_ = 0;  // entries from a patch come first and are ordered by row; later ones are ordered by version
  std::size_t owned_bytes_ = 0;
};

}  // namespace vicino
