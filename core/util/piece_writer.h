// A large buffer handed on front to back, piece by piece, so that it need not lie in memory as a whole: to a file, or to who gathers it.
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "util/blob.h"

namespace vicino {

class PieceWriter {
 public:
  /// `put` is called from the thread that writes, with bytes that are valid during the call.
  explicit PieceWriter(std::function<void(Bytes)> put) : put_(std::move(put)) {}

  void bytes(Bytes piece) {
    if (piece.empty()) return;
    put_(piece);
    size_ += piece.size();
  }
  template <class T>
  void values(std::span<const T> some) {
    bytes({reinterpret_cast<const std::uint8_t*>(some.data()), some.size_bytes()});
  }
  template <class T>
  void values(const std::vector<T>& some) {
    values(std::span<const T>(some));
  }
  template <class T>
  void value(const T& one) {
    values(std::span<const T>(&one, 1));
  }
  /// Zeros until `size` bytes were written; parts begin at fixed places.
  void pad_to(std::size_t size) {
    assert(size >= size_ && size - size_ < 4096);
    bytes(std::vector<std::uint8_t>(size - size_));
  }
  std::size_t size() const { return size_; }

 private:
  std::function<void(Bytes)> put_;
  std::size_t size_ = 0;
};

/// What `write`, called with a PieceWriter, writes.
template <class Write>
std::vector<std::uint8_t> gathered(Write&& write) {
  std::vector<std::uint8_t> out;
  PieceWriter writer([&out](Bytes piece) { out.insert(out.end(), piece.begin(), piece.end()); });
  write(writer);
  return out;
}

}  // namespace vicino
