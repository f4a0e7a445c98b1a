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
    read_positions();
    std::size_t first = 0;
    for (std::uint32_t k = 0; k < i; ++k) first += given_tf_[k];
    out.assign(gaps_.begin() + static_cast<std::ptrdiff_t>(first), gaps_.begin() + static_cast<std::ptrdiff_t>(first + given_tf_[i]));
    std::uint64_t position = 0;
    for (std::uint32_t& each : out) {
      position += each;
      if (position > 0xffffffff) terms_.fail("a position is beyond 32 bits");
      each = static_cast<std::uint32_t>(position);
    }
  }

  void append_gaps(const PostingBlock&, std::vector<std::uint32_t>& out) override {
    read_positions();
    out.insert(out.end(), gaps_.begin(), gaps_.end());
  }

 private:
  void skip_to(std::uint32_t first) {
    if (list_.is_long()) at_ = list_.seek(at_, first);
  }

  void read_single(PostingBlock& block) {
    ByteReader in(info_.postings, terms_.name_ + ", section terms");
    block.count = 1;
    block.rows[0] = read_varint(in);
    if (block.rows[0] >= terms_.n_rows()) in.fail("a posting is of row " + std::to_string(block.rows[0]) + " of " + std::to_string(terms_.n_rows()));
    if (!is_text_) {
      block.weights[0] = in.read<float>();
      return;
    }
    given_tf_[0] = block.tf[0] = read_varint(in);
    if (block.tf[0] == 0) in.fail("a term occurs 0 times in a row that has it");
    block.tf_max = block.tf[0];
    positions_ = in.rest();
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

  /// The gaps of the block last given, once.
  void read_positions() {
    if (has_positions_) return;
    gaps_.clear();
    if (info_.df == 1) read_single_positions();
    else read_block_positions();
    has_positions_ = true;
  }

  void read_single_positions() {
    ByteReader in(positions_, terms_.name_ + ", section terms");
    for (std::uint32_t i = 0; i < given_tf_[0]; ++i) gaps_.push_back(read_varint(in));
  }

  void read_block_positions() {
    const std::uint32_t count = count_of(given_);
    Bytes run = frequencies_;
    read_run(run, count, given_tf_);  // a second time: few searches ask for positions
    for (std::uint32_t i = 0; i < count; ++i) ++given_tf_[i];
    Bytes bytes = list_.is_long() ? list_.positions(terms_.positions_, given_) : positions_;
    std::uint64_t others = 0;
    for (std::uint32_t i = 0; i < count; ++i) others += given_tf_[i] - 1;
    std::uint32_t firsts[kPostingsPerBlock];
    // A run takes a byte at least: more of them than bytes would only be found out after making room for their numbers.
    if (!read_run(bytes, count, firsts) || others / kRunMax > bytes.size()) terms_.fail("the positions of a block are damaged");
    others_.resize(others);
    for (std::size_t at = 0; at < others; at += kRunMax)
      if (!read_run(bytes, static_cast<std::uint32_t>(std::min<std::size_t>(kRunMax, others - at)), others_.data() + at))
        terms_.fail("the positions of a block are damaged");
    if (!bytes.empty()) terms_.fail("the positions of a block have bytes too many");
    gaps_.reserve(others + count);
    auto other = others_.begin();
    for (std::uint32_t i = 0; i < count; ++i) {
      gaps_.push_back(firsts[i]);
      gaps_.insert(gaps_.end(), other, other + (given_tf_[i] - 1));
      other += given_tf_[i] - 1;
    }
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
  std::vector<std::uint32_t> gaps_, others_;
};

std::unique_ptr<PostingCursor> SealedTerms::postings(const TermInfo& term) const { return std::make_unique<SealedCursor>(*this, term); }

void PostingCursor::append_gaps(const PostingBlock& block, std::vector<std::uint32_t>& out) {
  std::vector<std::uint32_t> places;
  for (std::uint32_t i = 0; i < block.count; ++i) {
    positions(i, places);
    std::uint32_t before = 0;
    for (const std::uint32_t place : places) {
      out.push_back(place - before);
      before = place;
    }
  }
}

}  // namespace vicino
