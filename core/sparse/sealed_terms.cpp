#include "sparse/sealed_terms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sparse/bit_packing.h"
#include "sparse/text_value.h"
#include "util/byte_io.h"

namespace vicino {

namespace {

template <class T>
T value_at(Bytes bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

bool is_less(Bytes a, Bytes b) { return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end()); }

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

/// Reads a block of the dictionary term by term.
class SealedTerms::Walk {
 public:
  Walk(const SealedTerms& terms, std::size_t block) : terms_(terms), block_(block) { enter(); }

  /// False at the end of the dictionary.
  bool next(Entry& entry) {
    if (left_ == 0) {
      if (++block_ + 1 >= terms_.blocks_.size()) return false;
      enter();
    }
    if (left_ == 0) return false;
    const std::uint32_t shared = read_varint(in_);
    if (shared > entry.term.size() || (left_ == n_ && shared)) in_.fail("a term shares more bytes than the one before it has");
    const Bytes rest = in_.take(read_varint(in_));
    std::string term = entry.term.substr(0, shared);
    append_bytes(term, rest);
    entry.term = std::move(term);
    entry.df = read_varint(in_);
    if (entry.df == 0 || entry.df > terms_.stats_.rows) in_.fail("a term is in " + std::to_string(entry.df) + " of " + std::to_string(terms_.stats_.rows) + " rows");
    entry.postings = part(terms_.postings_, postings_, read_varint(in_));
    entry.positions = terms_.stats_.positions ? part(terms_.positions_, positions_, read_varint(in_)) : Bytes{};
    entry.number = static_cast<std::uint32_t>(block_ * kTermsPerBlock + n_ - left_);
    --left_;
    return true;
  }

 private:
  void enter() {
    const BlockPlace &from = terms_.blocks_[block_], &to = terms_.blocks_[block_ + 1];
    if (from.terms > to.terms || to.terms > terms_.terms_.size()) terms_.fail("a block of terms is out of bounds");
    in_ = ByteReader(terms_.terms_.subspan(from.terms, to.terms - from.terms), terms_.name_ + ", section terms");
    postings_ = from.postings;
    positions_ = from.positions;
    n_ = left_ = std::min<std::uint32_t>(kTermsPerBlock, terms_.stats_.terms - static_cast<std::uint32_t>(block_ * kTermsPerBlock));
  }

  Bytes part(Bytes all, std::uint64_t& at, std::uint32_t size) const {
    if (at > all.size() || size > all.size() - at) in_.fail("the list of a term is out of bounds");
    const Bytes found = all.subspan(at, size);
    at += size;
    return found;
  }

