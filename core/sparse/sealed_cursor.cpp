// Walks the postings of one term of a sealed segment.
#include <algorithm>

#include "kernels/dispatch.h"
#include "sparse/bit_packing.h"
#include "sparse/sealed_list.h"
#include "sparse/sealed_terms.h"
#include "sparse/text_value.h"

namespace vicino {

/// So many gaps of no more bits than this do not add up to more than 32 bits.
constexpr unsigned kGapBitsSafe = 24;

class SealedCursor final : public PostingCursor {
 public:
  SealedCursor(const SealedTerms& terms, const TermInfo& info)
      : terms_(terms), info_(info), list_(info.postings, info.df, terms.kind(), terms.has_positions()), is_text_(terms.kind() == TermsKind::text) {
    if (!list_.is_sound()) terms_.fail("the list of a term is too short");
  }

  bool next(std::uint32_t first, PostingBlock& block) override {
    skip_to(first);
    if (at_ == list_.n_blocks()) return false;
    if (info_.df == 1) read_single(block);
    else read_block(block);
    given_ = at_++;
    has_positions_ = false;
    return true;
  }

  bool peek(std::uint32_t first, float& bound, std::uint32_t& last_row) override {
    skip_to(first);
    if (at_ == list_.n_blocks()) return false;
    bound = list_.is_long() ? list_.bound(at_) : info_.bound;
    last_row = list_.is_long() ? list_.last_row(at_) : terms_.n_rows() - 1;
    return true;
  }

  void positions(std::uint32_t i, std::vector<std::uint32_t>& out) override {
    if (!has_positions_) {
      firsts_.clear();
      others_.clear();
      read_positions(given_, firsts_, others_);
      has_positions_ = true;
    }
    std::size_t other = 0;
    for (std::uint32_t k = 0; k < i; ++k) other += given_tf_[k] - 1;
    out.assign({firsts_[i]});
    std::uint64_t position = firsts_[i];
    for (std::uint32_t k = 1; k < given_tf_[i]; ++k) {
      position += others_[other++];
      if (position > 0xffffffff) terms_.fail("a position is beyond 32 bits");
      out.push_back(static_cast<std::uint32_t>(position));
    }
  }

  /// Of the whole list.
  void append_to(TermList& list, const RowMapping& mapping) {
    PostingBlock block;
    for (std::uint32_t at = 0; at < list_.n_blocks(); ++at) {
      next(0, block);
      if (mapping.is_shift() && block.rows[block.count - 1] < mapping.size()) append_shifted(at, block, mapping.shift(), list);
      else append_mapped(at, block, mapping, list);
    }
  }

 private:
  void skip_to(std::uint32_t first) {
    if (list_.is_long()) at_ = list_.seek(at_, first);
  }

  void read_single(PostingBlock& block) {
    block.count = 1;
    Bytes rest = info_.postings;
    if (!take_varint(rest, block.rows[0]) || (!is_text_ && rest.size() < sizeof(float)) || (is_text_ && !take_varint(rest, block.tf[0])))
      terms_.fail("the only posting of a term is damaged");
    if (block.rows[0] >= terms_.n_rows()) terms_.fail("a posting is of row " + std::to_string(block.rows[0]) + " of " + std::to_string(terms_.n_rows()));
    if (!is_text_) {
      std::memcpy(block.weights, rest.data(), sizeof(float));
      return;
    }
    if (block.tf[0] == 0) terms_.fail("a term occurs 0 times in a row that has it");
    given_tf_[0] = block.tf_max = block.tf[0];
    positions_ = rest;
  }

  void read_block(PostingBlock& block) {
    block.count = count_of(at_);
    Bytes body = list_.body(at_);
    unsigned bits;
    if (!read_run(body, block.count, block.rows, bits)) terms_.fail("the rows of a block of postings are damaged");
    // The first gap is counted from the row behind the block before.
    const std::uint32_t before = list_.is_long() && at_ ? list_.last_row(at_ - 1) + 1 : 0;
    kernels_.row_sums(block.rows, block.count, before);
    const std::uint32_t last = block.rows[block.count - 1];
    if (last >= terms_.n_rows() || (list_.is_long() && last != list_.last_row(at_))) terms_.fail("the rows of a block of postings do not end where its table says");
    if (bits > kGapBitsSafe && !ascends(block, before)) terms_.fail("the rows of a block of postings do not ascend");
    if (!is_text_) {
      if (body.size() != std::size_t{4} * block.count) terms_.fail("a block of weights has " + std::to_string(body.size()) + " bytes");
      std::memcpy(block.weights, body.data(), body.size());
      return;
    }
    frequencies_ = body;
    if (!read_run(body, block.count, block.tf, bits)) terms_.fail("the frequencies of a block of postings are damaged");
    std::uint32_t all = 0;
    for (std::uint32_t i = 0; i < block.count; ++i) all |= block.tf[i]++;
    if (bits == 32 && std::find(block.tf, block.tf + block.count, 0u) != block.tf + block.count) terms_.fail("a frequency is beyond 32 bits");
    block.tf_max = all == 0xffffffff ? all : all + 1;
    if (!list_.is_long()) positions_ = body;
    else if (!body.empty()) terms_.fail("a block of postings has bytes too many");
  }

