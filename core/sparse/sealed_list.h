// The list of one term in a `.terms` container, taken apart; sealed_terms.h has the layout.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "sparse/term_index.h"

namespace vicino {

class SealedList {
 public:
  SealedList() = default;
  /// Finds the parts; `is_sound()` says whether they fit into the bytes.
  SealedList(Bytes bytes, std::uint32_t df, TermsKind kind, bool has_positions)
      : is_text_(kind == TermsKind::text), is_long_(df >= kPostingsPerBlock), n_blocks_(df / kPostingsPerBlock + (df % kPostingsPerBlock != 0)) {
    const std::size_t before = df == 1 ? 0 : !is_long_ ? (is_text_ ? 1 : 4) : (has_positions ? 8 : 0) + (is_text_ ? 0 : 4);
    const std::size_t tables = is_long_ ? n_blocks_ * kTableBytes : 0;
    if (bytes.size() < before + tables) return;
    is_sound_ = true;
    head_ = bytes.data();
    tables_ = head_ + before;
    bodies_ = bytes.subspan(before + tables);
    if (df == 1) return;
    if (is_text_) bound_ = is_long_ ? largest_code() / 255.0f : head_[0] / 255.0f;
    else bound_ = load<float>(tables_ - 4);
    is_sound_ = std::isfinite(bound_) && bound_ >= 0;
  }

  bool is_sound() const { return is_sound_; }
  bool is_long() const { return is_long_; }
  std::uint32_t n_blocks() const { return n_blocks_; }
  /// Of a list of more than one posting.
  float bound() const { return bound_; }

  // Of a long list.

  std::uint32_t last_row(std::uint32_t block) const { return load<std::uint32_t>(tables_ + std::size_t{4} * block); }
  float bound(std::uint32_t block) const {
    const auto code = static_cast<float>(tables_[std::size_t{8} * n_blocks_ + block]);
    return is_text_ ? code / 255.0f : code / 255.0f * bound_ * 1.000001f;
  }
  std::uint64_t positions_offset() const { return load<std::uint64_t>(head_); }
  /// The first block from `block` on that ends at or beyond `row`; n_blocks() when there is none.
  std::uint32_t seek(std::uint32_t block, std::uint32_t row) const {
    std::uint32_t step = 1, low = block;
    while (low < n_blocks_ && last_row(low) < row) {
      block = low + 1;
      low += step;
      step *= 2;
    }
    std::uint32_t high = std::min(low, n_blocks_);
    while (block < high) {
      const std::uint32_t middle = block + (high - block) / 2;
      if (last_row(middle) < row) block = middle + 1;
      else high = middle;
    }
    return block;
  }

  /// A block's bytes; of a short list what follows its bound. Nothing when they lie outside the list.
  Bytes body(std::uint32_t block) const {
    if (!is_long_) return bodies_;
    const std::uint8_t* ends = tables_ + std::size_t{4} * n_blocks_;
    return part(bodies_, block ? load<std::uint32_t>(ends + std::size_t{4} * (block - 1)) : 0, load<std::uint32_t>(ends + std::size_t{4} * block));
  }
  /// The same of its positions, which begin at positions_offset() of `positions`.
  Bytes positions(Bytes positions, std::uint32_t block) const {
    const std::uint64_t begin = positions_offset();
    const std::size_t table = std::size_t{4} * n_blocks_;
    if (begin > positions.size() || table > positions.size() - begin) return {};
    const std::uint8_t* ends = positions.data() + begin;
    return part(positions.subspan(begin + table), block ? load<std::uint32_t>(ends + std::size_t{4} * (block - 1)) : 0, load<std::uint32_t>(ends + std::size_t{4} * block));
  }

 private:
  static constexpr std::size_t kTableBytes = 9;  // a block

  template <class T>
  static T load(const std::uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
  }
  static Bytes part(Bytes all, std::uint32_t begin, std::uint32_t end) { return begin > end || end > all.size() ? Bytes{} : all.subspan(begin, end - begin); }

  float largest_code() const {
    const std::uint8_t* codes = tables_ + std::size_t{8} * n_blocks_;
    std::uint8_t most = 0;
    for (std::uint32_t i = 0; i < n_blocks_; ++i) most = std::max(most, codes[i]);
    return most;
  }

  bool is_text_ = true, is_long_ = false, is_sound_ = false;
  std::uint32_t n_blocks_ = 0;
  float bound_ = 1;
  const std::uint8_t *head_ = nullptr, *tables_ = nullptr;
  Bytes bodies_;
};

}  // namespace vicino
