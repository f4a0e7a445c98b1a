// The walk of MaxScore through one list: its postings are added to the sums of a window, or looked up for rows that other lists have found. Blocks
// whose bound says that none of their postings can matter are passed over unread.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "kernels/dispatch.h"
#include "sparse/maxscore.h"
#include "sparse/shortlist.h"

namespace vicino {

class ListWalk {
 public:
  ListWalk(const FlatList& list, const LengthNorm* norm, double scale);

  /// No posting is worth more.
  std::uint32_t bound() const { return bound_; }
  std::uint32_t df() const { return df_; }

  /// Adds what the postings of the rows first ... end - 1 are worth to sums[row - first], which have room for all of it. Blocks none of whose rows can reach the threshold, with
  /// `others` from other lists, are passed over.
  void add(std::uint32_t first, std::uint32_t end, std::uint32_t others, std::uint32_t threshold, SparseStats& stats, std::uint16_t* sums);
  /// Appends those of them that are worth at least `wanted`, of rows that are allowed, in place of adding them.
  void collect(std::uint32_t first, std::uint32_t end, const Bitmap* allowed, std::uint32_t others, std::uint32_t threshold, std::uint32_t wanted,
               SparseStats& stats, std::vector<Candidate>& out);
  /// Adds the shares of the candidates' rows, which ascend, and keeps those candidates that may still reach the threshold with `others` from the
  /// lists that come after this one. What no posting of a block can lift so far is dropped without reading the block.
  void look_up(std::vector<Candidate>& candidates, std::uint64_t others, std::uint32_t threshold, SparseStats& stats);

 private:
  std::uint32_t block_units(float bound) const;
  std::uint32_t count_below(std::uint32_t end) const;
  bool load(std::uint32_t from, std::uint32_t end, std::uint32_t others, std::uint32_t threshold, SparseStats& stats);
  bool find_block(std::uint32_t row, float& bound, std::uint32_t& last_row);
  std::size_t add_to(std::span<Candidate> candidates, std::uint32_t wanted, SparseStats& stats);
  bool advance(std::uint32_t row, SparseStats& stats);
  void compute_shares(const std::uint32_t* rows, const std::uint32_t* payloads, std::uint32_t n, std::uint32_t* shares) const;
  void make_table(std::uint32_t most);
  void add_by_table(std::uint32_t n, std::uint32_t first, std::uint16_t* sums) const;

  const Kernels& kernels_ = kernels();
  const TermIndex& index_;
  std::unique_ptr<PostingCursor> cursor_;
  float weight_, block_scale_;
  std::uint32_t bound_;
  const LengthNorm* norm_;
  TextShare share_{};
  float block_bound_ = 0;  // of the block read
  std::uint32_t df_;
  PostingBlock block_;
  std::uint32_t at_ = 0;
  const std::uint8_t* lengths_ = nullptr;  // where the table is of use
  std::vector<std::uint16_t> table_;       // by frequency and length: what a posting is worth
};

}  // namespace vicino