  const SealedTerms& terms_;
  std::size_t block_;
  ByteReader in_{Bytes{}, ""};
  std::uint64_t postings_ = 0, positions_ = 0;
  std::uint32_t n_ = 0, left_ = 0;
};

void SealedTerms::fail(const std::string& message) const { throw CorruptionError(name_ + ": " + message + "; restore the folder from a snapshot or a copy"); }

std::shared_ptr<const SealedTerms> SealedTerms::open(const Container& container, TermsKind kind, std::uint32_t n_rows) {
  auto terms = std::make_shared<SealedTerms>();
  terms->container_ = container;
  terms->name_ = container.name();
  const Bytes stats = container.section("stats").bytes();
  if (stats.size() != sizeof(TermsStats)) terms->fail("section stats has " + std::to_string(stats.size()) + " bytes");
  terms->stats_ = value_at<TermsStats>(stats, 0);
  const TermsStats& found = terms->stats_;
  if (found.rows != n_rows || found.valued > n_rows) terms->fail("covers " + std::to_string(found.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (found.kind != static_cast<std::uint8_t>(kind) || found.positions > 1 || found.flags > 1) terms->fail("holds terms of another kind");
  if (!(found.k1 >= 0 && found.k1 <= 1000 && found.b >= 0 && found.b <= 1 && found.average >= 1 && std::isfinite(found.average)))
    terms->fail("the constants of its bounds are out of range");
  if (kind == TermsKind::text) {
    terms->lengths_ = typed_section<std::uint16_t>(container.section("lengths").bytes(), n_rows, terms->name_ + ", section lengths");
    if (const auto longs = container.find("long_lengths"))
      terms->long_lengths_ = typed_section<std::uint32_t>(longs->bytes(), longs->size() / 4, terms->name_ + ", section long_lengths");
    if (terms->long_lengths_.size() % 2) terms->fail("section long_lengths has an odd number of entries");
  } else if (const auto presence = container.find("presence")) {
    terms->presence_ = typed_section<std::uint64_t>(presence->bytes(), (std::size_t{n_rows} + 63) / 64, terms->name_ + ", section presence");
  }
  const std::size_t n_blocks = (std::size_t{found.terms} + kTermsPerBlock - 1) / kTermsPerBlock;
  terms->blocks_ = typed_section<BlockPlace>(container.section("blocks").bytes(), n_blocks + 1, terms->name_ + ", section blocks");
  terms->terms_ = container.section("terms").bytes();
  terms->postings_ = container.section("postings").bytes();
  if (found.positions) terms->positions_ = container.section("positions").bytes();
  return terms;
}

void SealedTerms::lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const {
  if (lengths_.empty()) {
    for (std::uint32_t i = 0; i < n; ++i) out[i] = presence_.empty() || (presence_[rows[i] >> 6] >> (rows[i] & 63) & 1) ? 0 : kNoLength;
    return;
  }
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint16_t length = lengths_[rows[i]];
    out[i] = length;
    if (length <= kShortLengthMax) continue;
    out[i] = kNoLength;
    if (length == kAbsentLength) continue;
    std::size_t low = 0, high = long_lengths_.size() / 2;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (long_lengths_[2 * middle] < rows[i]) low = middle + 1;
      else high = middle;
    }
    if (low == long_lengths_.size() / 2 || long_lengths_[2 * low] != rows[i]) fail("the length of row " + std::to_string(rows[i]) + " is missing");
    out[i] = long_lengths_[2 * low + 1];
  }
}

Bytes SealedTerms::first_term(std::size_t block) const {
  const std::uint64_t begin = blocks_[block].terms;
  if (begin > terms_.size()) fail("a block of terms is out of bounds");
  ByteReader in(terms_.subspan(begin), name_ + ", section terms");
  read_varint(in);
  return in.take(read_varint(in));
}

/// The last block that does not begin beyond the term.
std::size_t SealedTerms::block_of(Bytes term) const {
  std::size_t low = 0, high = blocks_.size() - 1;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (is_less(term, first_term(middle))) high = middle;
    else low = middle + 1;
  }
  return low ? low - 1 : 0;
}

TermInfo SealedTerms::info_of(const Entry& entry) const {
  TermInfo info{entry.number, entry.postings, entry.positions, entry.df, 0};
  if (entry.df < kPostingsPerBlock) {
    if (entry.postings.size() < 4) fail("the list of a term is too short");
    info.bound = value_at<float>(entry.postings, 0);
  } else {
    const std::size_t n = (entry.df + kPostingsPerBlock - 1) / kPostingsPerBlock;
    if (entry.postings.size() < n * sizeof(BlockHeader)) fail("the list of a term is too short for its headers");
    for (std::size_t i = 0; i < n; ++i) info.bound = std::max(info.bound, value_at<BlockHeader>(entry.postings, i * sizeof(BlockHeader)).bound);
  }
  if (!std::isfinite(info.bound) || info.bound < 0) fail("the bound of a term is no number");
  return info;
}

std::optional<TermInfo> SealedTerms::find(Bytes term) const {
  if (stats_.terms == 0) return std::nullopt;
  Walk walk(*this, block_of(term));
  Entry entry;
  for (std::uint32_t i = 0; i < kTermsPerBlock && walk.next(entry); ++i) {
    if (is_less(bytes_of(entry.term), term)) continue;
    if (bytes_of(entry.term).size() == term.size() && std::equal(term.begin(), term.end(), bytes_of(entry.term).begin())) return info_of(entry);
    break;
  }
  return std::nullopt;
}

void SealedTerms::each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const {
  if (stats_.terms == 0) return;
  Walk walk(*this, block_of(prefix));
  Entry entry;
  while (walk.next(entry)) {
    const Bytes term = bytes_of(entry.term);
    if (is_less(term, prefix)) continue;
    if (term.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), term.begin())) return;
    if (!visit(term, info_of(entry))) return;
  }
}

