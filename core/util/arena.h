// Memory for small objects that live and die together: handed out front to back from large pieces, given back all at once.
#pragma once
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace vicino {

class Arena {
 public:
  Arena() = default;
  Arena(Arena&& other) noexcept { *this = std::move(other); }
  Arena& operator=(Arena&& other) noexcept {
    pieces_ = std::exchange(other.pieces_, {});
    next_ = std::exchange(other.next_, nullptr);
    left_ = std::exchange(other.left_, 0);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    return *this;
  }

  /// `size` bytes, aligned for anything of at most eight bytes.
  void* allocate(std::size_t size) {
    size = (size + 7) & ~std::size_t{7};
    if (size > left_) {
      left_ = size > kPieceBytes / 4 ? size : kPieceBytes;
      pieces_.push_back(std::make_unique_for_overwrite<std::byte[]>(left_));
      size_bytes_ += left_;
      next_ = pieces_.back().get();
    }
    void* const given = next_;
    next_ += size;
    left_ -= size;
    return given;
  }
  /// Of all pieces.
  std::size_t size_bytes() const { return size_bytes_; }

 private:
  static constexpr std::size_t kPieceBytes = 64 << 10;

  std::vector<std::unique_ptr<std::byte[]>> pieces_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0, size_bytes_ = 0;
};

}  // namespace vicino
