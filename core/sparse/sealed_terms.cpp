#include "sparse/sealed_terms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sparse/first_bytes.h"
#include "sparse/sealed_list.h"
#include "sparse/text_value.h"
#include "util/byte_io.h"

namespace vicino {

namespace {

bool is_less(Bytes a, Bytes b) { return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end()); }

/// A sample: more would lie in a farther cache, and opening them costs the first search a wait for memory each.
constexpr std::size_t kBlocksPerStart = 8;

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

/// Reads the dictionary term by term, from the begin of a block on.
class SealedTerms::Walk final : public TermStream {
 public:
  Walk(const SealedTerms& terms, std::size_t block) : terms_(terms), block_(block) {
    if (terms.stats_.terms) enter();
  }

  bool next() override {
    if (left_ == 0) {
      if (++block_ + 1 >= terms_.blocks_.size()) return false;
      enter();
    }
    const std::uint32_t shared = read_varint(in_);
    if (shared > term_.size() || (left_ == n_ && shared)) in_.fail("a term shares more bytes than the one before it has");
    term_.resize(shared);
    append_bytes(term_, in_.take(read_varint(in_)));
    read_list();
    return true;
  }

  /// Moves to this term within the block; false when it is not there. Terms are not put together for it: one that shares more with the one before than
  /// that has in common with what is sought is less as well, one that shares less is beyond.
  bool find(Bytes sought) {
    for (std::size_t common = 0; left_; read_list()) {
      const std::uint32_t shared = read_varint(in_);
      const Bytes rest = in_.take(read_varint(in_));
      if (shared < common) return false;
      if (shared > common) continue;
      const Bytes wanted = sought.subspan(common);
      const auto [mine, other] = std::ranges::mismatch(rest, wanted);
      if (other == wanted.end()) {
        if (mine != rest.end()) return false;
        read_list();
        return true;
      }
      if (mine != rest.end() && *mine > *other) return false;
      common += static_cast<std::size_t>(other - wanted.begin());
    }
    return false;
  }

  Bytes term() const override { return bytes_of(term_); }
  void append_to(TermList& list, const RowMapping& mapping) override { terms_.append_postings({0, list_, df_, 0}, mapping, list); }
  TermInfo info() const { return {0, list_, df_, terms_.bound_of(df_, list_)}; }
  /// Terms of the block behind this one.
  std::uint32_t left() const { return left_; }

 private:
  void read_list() {
    df_ = read_varint(in_);
    if (df_ == 0 || df_ > terms_.stats_.rows) in_.fail("a term is in " + std::to_string(df_) + " of " + std::to_string(terms_.stats_.rows) + " rows");
    list_ = df_ == 1 ? single() : list(read_varint(in_));
    --left_;
  }

  void enter() {
    const BlockPlace &from = terms_.blocks_[block_], &to = terms_.blocks_[block_ + 1];
    if (from.terms > to.terms || to.terms > terms_.terms_.size()) terms_.fail("a block of terms is out of bounds");
    in_ = ByteReader(terms_.terms_.subspan(from.terms, to.terms - from.terms), terms_.name_ + ", section terms");
    at_ = from.postings;
    n_ = left_ = std::min<std::uint32_t>(kTermsPerBlock, terms_.stats_.terms - static_cast<std::uint32_t>(block_ * kTermsPerBlock));
  }

  /// The only posting of a term.
  Bytes single() {
    const Bytes rest = in_.rest();
    const std::size_t begin = in_.position();
    read_varint(in_);
    if (terms_.stats_.kind == static_cast<std::uint8_t>(TermsKind::sparse)) {
      in_.take(4);
    } else {
      const std::uint32_t tf = read_varint(in_);
      for (std::uint32_t i = 0; terms_.stats_.positions && i < tf; ++i) read_varint(in_);
    }
    return rest.first(in_.position() - begin);
  }

  Bytes list(std::uint32_t size) {
    if (at_ > terms_.postings_.size() || size > terms_.postings_.size() - at_) in_.fail("the list of a term is out of bounds");
    const Bytes found = terms_.postings_.subspan(at_, size);
    at_ += size;
    return found;
  }

