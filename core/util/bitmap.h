// A dense bitmap over the rows of one segment. Bit i of word i / 64 stands for row i; bits past `size` are always zero.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vicino {

class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::size_t size, bool value = false)
      : words_((size + 63) / 64, value ? ~std::uint64_t{0} : 0), size_(size) { clear_tail(); }

  std::size_t size() const { return size_; }
  bool test(std::size_t row) const { return words_[row >> 6] >> (row & 63) & 1; }
  void set(std::size_t row) { words_[row >> 6] |= std::uint64_t{1} << (row & 63); }
  void reset(std::size_t row) { words_[row >> 6] &= ~(std::uint64_t{1} << (row & 63)); }
  /// Grows or shrinks; new bits are `value`.
  void resize(std::size_t size, bool value = false) {
    const std::size_t old = size_;
    words_.resize((size + 63) / 64, value ? ~std::uint64_t{0} : 0);
    size_ = size;
    if (value && old < size) for (std::size_t row = old; row < size && (row & 63); ++row) set(row);
    clear_tail();
  }
  std::size_t count() const {
    std::size_t total = 0;
    for (const auto word : words_) total += static_cast<std::size_t>(std::popcount(word));
    return total;
  }
  bool none() const {
    for (const auto word : words_) if (word) return false;
    return true;
  }

  Bitmap& operator&=(const Bitmap& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= i < other.words_.size() ? other.words_[i] : 0;
    return *this;
  }
  Bitmap& operator|=(const Bitmap& other) {
    for (std::size_t i = 0; i < words_.size() && i < other.words_.size(); ++i) words_[i] |= other.words_[i];
    clear_tail();
    return *this;
  }
  /// Removes the rows of `other`; rows past its end stay.
  Bitmap& and_not(const Bitmap& other) {
    for (std::size_t i = 0; i < words_.size() && i < other.words_.size(); ++i) words_[i] &= ~other.words_[i];
    return *this;
  }
  Bitmap& flip() {
    for (auto& word : words_) word = ~word;
    clear_tail();
    return *this;
  }

  /// Calls `visit(row)` for every set row, ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (std::uint64_t word = words_[i]; word; word &= word - 1)
        visit(i * 64 + static_cast<std::size_t>(std::countr_zero(word)));
  }

  const std::uint64_t* words() const { return words_.data(); }
  std::uint64_t* words() { return words_.data(); }
  std::size_t n_words() const { return words_.size(); }

 private:
  void clear_tail() { if (size_ & 63) words_.back() &= (std::uint64_t{1} << (size_ & 63)) - 1; }

  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

}  // namespace vicino
