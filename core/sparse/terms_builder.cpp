#include "sparse/terms_builder.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "sparse/text_value.h"
#include "util/byte_io.h"

namespace vicino {

namespace {

constexpr std::uint32_t kTermsPerCheck = 4096;
constexpr std::uint32_t kRowsPerLook = 1024;
/// A row in so many may have a length that does not fit into a byte, before all get two.
constexpr std::size_t kRowsPerLongLength = 64;

template <class T>
std::string raw(const T* data, std::size_t n) { return {reinterpret_cast<const char*>(data), n * sizeof(T)}; }

std::string_view view_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Lengths of T, and rows and lengths of those that do not fit.
template <class T>
std::vector<T> narrowed(std::span<const std::uint32_t> lengths, std::vector<std::uint32_t>& longs) {
  constexpr T absent = static_cast<T>(~T{0}), too_long = absent - 1;
  std::vector<T> out(lengths.size());
  for (std::uint32_t row = 0; row < lengths.size(); ++row) {
    const std::uint32_t length = lengths[row];
    out[row] = length == kNoLength ? absent : static_cast<T>(std::min<std::uint32_t>(length, too_long));
    if (length != kNoLength && length >= too_long) longs.insert(longs.end(), {row, length});
  }
  return out;
}

/// The dictionary while it is written.
class Dictionary {
 public:
  Dictionary(std::uint32_t n_rows, bool has_impacts) : impacts(n_rows), has_impacts_(has_impacts) {}
  void add(std::string_view term, const TermList& list, ListWriter& writer) {
    const bool is_first = n_terms_++ % kTermsPerBlock == 0;
    if (is_first) append_value(blocks, BlockPlace{terms.size(), postings.size()});
    const auto shared = is_first ? 0 : static_cast<std::size_t>(std::ranges::mismatch(before_, term).in1 - before_.begin());
    append_varint(terms, static_cast<std::uint32_t>(shared));
    append_varint(terms, static_cast<std::uint32_t>(term.size() - shared));
    terms += term.substr(shared);
    append_varint(terms, list.df());
    if (has_impacts_) impacts.add(postings.size(), list.rows, list.payloads);
    writer.write(list, terms, postings, positions);
    before_ = term;
    n_postings_ += list.df();
  }
  std::uint32_t n_terms() const { return n_terms_; }
  std::uint64_t n_postings() const { return n_postings_; }

  std::string blocks, terms, postings, positions;
  ImpactsWriter impacts;