  const SealedTerms& terms_;
  std::size_t block_;
  ByteReader in_{Bytes{}, ""};
  std::uint64_t at_ = 0;
  std::uint32_t n_ = 0, left_ = 0, df_ = 0;
  std::string term_;
  Bytes list_;
};

void SealedTerms::fail(const std::string& message) const { throw CorruptionError(name_ + ": " + message + "; restore the folder from a snapshot or a copy"); }

std::shared_ptr<const SealedTerms> SealedTerms::open(const Container& container, TermsKind kind, std::uint32_t n_rows) {
  auto terms = std::make_shared<SealedTerms>();
  terms->container_ = container;
  terms->name_ = container.name();
  const Bytes stats = container.section("stats").bytes();
  if (stats.size() != sizeof(TermsStats)) terms->fail("section stats has " + std::to_string(stats.size()) + " bytes, expected " + std::to_string(sizeof(TermsStats)));
  std::memcpy(&terms->stats_, stats.data(), sizeof(TermsStats));
  const TermsStats& found = terms->stats_;
  if (found.rows != n_rows) terms->fail("covers " + std::to_string(found.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (found.valued > n_rows) terms->fail("says that " + std::to_string(found.valued) + " of " + std::to_string(n_rows) + " rows have values");
  if (found.kind != static_cast<std::uint8_t>(kind) || found.positions > 1 || found.has_negative > 1) terms->fail("holds terms of another kind");
  if (!(found.k1 >= 0 && found.k1 <= 1000 && found.b >= 0 && found.b <= 1 && found.average >= 1 && std::isfinite(found.average)))
    terms->fail("the constants of its bounds are out of range");
  if (kind == TermsKind::text) {
    if (found.length_bytes != 1 && found.length_bytes != 2) terms->fail("has lengths of " + std::to_string(found.length_bytes) + " bytes");
    terms->lengths_ = container.section("lengths").bytes();
    if (terms->lengths_.size() != std::size_t{n_rows} * found.length_bytes) terms->fail("section lengths has " + std::to_string(terms->lengths_.size()) + " bytes");
    if (const auto longs = container.find("long_lengths"))
      terms->long_lengths_ = typed_section<std::uint32_t>(longs->bytes(), longs->size() / 4, terms->name_ + ", section long_lengths");
    if (terms->long_lengths_.size() % 2) terms->fail("section long_lengths has an odd number of entries");
  } else if (const auto presence = container.find("presence")) {
    terms->presence_ = typed_section<std::uint64_t>(presence->bytes(), (std::size_t{n_rows} + 63) / 64, terms->name_ + ", section presence");
  }
  if (kind == TermsKind::text) terms->unpacked_ = std::make_unique<UnpackedLists>(n_rows);
  const std::size_t n_blocks = (std::size_t{found.terms} + kTermsPerBlock - 1) / kTermsPerBlock;
  terms->blocks_ = typed_section<BlockPlace>(container.section("blocks").bytes(), n_blocks + 1, terms->name_ + ", section blocks");
  terms->terms_ = container.section("terms").bytes();
  terms->postings_ = container.section("postings").bytes();
  if (found.positions) terms->positions_ = container.section("positions").bytes();
  if (kind == TermsKind::sparse && !found.has_negative)
    if (const auto impacts = container.find("impacts"))
      terms->impacts_ = Impacts(impacts->bytes(), terms->postings_, n_rows, terms->name_ + ", section impacts");
  return terms;
}

void SealedTerms::lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const {
  if (lengths_.empty()) {
    for (std::uint32_t i = 0; i < n; ++i) out[i] = presence_.empty() || (presence_[rows[i] >> 6] >> (rows[i] & 63) & 1) ? 0 : kNoLength;
    return;
  }
  const std::uint32_t absent = stats_.length_bytes == 1 ? 0xff : 0xffff;
  std::uint32_t most = 0;
  if (stats_.length_bytes == 1) {
    for (std::uint32_t i = 0; i < n; ++i) most = std::max(most, out[i] = lengths_[rows[i]]);
  } else {
    const auto* lengths = reinterpret_cast<const std::uint16_t*>(lengths_.data());  // sections are aligned
    for (std::uint32_t i = 0; i < n; ++i) most = std::max(most, out[i] = std::uint32_t{lengths[rows[i]]});
  }
  if (most < absent - 1) return;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (out[i] == absent) out[i] = kNoLength;
    else if (out[i] == absent - 1) out[i] = long_length(rows[i]);
  }
}

std::uint32_t SealedTerms::length_of(std::uint32_t row) const {
  std::uint32_t length;
  lengths(&row, 1, &length);
  return length;
}

std::uint32_t SealedTerms::long_length(std::uint32_t row) const {
  std::size_t low = 0, high = long_lengths_.size() / 2;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (long_lengths_[2 * middle] < row) low = middle + 1;
    else high = middle;
  }
  if (low == long_lengths_.size() / 2 || long_lengths_[2 * low] != row) fail("the length of row " + std::to_string(row) + " is missing");
  return long_lengths_[2 * low + 1];
}

Bytes SealedTerms::first_term(std::size_t block) const {
  // By hand: a search asks for some twenty of them. The first term of a block shares nothing, and none is longer than two bytes can say.
  const std::uint64_t begin = blocks_[block].terms;
  if (begin > terms_.size() || terms_.size() - begin < 3 || terms_[begin] != 0) fail("a block of terms is out of bounds");
  const Bytes bytes = terms_.subspan(begin + 1);
  const bool is_short = bytes[0] < 0x80;
  const std::size_t size = is_short ? bytes[0] : (bytes[0] & 0x7fu) | std::size_t{bytes[1]} << 7, skipped = is_short ? 1 : 2;
  if (size > bytes.size() - skipped) fail("a term is out of bounds");
  return bytes.subspan(skipped, size);
}

/// Made by the first search: a binary search in the blocks themselves waits for memory twice a step.
std::span<const std::uint64_t> SealedTerms::starts() const {
  std::call_once(starts_made_, [this] {
    starts_.reserve(blocks_.size() / kBlocksPerStart + 1);
    for (std::size_t block = 0; block + 1 < blocks_.size(); block += kBlocksPerStart) starts_.push_back(first_bytes(first_term(block)));
    starts_bytes_.store(starts_.capacity() * sizeof(std::uint64_t), std::memory_order_relaxed);
  });
  return starts_;
}

/// The last block that does not begin beyond the term.
std::size_t SealedTerms::block_of(Bytes term) const {
  const auto all = starts();
  const auto [first, last] = std::ranges::equal_range(all, first_bytes(term));
  // Terms that begin alike lie between the last block that begins less and the first that begins beyond.
  const auto near_first = static_cast<std::size_t>(first - all.begin()), near_last = static_cast<std::size_t>(last - all.begin());
  std::size_t low = near_first ? (near_first - 1) * kBlocksPerStart : 0, high = std::min(blocks_.size() - 1, near_last * kBlocksPerStart);
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (is_less(term, first_term(middle))) high = middle;
    else low = middle + 1;
  }
  return low ? low - 1 : 0;
}

