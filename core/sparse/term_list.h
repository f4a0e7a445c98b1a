// The postings of one term on their way from one index into another, and the rows that they have there.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace vicino {

/// Postings of one term. Filled, written, cleared, and filled again with the next term's.
struct TermList {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> payloads;  // tf, or the bits of a weight
  // With positions. First ones and the others' distances are of different sizes, and are packed apart.
  std::vector<std::uint32_t> firsts;  // of every posting
  std::vector<std::uint32_t> others;  // of every posting tf - 1 distances, each from the position before

  std::uint32_t df() const { return static_cast<std::uint32_t>(rows.size()); }
  void clear();
  /// Makes rows ascend.
  void sort(bool has_positions);
};

/// New rows of an index's rows.
class RowMapping {
 public:
  static constexpr std::uint32_t kDropped = 0xffffffff;

  /// rows[i]: what row i becomes, kDropped for nothing. They must outlive this.
  explicit RowMapping(std::span<const std::uint32_t> rows);

  /// kDropped beyond the rows there are.
  std::uint32_t operator[](std::uint32_t row) const { return row < rows_.size() ? rows_[row] : kDropped; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(rows_.size()); }
  /// Whether each row i becomes rows[0] + i, as where nothing was deleted.
  bool is_shift() const { return is_shift_; }
  std::uint32_t shift() const { return rows_.empty() ? 0 : rows_[0]; }

 private:
  std::span<const std::uint32_t> rows_;
  bool is_shift_ = true;
};

}  // namespace vicino
