#include "sparse/list_walk.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vicino {

namespace {

/// A list of so many postings is worth a table of what they may be worth: making one row of it takes about as long as computing a block.
constexpr std::uint32_t kTableFrom = 256;
/// The table goes up to this frequency; its first row, of zeros, is for those beyond, which are computed.
constexpr std::uint32_t kTableFrequencies = 4;
constexpr std::uint32_t kTableLengths = 256;

/// Rounded up, and beyond what rounding elsewhere may give.
std::uint32_t to_units(float value) { return static_cast<std::uint32_t>(std::ceil(static_cast<double>(value) * 1.000002)) + 1; }

}  // namespace

ListWalk::ListWalk(const FlatList& list, const LengthNorm* norm, double scale)
    : index_(*list.index), cursor_(list.index->postings(list.info)), weight_(static_cast<float>(list.weight * scale)), block_scale_(list.bound_scale),
      bound_(to_units(list.bound * weight_)), norm_(norm), df_(list.info.df) {
  if (!norm) return;
  share_ = {weight_, norm->k1 * (1 - norm->b), norm->k1 * norm->b / norm->average};
  if (df_ >= kTableFrom) lengths_ = index_.byte_lengths();
}

void ListWalk::add(std::uint32_t first, std::uint32_t end, std::uint32_t others, std::uint32_t threshold, SparseStats& stats, std::uint16_t* sums) {
  for (std::uint32_t from = first; load(from, end, others, threshold, stats);) {
    const std::uint32_t stop = count_below(end), n = stop - at_;
    if (lengths_) {
      make_table(std::min(block_.tf_max, kTableFrequencies));
      add_by_table(n, first, sums);
    } else {
      std::uint32_t shares[kPostingsPerBlock];
      compute_shares(block_.rows + at_, block_.tf + at_, n, shares);
      for (std::uint32_t i = 0; i < n; ++i) sums[block_.rows[at_ + i] - first] += static_cast<std::uint16_t>(shares[i]);
    }
    at_ = stop;
    if (at_ < block_.count) return;
    from = block_.rows[block_.count - 1] + 1;
  }
}

/// Makes the rows of the table up to a frequency.
void ListWalk::make_table(std::uint32_t most) {
  if (table_.size() >= (most + 1) * kTableLengths) return;
  std::uint32_t frequencies[kTableLengths], lengths[kTableLengths], shares[kTableLengths];
  for (std::uint32_t i = 0; i < kTableLengths; ++i) lengths[i] = i;
  auto frequency = static_cast<std::uint32_t>(table_.size() / kTableLengths);
  table_.resize((most + 1) * kTableLengths);
  for (frequency = std::max(frequency, 1u); frequency <= most; ++frequency) {
    std::fill_n(frequencies, kTableLengths, frequency);
    kernels_.text_shares(frequencies, lengths, kTableLengths, share_, shares);
    // Of a length that takes more than a byte nothing is known yet. Shares beyond all bounds are of postings that there are not.
    for (std::uint32_t i = 0; i < TermIndex::kByteLengths; ++i)
      table_[frequency * kTableLengths + i] = static_cast<std::uint16_t>(std::min<std::uint32_t>(shares[i], 0xffff));
  }
}

void ListWalk::add_by_table(std::uint32_t n, std::uint32_t first, std::uint16_t* sums) const {
  const std::uint32_t *rows = block_.rows + at_, *frequencies = block_.tf + at_;
  const std::uint16_t* table = table_.data();
  std::uint32_t longest = 0;
  const auto add_each = [&](auto&& frequency_of) {
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::uint32_t length = lengths_[rows[i]];
      longest = std::max(longest, length);
      sums[rows[i] - first] += table[frequency_of(i) * kTableLengths + length];
    }
  };
  if (block_.tf_max == 1) add_each([](std::uint32_t) { return 1u; });
  else if (block_.tf_max <= kTableFrequencies) add_each([&](std::uint32_t i) { return frequencies[i]; });
  else add_each([&](std::uint32_t i) { return frequencies[i] <= kTableFrequencies ? frequencies[i] : 0u; });
  if (longest < TermIndex::kByteLengths && block_.tf_max <= kTableFrequencies) return;
  // What the table has nothing for yet.
  for (std::uint32_t i = 0; i < n; ++i) {
    if (lengths_[rows[i]] < TermIndex::kByteLengths && frequencies[i] <= kTableFrequencies) continue;
    std::uint32_t share;
    compute_shares(rows + i, frequencies + i, 1, &share);
    sums[rows[i] - first] += static_cast<std::uint16_t>(share);
  }
}

void ListWalk::collect(std::uint32_t first, std::uint32_t end, const Bitmap* allowed, std::uint32_t others, std::uint32_t threshold, std::uint32_t wanted,
                       SparseStats& stats, std::vector<Candidate>& out) {
  for (std::uint32_t from = first; load(from, end, others, threshold, stats);) {
    const std::uint32_t stop = count_below(end), n = stop - at_, *const rows = block_.rows + at_;
    std::uint32_t shares[kPostingsPerBlock];
    compute_shares(rows, block_.tf + at_, n, shares);
    for (std::uint32_t i = 0; i < n; ++i)
      if (shares[i] >= wanted && (!allowed || allowed->test(rows[i]))) out.push_back({rows[i], shares[i]});
    at_ = stop;
    if (at_ < block_.count) return;
    from = block_.rows[block_.count - 1] + 1;
  }
}

