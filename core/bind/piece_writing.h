// What the core writes piece by piece, handed to a Python function.
#pragma once
#include <nanobind/nanobind.h>

#include <algorithm>

#include "util/piece_writer.h"

namespace vicino::bind {

/// Calls `write` with bytes objects of at most a mebibyte. It must outlive the writer, which is used without the interpreter's lock.
inline PieceWriter writer_of(const nanobind::callable& write) {
  constexpr std::size_t at_once = std::size_t{1} << 20;
  return PieceWriter([&write, at_once](Bytes piece) {
    const nanobind::gil_scoped_acquire locked;
    for (std::size_t first = 0; first < piece.size(); first += at_once)
      write(nanobind::bytes(piece.data() + first, std::min(at_once, piece.size() - first)));
  });
}

}  // namespace vicino::bind