  std::uint32_t count_of(std::uint32_t block) const {
    return block + 1 < list_.n_blocks() ? kPostingsPerBlock : info_.df - block * kPostingsPerBlock;
  }

  /// Whether sums have not wrapped around.
  static bool ascends(const PostingBlock& block, std::uint32_t before) {
    bool ascends = block.rows[0] >= before;
    for (std::uint32_t i = 1; i < block.count; ++i) ascends &= block.rows[i] > block.rows[i - 1];
    return ascends;
  }

  void append_shifted(std::uint32_t at, const PostingBlock& block, std::uint32_t shift, TermList& list) {
    const std::size_t before = list.rows.size();
    list.rows.resize(before + block.count);
    for (std::uint32_t i = 0; i < block.count; ++i) list.rows[before + i] = block.rows[i] + shift;
    list.payloads.insert(list.payloads.end(), block.tf, block.tf + block.count);
    if (terms_.has_positions()) read_positions(at, list.firsts, list.others);
  }

  void append_mapped(std::uint32_t at, const PostingBlock& block, const RowMapping& mapping, TermList& list) {
    if (terms_.has_positions()) {
      firsts_.clear();
      others_.clear();
      read_positions(at, firsts_, others_);
    }
    auto other = others_.begin();
    for (std::uint32_t i = 0; i < block.count; ++i) {
      const std::uint32_t row = mapping[block.rows[i]];
      const std::uint32_t n_others = terms_.has_positions() ? block.tf[i] - 1 : 0;
      if (row != RowMapping::kDropped) {
        list.rows.push_back(row);
        list.payloads.push_back(block.tf[i]);
        if (terms_.has_positions()) list.firsts.push_back(firsts_[i]);
        list.others.insert(list.others.end(), other, other + n_others);
      }
      other += n_others;
    }
  }

  /// Appends those of the block last given, whose number is `at`: the first of every posting, and the distances to all others.
  void read_positions(std::uint32_t at, std::vector<std::uint32_t>& firsts, std::vector<std::uint32_t>& others) {
    if (info_.df == 1) read_single_positions(firsts, others);
    else read_block_positions(at, firsts, others);
  }

  void read_single_positions(std::vector<std::uint32_t>& firsts, std::vector<std::uint32_t>& others) {
    Bytes rest = positions_;
    for (std::uint32_t i = 0; i < given_tf_[0]; ++i) {
      std::uint32_t distance;
      if (!take_varint(rest, distance)) terms_.fail("the positions of the only posting of a term are damaged");
      (i ? others : firsts).push_back(distance);
    }
  }

  void read_block_positions(std::uint32_t at, std::vector<std::uint32_t>& firsts, std::vector<std::uint32_t>& others) {
    const std::uint32_t count = count_of(at);
    Bytes run = frequencies_;
    read_run(run, count, given_tf_);  // a second time: few searches ask for positions
    std::uint64_t n_others = 0;
    for (std::uint32_t i = 0; i < count; ++i) n_others += given_tf_[i]++;
    Bytes bytes = list_.is_long() ? list_.positions(terms_.positions_, at) : positions_;
    const std::size_t first = firsts.size(), other = others.size();
    firsts.resize(first + count);
    // A run takes a byte at least: more of them than bytes would only be found out after making room for their numbers.
    if (!read_run(bytes, count, firsts.data() + first) || n_others / kRunMax > bytes.size()) terms_.fail("the positions of a block are damaged");
    others.resize(other + n_others);
    for (std::size_t done = 0; done < n_others; done += kRunMax)
      if (!read_run(bytes, static_cast<std::uint32_t>(std::min<std::size_t>(kRunMax, n_others - done)), others.data() + other + done))
        terms_.fail("the positions of a block are damaged");
    if (!bytes.empty()) terms_.fail("the positions of a block have bytes too many");
  }

  const Kernels& kernels_ = kernels();
  const SealedTerms& terms_;
  TermInfo info_;
  SealedList list_;
  bool is_text_, has_positions_ = false;
  std::uint32_t at_ = 0, given_ = 0;
  std::uint32_t given_tf_[kPostingsPerBlock];  // of the block whose positions were read
  Bytes frequencies_;  // the run of the block last given
  Bytes positions_;    // of a list that is not long
  std::vector<std::uint32_t> firsts_, others_;  // of the block last given, when has_positions_
};

std::unique_ptr<PostingCursor> SealedTerms::postings(const TermInfo& term) const { return std::make_unique<SealedCursor>(*this, term); }

void SealedTerms::append_postings(const TermInfo& term, const RowMapping& mapping, TermList& list) const { SealedCursor(*this, term).append_to(list, mapping); }

}  // namespace vicino