void ListWalk::look_up(std::vector<Candidate>& candidates, std::uint64_t others, std::uint32_t threshold, SparseStats& stats) {
  const std::uint32_t wanted = threshold > others ? static_cast<std::uint32_t>(threshold - others) : 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < candidates.size();) {
    float bound;
    std::uint32_t last_row;
    const bool is_there = find_block(candidates[i].row, bound, last_row);
    if (!is_there) last_row = 0xffffffff;
    const std::uint32_t most = is_there ? block_units(bound) : 0, without = wanted > most ? wanted - most : 0;
    const std::size_t first = kept;
    for (; i < candidates.size() && candidates[i].row <= last_row; ++i) {
      candidates[kept] = candidates[i];
      kept += candidates[i].score >= without;
    }
    if (is_there && kept > first) kept = first + add_to(std::span(candidates).subspan(first, kept - first), wanted, stats);
  }
  candidates.resize(kept);
}

/// Most that a posting of a block is worth. The share of a word stays below 1 whatever its norm, and the scale may be infinite.
std::uint32_t ListWalk::block_units(float bound) const { return to_units((norm_ ? std::min(1.0f, bound * block_scale_) : bound) * weight_); }

std::uint32_t ListWalk::count_below(std::uint32_t end) const {
  if (block_.rows[block_.count - 1] < end) return block_.count;
  return static_cast<std::uint32_t>(std::lower_bound(block_.rows + at_, block_.rows + block_.count, end) - block_.rows);
}

/// A block with postings from `from` on and below `end` that may matter; false when there is none.
bool ListWalk::load(std::uint32_t from, std::uint32_t end, std::uint32_t others, std::uint32_t threshold, SparseStats& stats) {
  if (at_ < block_.count && block_.rows[block_.count - 1] >= from) {
    at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows + at_, block_.rows + block_.count, from) - block_.rows);
    return block_.rows[at_] < end;
  }
  float bound;
  std::uint32_t last_row;
  while (cursor_->peek(from, bound, last_row)) {
    if (threshold > others && block_units(bound) < threshold - others) {
      if (last_row >= end - 1) return false;  // what lies beyond the window is looked at in its turn, with that window's threshold
      from = last_row + 1;
      continue;
    }
    return advance(from, stats) && block_.rows[at_] < end;
  }
  return false;
}

/// The block that holds a row, if the term is in it: how much its postings are worth, and its last row or one beyond.
bool ListWalk::find_block(std::uint32_t row, float& bound, std::uint32_t& last_row) {
  if (at_ < block_.count && block_.rows[block_.count - 1] >= row) {
    bound = block_bound_;
    last_row = block_.rows[block_.count - 1];
    return true;
  }
  return cursor_->peek(row, bound, last_row);
}

/// Adds the shares of candidates; keeps those that come to `wanted`, and says how many.
std::size_t ListWalk::add_to(std::span<Candidate> candidates, std::uint32_t wanted, SparseStats& stats) {
  std::uint32_t rows[kPostingsPerBlock], payloads[kPostingsPerBlock], places[kPostingsPerBlock], shares[kPostingsPerBlock];
  for (std::uint32_t i = 0; i < candidates.size() && advance(candidates[i].row, stats);) {
    const std::uint32_t last = block_.rows[block_.count - 1];
    std::uint32_t n = 0;
    for (; i < candidates.size() && candidates[i].row <= last; ++i) {
      const std::uint32_t row = candidates[i].row;
      while (at_ + 8 < block_.count && block_.rows[at_ + 8] <= row) at_ += 8;
      while (block_.rows[at_] < row) ++at_;
      rows[n] = row;
      payloads[n] = block_.tf[at_];
      places[n] = i;
      n += block_.rows[at_] == row;
    }
    compute_shares(rows, payloads, n, shares);
    for (std::uint32_t k = 0; k < n; ++k) candidates[places[k]].score += shares[k];
  }
  std::size_t kept = 0;
  for (const Candidate& candidate : candidates) {
    candidates[kept] = candidate;
    kept += candidate.score >= wanted;
  }
  return kept;
}

bool ListWalk::advance(std::uint32_t row, SparseStats& stats) {
  if (at_ < block_.count && block_.rows[block_.count - 1] >= row) return true;
  at_ = 0;
  std::uint32_t last_row;
  if (!cursor_->peek(row, block_bound_, last_row) || !cursor_->next(row, block_)) {
    block_.count = 0;
    return false;
  }
  stats.postings += block_.count;
  at_ = static_cast<std::uint32_t>(std::lower_bound(block_.rows, block_.rows + block_.count, row) - block_.rows);
  if (at_ == block_.count) return advance(row, stats);  // a short list is one block, whatever rows are asked for
  return true;
}

void ListWalk::compute_shares(const std::uint32_t* rows, const std::uint32_t* payloads, std::uint32_t n, std::uint32_t* shares) const {
  if (!norm_) {
    float weights[kPostingsPerBlock];
    std::memcpy(weights, payloads, std::size_t{4} * n);
    kernels_.weight_shares(weights, n, weight_, shares);
    return;
  }
  std::uint32_t lengths[kPostingsPerBlock];
  index_.lengths(rows, n, lengths);
  kernels_.text_shares(payloads, lengths, n, share_, shares);
}

}  // namespace vicino