/// Postings of one term, long or short.
class SealedCursor final : public PostingCursor {
 public:
  SealedCursor(const SealedTerms& terms, const TermInfo& info)
      : terms_(terms), info_(info), is_text_(terms.kind() == TermsKind::text), is_long_(info.df >= kPostingsPerBlock),
        n_blocks_((info.df + kPostingsPerBlock - 1) / kPostingsPerBlock) {}

  bool next(std::uint32_t first, PostingBlock& block) override {
    skip_to(first);
    if (at_ == n_blocks_) return false;
    if (is_long_) read_long(block);
    else read_short(block);
    given_ = at_++;
    if (is_text_) std::copy_n(block.tf, block.count, given_tf_);
    position_reader_.reset();
    return true;
  }

  bool peek(std::uint32_t first, float& bound, std::uint32_t& last_row) override {
    skip_to(first);
    if (at_ == n_blocks_) return false;
    bound = is_long_ ? header(at_).bound : info_.bound;
    last_row = is_long_ ? header(at_).last_row : terms_.n_rows() - 1;
    return true;
  }

  void positions(std::uint32_t i, std::vector<std::uint32_t>& out) override {
    // Usually asked for one after the other; else from the begin of the block.
    if (!position_reader_ || i < position_next_) {
      position_reader_.emplace(positions_of_block(), terms_.name_ + ", section positions");
      position_next_ = 0;
    }
    ByteReader& in = *position_reader_;
    for (; position_next_ <= i; ++position_next_) {
      const std::uint32_t k = position_next_;
      out.clear();
      std::uint64_t position = 0;
      for (std::uint32_t j = 0; j < given_tf_[k]; ++j) {
        position += read_varint(in);
        if (position > 0xffffffff) in.fail("a position is beyond 32 bits");
        out.push_back(static_cast<std::uint32_t>(position));
      }
    }
  }

 private:
  BlockHeader header(std::uint32_t block) const { return value_at<BlockHeader>(info_.postings, block * sizeof(BlockHeader)); }

  void skip_to(std::uint32_t first) {
    if (!is_long_) return;
    while (at_ < n_blocks_ && header(at_).last_row < first) ++at_;
  }

  void read_long(PostingBlock& block) {
    const BlockHeader head = header(at_);
    const std::uint32_t expected = at_ + 1 < n_blocks_ ? kPostingsPerBlock : info_.df - at_ * kPostingsPerBlock;
    if (head.gap_bits > 32 || head.tf_bits > 32 || head.count != expected) terms_.fail("the header of a block of postings is damaged");
    const std::size_t begin = n_blocks_ * sizeof(BlockHeader) + head.offset;
    const std::size_t gaps = packed_bytes(head.gap_bits), payloads = is_text_ ? packed_bytes(head.tf_bits) : std::size_t{4} * head.count;
    if (begin > info_.postings.size() || gaps + payloads > info_.postings.size() - begin) terms_.fail("a block of postings is out of bounds");
    unpack128(info_.postings.data() + begin, head.gap_bits, block.rows);
    if (is_text_) unpack128(info_.postings.data() + begin + gaps, head.tf_bits, block.tf);
    else std::memcpy(block.weights, info_.postings.data() + begin + gaps, payloads);
    block.count = head.count;
    // The first gap is counted from the row behind the block before.
    std::uint64_t row = at_ ? std::uint64_t{header(at_ - 1).last_row} + 1 : 0;
    for (std::uint32_t i = 0; i < head.count; ++i) {
      row += block.rows[i];
      block.rows[i] = static_cast<std::uint32_t>(row++);
      if (is_text_) ++block.tf[i];
    }
    if (row != std::uint64_t{head.last_row} + 1 || row > terms_.n_rows()) terms_.fail("the rows of a block of postings do not end where its header says");
  }

