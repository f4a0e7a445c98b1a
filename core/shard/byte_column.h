// n byte strings one after the other, as log payloads hold them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "util/blob.h"

namespace vicino {

struct ByteColumn {
  std::vector<std::uint32_t> offsets;  // n + 1; copied out, because a payload starts at any byte of the log
  Bytes data;
  std::uint32_t size() const { return static_cast<std::uint32_t>(offsets.size() - 1); }
  Bytes operator[](std::uint32_t i) const { return data.subspan(offsets[i], offsets[i + 1] - offsets[i]); }
};

/// The same on its way into a payload; `offsets` has one more element than there are strings.
struct BytesToWrite {
  std::vector<std::uint32_t> offsets{0};
  std::string data;
  /// Throws InvalidArgument beyond 4 GiB.
  void add(Bytes bytes);
};

}  // namespace vicino