float SealedTerms::bound_of(std::uint32_t df, Bytes list) const {
  const SealedList parts(list, df, kind(), stats_.positions);
  if (!parts.is_sound()) fail("the list of a term is too short");
  if (df > 1) return parts.bound();
  // A posting alone has none written down.
  std::uint32_t row, tf_read = 0;
  float weight = 0;
  const bool is_text = kind() == TermsKind::text;
  if (!take_varint(list, row) || (is_text && !take_varint(list, tf_read)) || (!is_text && list.size() < sizeof weight))
    fail("the only posting of a term is damaged");
  if (row >= stats_.rows) fail("a posting is of row " + std::to_string(row) + " of " + std::to_string(stats_.rows));
  if (!is_text) {
    std::memcpy(&weight, list.data(), sizeof weight);
    return std::fabs(weight);
  }
  const auto tf = static_cast<float>(tf_read);
  return tf / (tf + norm_at_build()(length_of(row))) * 1.000001f;
}

std::optional<TermInfo> SealedTerms::find(Bytes term) const {
  if (stats_.terms == 0) return std::nullopt;
  Walk walk(*this, block_of(term));
  return walk.find(term) ? std::optional(walk.info()) : std::nullopt;
}

void SealedTerms::each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const {
  if (stats_.terms == 0) return;
  Walk walk(*this, block_of(prefix));
  while (walk.next()) {
    const Bytes term = walk.term();
    if (is_less(term, prefix)) continue;
    if (term.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), term.begin())) return;
    if (!visit(term, walk.info())) return;
  }
}

std::unique_ptr<TermStream> SealedTerms::terms() const { return std::make_unique<Walk>(*this, 0); }

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
  std::uint64_t n_postings = 0;
  std::string before;
  ImpactsWriter impacts(stats_.rows);
  const RowMapping all_dropped({});
  TermList list;
  PostingBlock block;
  for (Walk walk(*this, 0); walk.next();) {
    const Bytes term = walk.term();
    if (n++ && !is_less(bytes_of(before), term)) fail("terms do not ascend");
    before.assign(reinterpret_cast<const char*>(term.data()), term.size());
    const TermInfo info = walk.info();
    const auto cursor = postings(info);
    std::uint32_t df = 0, last_row;
    float bound;
    list.clear();
    for (; cursor->peek(0, bound, last_row) && cursor->next(0, block); df += block.count) {
      verify_block(block, bound);
      if (!impacts_) continue;
      list.rows.insert(list.rows.end(), block.rows, block.rows + block.count);
      list.payloads.insert(list.payloads.end(), block.tf, block.tf + block.count);
    }
    if (df != info.df) fail("a term has " + std::to_string(df) + " postings, its entry says " + std::to_string(info.df));
    n_postings += df;
    if (impacts_) impacts.add(static_cast<std::uint64_t>(info.postings.data() - postings_.data()), list.rows, list.payloads);
    if (stats_.positions) walk.append_to(list, all_dropped);  // reads them
  }
  if (impacts_ && !std::ranges::equal(bytes_of(std::move(impacts).finish()), impacts_.bytes())) fail("section impacts says something else than the postings");
  if (n != stats_.terms) fail("has " + std::to_string(n) + " terms, its stats say " + std::to_string(stats_.terms));
  if (n_postings != stats_.postings) fail("has " + std::to_string(n_postings) + " postings, its stats say " + std::to_string(stats_.postings));
}

}  // namespace vicino