 private:
  bool has_impacts_;
  std::uint32_t n_terms_ = 0;
  std::uint64_t n_postings_ = 0;
  std::string before_;
};

}  // namespace

class TermsBuilder::RowTerms {
 public:
  explicit RowTerms(const TermsBuilder& builder) : builder_(builder), first_(builder.names_.size() + 1), places_(builder.postings_.size()) {
    // Sorting by counting: the postings of a term keep their order.
    for (const Posting& posting : builder.postings_) ++first_[posting.term + 1];
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    std::vector<std::uint64_t> next(first_.begin(), first_.end() - 1);
    for (std::size_t i = 0; i < places_.size(); ++i) places_[next[builder.postings_[i].term]++] = i;
    if (builder.has_positions_) {
      first_gaps_.resize(places_.size());
      std::uint64_t gap = 0;
      for (std::size_t i = 0; i < places_.size(); ++i) {
        first_gaps_[i] = gap;
        gap += builder.postings_[i].payload;
      }
    }
    order_.resize(builder.names_.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::ranges::sort(order_, {}, [&](std::uint32_t term) { return builder.names_[term]; });
  }

  bool at_end() const { return at_ == order_.size(); }
  std::string_view term() const { return builder_.names_[order_[at_]]; }
  void advance() { ++at_; }
  void append(TermList& list) const {
    for (std::uint64_t i = first_[order_[at_]]; i < first_[order_[at_] + 1]; ++i) {
      const Posting& posting = builder_.postings_[places_[i]];
      list.rows.push_back(posting.row);
      list.payloads.push_back(posting.payload);
      if (first_gaps_.empty()) continue;
      const auto gap = builder_.gaps_.begin() + static_cast<std::ptrdiff_t>(first_gaps_[places_[i]]);
      list.firsts.push_back(*gap);
      list.others.insert(list.others.end(), gap + 1, gap + posting.payload);
    }
  }

 private:
  const TermsBuilder& builder_;
  std::vector<std::uint64_t> first_;       // by term: of its places
  std::vector<std::uint64_t> places_;      // in the builder's postings, grouped by term
  std::vector<std::uint64_t> first_gaps_;  // by place
  std::vector<std::uint32_t> order_;       // terms, ascending
  std::size_t at_ = 0;
};

TermsBuilder::TermsBuilder(TermsKind kind, std::uint32_t n_rows, LengthNorm norm) : kind_(kind), norm_(norm), lengths_(n_rows, kNoLength) {}

void TermsBuilder::add_posting(std::string_view term, std::uint32_t row, std::uint32_t payload) { postings_.push_back({names_.add(term), row, payload}); }

void TermsBuilder::set_length(std::uint32_t row, std::uint32_t length) {
  if (lengths_.at(row) == kNoLength) ++n_valued_;
  lengths_[row] = length;
  total_length_ += length;
}

void TermsBuilder::add(std::uint32_t row, Bytes value) {
  if (value.empty()) return;
  if (kind_ == TermsKind::sparse) {
    set_length(row, 0);
    const std::size_t n = value.size() / 8;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint32_t index, weight;
      std::memcpy(&index, value.data() + 4 * i, 4);
      std::memcpy(&weight, value.data() + 4 * (n + i), 4);
      has_negative_ |= std::bit_cast<float>(weight) < 0;
      add_posting(sparse_term(index), row, weight);
    }
    return;
  }
  TextValueReader reader(value, "a text value");
  set_length(row, reader.length());
  (reader.has_positions() ? has_positions_ : lacks_positions_) = true;
  while (reader.next()) {
    add_posting(view_of(reader.term()), row, reader.tf());
    if (!reader.has_positions()) continue;
    std::uint32_t before = 0;
    for (std::uint32_t i = 0; i < reader.tf(); ++i) {
      const std::uint32_t position = reader.next_position();
      gaps_.push_back(position - before);
      before = position;
    }
  }
}

void TermsBuilder::add(const TermIndex& index, std::span<const std::uint32_t> mapping) {
  const std::uint32_t n = index.n_rows();
  std::uint32_t rows[kRowsPerLook], lengths[kRowsPerLook];
  for (std::uint32_t first = 0; first < n; first += kRowsPerLook) {
    const std::uint32_t count = std::min(kRowsPerLook, n - first);
    std::iota(rows, rows + count, first);
    index.lengths(rows, count, lengths);
    for (std::uint32_t i = 0; i < count; ++i)
      if (mapping[first + i] != RowMapping::kDropped && lengths[i] != kNoLength) set_length(mapping[first + i], lengths[i]);
  }
  has_negative_ |= index.has_negative();
  if (index.n_valued()) (index.has_positions() ? has_positions_ : lacks_positions_) = true;
  inputs_.push_back({&index, RowMapping(mapping), nullptr});
}

void TermsBuilder::append_dictionary(const Cancel& cancel, Image& image, std::uint32_t& n_terms, std::uint64_t& n_postings) {
  RowTerms own(*this);
  std::vector<Input*> open;
  for (Input& input : inputs_) {
    input.terms = input.index->terms();
    if (input.terms->next()) open.push_back(&input);
  }
  ListWriter writer(kind_, has_positions_, lengths_, norm_);
  Dictionary dictionary(static_cast<std::uint32_t>(lengths_.size()), kind_ == TermsKind::sparse && !has_negative_);
  TermList list;
  std::string term;
  for (std::uint32_t n = 0; !own.at_end() || !open.empty(); ++n) {
    if (n % kTermsPerCheck == 0) cancel.check();
    const bool has_own = !own.at_end();
    std::string_view least = has_own ? own.term() : view_of(open[0]->terms->term());
    for (const Input* input : open) least = std::min(least, view_of(input->terms->term()));
    term = least;  // moving a stream on changes its term
    list.clear();
    if (has_own && own.term() == term) {
      own.append(list);
      own.advance();
    }
    std::erase_if(open, [&](Input* input) {
      if (view_of(input->terms->term()) != term) return false;
      input->terms->append_to(list, input->mapping);
      return !input->terms->next();
    });
    if (list.rows.empty()) continue;
    list.sort(has_positions_);
    dictionary.add(term, list, writer);
  }
  append_value(dictionary.blocks, BlockPlace{dictionary.terms.size(), dictionary.postings.size()});
  n_terms = dictionary.n_terms();
  n_postings = dictionary.n_postings();
  image.emplace_back("blocks", std::move(dictionary.blocks));
  image.emplace_back("terms", std::move(dictionary.terms));
  image.emplace_back("postings", std::move(dictionary.postings));
  if (has_positions_) image.emplace_back("positions", std::move(dictionary.positions));
  if (std::string impacts = std::move(dictionary.impacts).finish(); !impacts.empty()) image.emplace_back("impacts", std::move(impacts));
}

void TermsBuilder::append_lengths(Image& image, TermsStats& stats) const {
  std::vector<std::uint32_t> longs;
  const std::vector<std::uint8_t> bytes = narrowed<std::uint8_t>(lengths_, longs);
  stats.length_bytes = longs.size() / 2 <= lengths_.size() / kRowsPerLongLength ? 1 : 2;
  if (stats.length_bytes == 1) {
    image.emplace_back("lengths", raw(bytes.data(), bytes.size()));
  } else {
    longs.clear();
    const std::vector<std::uint16_t> words = narrowed<std::uint16_t>(lengths_, longs);
    image.emplace_back("lengths", raw(words.data(), words.size()));
  }
  if (!longs.empty()) image.emplace_back("long_lengths", raw(longs.data(), longs.size()));
}

void TermsBuilder::append_presence(Image& image) const {
  Bitmap present(lengths_.size());
  for (std::uint32_t row = 0; row < lengths_.size(); ++row)
    if (lengths_[row] != kNoLength) present.set(row);
  image.emplace_back("presence", raw(present.words(), present.n_words()));
}

TermsBuilder::Image TermsBuilder::finish(const Cancel& cancel) {
  if (has_positions_ && lacks_positions_) throw CorruptionError("some texts of a text index come with positions and some without; restore from a snapshot");
  norm_.average = n_valued_ ? std::max(1.0f, static_cast<float>(static_cast<double>(total_length_) / n_valued_)) : 1;
  Image image(1);
  TermsStats stats{static_cast<std::uint32_t>(lengths_.size()), n_valued_, total_length_, 0, 0, static_cast<std::uint8_t>(kind_),
                   static_cast<std::uint8_t>(has_positions_), static_cast<std::uint8_t>(has_negative_), 0, norm_.k1, norm_.b, norm_.average};
  if (kind_ == TermsKind::text) append_lengths(image, stats);
  else if (n_valued_ < lengths_.size()) append_presence(image);
  std::uint32_t n_terms = 0;
  std::uint64_t n_postings = 0;
  append_dictionary(cancel, image, n_terms, n_postings);
  stats.terms = n_terms;
  stats.postings = n_postings;
  image[0] = {"stats", raw(&stats, 1)};
  return image;
}

std::size_t TermsBuilder::working_bytes(const TermIndex& index) {
  // The sections, as made and as handed over, and of rows added one by one the postings with what groups them: about 44 bytes each with their gaps.
  return index.n_postings() * 64 + std::size_t{index.n_rows()} * 16 + (std::size_t{1} << 20);
}

}  // namespace vicino