  void read_short(PostingBlock& block) {
    ByteReader in(info_.postings.subspan(4), terms_.name_ + ", section postings");
    block.count = info_.df;
    std::uint64_t row = 0;
    for (std::uint32_t i = 0; i < info_.df; ++i) {
      const std::uint32_t read = read_varint(in);
      row += is_text_ ? read >> 1 : read;
      if (row >= terms_.n_rows()) in.fail("a posting is of row " + std::to_string(row) + " of " + std::to_string(terms_.n_rows()));
      block.rows[i] = static_cast<std::uint32_t>(row++);
      if (is_text_) block.tf[i] = read & 1 ? 1 : read_varint(in);
    }
    if (!is_text_) std::memcpy(block.weights, in.take(std::size_t{4} * info_.df).data(), std::size_t{4} * info_.df);
    if (in.remaining()) in.fail("the list of a term has bytes too many");
  }

  Bytes positions_of_block() const {
    if (!is_long_) return info_.positions;
    const std::size_t heads = std::size_t{4} * n_blocks_;
    if (info_.positions.size() < heads) terms_.fail("the positions of a term are too short");
    const std::uint64_t begin = heads + std::uint64_t{value_at<std::uint32_t>(info_.positions, std::size_t{4} * given_)};
    if (begin > info_.positions.size()) terms_.fail("the positions of a block are out of bounds");
    return info_.positions.subspan(begin);
  }

  const SealedTerms& terms_;
  TermInfo info_;
  bool is_text_, is_long_;
  std::uint32_t n_blocks_, at_ = 0, given_ = 0;
  std::uint32_t given_tf_[kPostingsPerBlock];
  std::optional<ByteReader> position_reader_;
  std::uint32_t position_next_ = 0;
};

std::unique_ptr<PostingCursor> SealedTerms::postings(const TermInfo& term) const { return std::make_unique<SealedCursor>(*this, term); }

std::uint32_t SealedTerms::length_of(std::uint32_t row) const {
  std::uint32_t length;
  lengths(&row, 1, &length);
  return length;
}

void SealedTerms::verify_totals() const {
  std::uint32_t valued = 0;
  std::uint64_t total = 0;
  for (std::uint32_t row = 0; row < stats_.rows; ++row) {
    const std::uint32_t length = length_of(row);
    if (length == kNoLength) continue;
    ++valued;
    total += length;
  }
  if (valued != stats_.valued || total != stats_.total_length)
    fail("has " + std::to_string(valued) + " values of " + std::to_string(total) + " words, its stats say " + std::to_string(stats_.valued) + " of " +
         std::to_string(stats_.total_length));
}

void SealedTerms::verify_block(const PostingBlock& block, float bound) const {
  const LengthNorm norm = norm_at_build();
  for (std::uint32_t i = 0; i < block.count; ++i) {
    const std::uint32_t length = length_of(block.rows[i]);
    if (length == kNoLength) fail("a term is in row " + std::to_string(block.rows[i]) + ", which has no value");
    const bool is_text = kind() == TermsKind::text;
    if (!is_text && (!std::isfinite(block.weights[i]) || (block.weights[i] < 0 && !has_negative()))) fail("a weight is no number, or below 0 against its stats");
    const auto tf = static_cast<float>(block.tf[i]);
    if (!((is_text ? tf / (tf + norm(length)) : std::fabs(block.weights[i])) <= bound)) fail("the bound of a term is too small for row " + std::to_string(block.rows[i]));
  }
}

void SealedTerms::verify() const {
  verify_totals();
  std::uint32_t n = 0;
  std::string before;
  std::vector<std::uint32_t> positions;
  PostingBlock block;
  each_with_prefix({}, [&](Bytes term, const TermInfo& info) {
    if (n++ && !is_less(bytes_of(before), term)) fail("terms do not ascend");
    before.assign(reinterpret_cast<const char*>(term.data()), term.size());
    SealedCursor cursor(*this, info);
    std::uint32_t df = 0;
    float bound;
    std::uint32_t last_row;
    for (; cursor.peek(0, bound, last_row) && cursor.next(0, block); df += block.count) {
      verify_block(block, bound);
      if (!stats_.positions) continue;
      for (std::uint32_t i = 0; i < block.count; ++i) cursor.positions(i, positions);
    }
    if (df != info.df) fail("a term has " + std::to_string(df) + " postings, its entry says " + std::to_string(info.df));
    return true;
  });
  if (n != stats_.terms) fail("has " + std::to_string(n) + " terms, its stats say " + std::to_string(stats_.terms));
}

}  // namespace vicino
