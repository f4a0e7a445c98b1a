// How a term begins, as a number: most terms are told apart by it, without looking at their bytes.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

#include "util/blob.h"

namespace vicino {

/// The first eight bytes as a number that is ordered like them; those that a shorter term lacks are 0.
inline std::uint64_t first_bytes(std::string_view term) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, term.data(), term.size() < 8 ? term.size() : 8);
  return __builtin_bswap64(bytes);
}
inline std::uint64_t first_bytes(Bytes term) { return first_bytes(std::string_view(reinterpret_cast<const char*>(term.data()), term.size())); }

}  // namespace vicino
