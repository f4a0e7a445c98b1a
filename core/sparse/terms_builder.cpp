#include "sparse/terms_builder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sparse/bit_packing.h"
#include "sparse/sealed_terms.h"
#include "sparse/text_value.h"
#include "util/byte_io.h"

namespace vicino {

namespace {

constexpr std::uint32_t kTermsPerCheck = 4096;

float weight_of(std::uint32_t payload) { return std::bit_cast<float>(payload); }

template <class T>
std::string raw(const T* data, std::size_t n) { return {reinterpret_cast<const char*>(data), n * sizeof(T)}; }

}  // namespace

TermsBuilder::TermsBuilder(TermsKind kind, std::uint32_t n_rows, LengthNorm norm) : kind_(kind), norm_(norm), lengths_(n_rows, kNoLength) {}

TermsBuilder::List& TermsBuilder::list_of(std::string_view term) { return lists_[std::string(term)]; }

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
      has_negative_ |= weight_of(weight) < 0;
      list_of(sparse_term(index)).postings.push_back({row, weight, 0});
    }
    return;
  }
  TextValueReader reader(value, "a text value");
  set_length(row, reader.length());
  (reader.has_positions() ? has_positions_ : lacks_positions_) = true;
  while (reader.next()) {
    const auto at = static_cast<std::uint32_t>(gaps_.size());
    list_of({reinterpret_cast<const char*>(reader.term().data()), reader.term().size()}).postings.push_back({row, reader.tf(), at});
    if (!reader.has_positions()) continue;
    std::uint32_t before = 0;
    for (std::uint32_t i = 0; i < reader.tf(); ++i) {
      const std::uint32_t position = reader.next_position();
      append_varint(gaps_, position - before);
      before = position;
    }
  }
}

void TermsBuilder::add(const TermIndex& index, std::span<const std::uint32_t> mapping, const Cancel& cancel) {
  const std::uint32_t n = index.n_rows();
  std::vector<std::uint32_t> rows(kPostingsPerBlock), lengths(kPostingsPerBlock), positions;
  for (std::uint32_t first = 0; first < n; first += kPostingsPerBlock) {
    const std::uint32_t count = std::min(kPostingsPerBlock, n - first);
    for (std::uint32_t i = 0; i < count; ++i) rows[i] = first + i;
    index.lengths(rows.data(), count, lengths.data());
    for (std::uint32_t i = 0; i < count; ++i)
      if (mapping[first + i] != kDropped && lengths[i] != kNoLength) set_length(mapping[first + i], lengths[i]);
  }
  has_negative_ |= index.has_negative();
  if (index.n_valued()) (index.has_positions() ? has_positions_ : lacks_positions_) = true;
  std::uint32_t n_terms = 0;
  PostingBlock block;
  index.each_with_prefix({}, [&](Bytes term, const TermInfo& info) {
    if (++n_terms % kTermsPerCheck == 0) cancel.check();
    List* list = nullptr;
    const auto cursor = index.postings(info);
    while (cursor->next(0, block))
      for (std::uint32_t i = 0; i < block.count; ++i) {
        if (block.rows[i] >= n) break;
        const std::uint32_t row = mapping[block.rows[i]];
        if (row == kDropped) continue;
        if (!list) list = &list_of({reinterpret_cast<const char*>(term.data()), term.size()});
        list->postings.push_back({row, block.tf[i], static_cast<std::uint32_t>(gaps_.size())});
        if (!index.has_positions()) continue;
        cursor->positions(i, positions);
        std::uint32_t before = 0;
        for (const std::uint32_t position : positions) {
          append_varint(gaps_, position - before);
          before = position;
        }
      }
    return true;
  });
}

float TermsBuilder::bound_of(std::span<const Posting> postings) const {
  float most = 0;
  for (const Posting& posting : postings) {
    const auto tf = static_cast<float>(posting.payload);
    most = std::max(most, kind_ == TermsKind::text ? tf / (tf + norm_(lengths_[posting.row])) : std::fabs(weight_of(posting.payload)));
  }
  return most * 1.000001f;  // beyond what rounding elsewhere may give
}

void TermsBuilder::write_short(const List& list, std::string& out) const {
  append_value(out, bound_of(list.postings));
  std::uint32_t next = 0;
  for (const Posting& posting : list.postings) {
    const std::uint32_t gap = posting.row - next;
    next = posting.row + 1;
    if (kind_ == TermsKind::sparse) {
      append_varint(out, gap);
    } else {
      append_varint(out, gap << 1 | (posting.payload == 1));
      if (posting.payload != 1) append_varint(out, posting.payload);
    }
  }
  if (kind_ == TermsKind::sparse)
    for (const Posting& posting : list.postings) append_value(out, posting.payload);
}

void TermsBuilder::write_long(const List& list, std::string& out) const {
  std::string heads, bodies;
  std::uint32_t next = 0;
  for (std::size_t first = 0; first < list.postings.size(); first += kPostingsPerBlock) {
    const auto part = std::span(list.postings).subspan(first, std::min<std::size_t>(kPostingsPerBlock, list.postings.size() - first));
    std::uint32_t gaps[kPostingsPerBlock] = {}, tfs[kPostingsPerBlock] = {}, most_gap = 0, most_tf = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      gaps[i] = part[i].row - next;
      next = part[i].row + 1;
      tfs[i] = part[i].payload - 1;
      most_gap |= gaps[i];
      most_tf |= tfs[i];
    }
    const unsigned gap_bits = bits_of(most_gap), tf_bits = kind_ == TermsKind::text ? bits_of(most_tf) : 0;
    const BlockHeader header{part.back().row, static_cast<std::uint32_t>(bodies.size()), bound_of(part), static_cast<std::uint8_t>(gap_bits),
                             static_cast<std::uint8_t>(tf_bits), static_cast<std::uint16_t>(part.size())};
    append_value(heads, header);
    pack128(gaps, gap_bits, bodies);
    if (kind_ == TermsKind::text) pack128(tfs, tf_bits, bodies);
    else
      for (const Posting& posting : part) append_value(bodies, posting.payload);
  }
  out += heads;
  out += bodies;
}

std::string TermsBuilder::positions_of(std::span<const Posting> postings) const {
  std::string out;
  for (const Posting& posting : postings) {
    std::size_t at = posting.positions;
    for (std::uint32_t left = posting.payload; left; ++at) left -= !(gaps_[at] & 0x80);
    out.append(gaps_, posting.positions, at - posting.positions);
  }
  return out;
}

void TermsBuilder::write_list(List& list, std::string& postings, std::string& positions) const {
  std::ranges::sort(list.postings, {}, &Posting::row);
  const bool is_long = list.postings.size() >= kPostingsPerBlock;
  if (is_long) write_long(list, postings);
  else write_short(list, postings);
  if (!has_positions_) return;
  if (!is_long) {
    positions += positions_of(list.postings);
    return;
  }
  std::string heads, bodies;
  for (std::size_t first = 0; first < list.postings.size(); first += kPostingsPerBlock) {
    append_value(heads, static_cast<std::uint32_t>(bodies.size()));
    bodies += positions_of(std::span(list.postings).subspan(first, std::min<std::size_t>(kPostingsPerBlock, list.postings.size() - first)));
  }
  positions += heads;
  positions += bodies;
}

TermsBuilder::Image TermsBuilder::finish(const Cancel& cancel) {
  if (has_positions_ && lacks_positions_) throw CorruptionError("some texts of a text index come with positions and some without; restore from a snapshot");
  norm_.average = n_valued_ ? std::max(1.0f, static_cast<float>(static_cast<double>(total_length_) / n_valued_)) : 1;
  std::vector<std::pair<std::string_view, List*>> sorted;
  sorted.reserve(lists_.size());
  for (auto& [term, list] : lists_) sorted.emplace_back(term, &list);
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return std::lexicographical_compare(a.first.begin(), a.first.end(), b.first.begin(), b.first.end(),
                                        [](char x, char y) { return static_cast<unsigned char>(x) < static_cast<unsigned char>(y); });
  });

  std::string terms, postings, positions, blocks;
  std::string_view before;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i % kTermsPerCheck == 0) cancel.check();
    const auto& [term, list] = sorted[i];
    const bool is_first = i % kTermsPerBlock == 0;
    if (is_first) append_value(blocks, BlockPlace{terms.size(), postings.size(), positions.size()});
    const auto shared = is_first ? 0 : static_cast<std::size_t>(std::ranges::mismatch(before, term).in1 - before.begin());
    const std::size_t postings_before = postings.size(), positions_before = positions.size();
    const auto df = static_cast<std::uint32_t>(list->postings.size());
    write_list(*list, postings, positions);
    list->postings = {};
    append_varint(terms, static_cast<std::uint32_t>(shared));
    append_varint(terms, static_cast<std::uint32_t>(term.size() - shared));
    terms += term.substr(shared);
    append_varint(terms, df);
    append_varint(terms, static_cast<std::uint32_t>(postings.size() - postings_before));
    if (has_positions_) append_varint(terms, static_cast<std::uint32_t>(positions.size() - positions_before));
    before = term;
  }
  append_value(blocks, BlockPlace{terms.size(), postings.size(), positions.size()});

  Image image;
  const TermsStats stats{static_cast<std::uint32_t>(lengths_.size()), n_valued_, total_length_, static_cast<std::uint32_t>(sorted.size()),
                         static_cast<std::uint8_t>(kind_), static_cast<std::uint8_t>(has_positions_), has_negative_, norm_.k1, norm_.b, norm_.average};
  image.emplace_back("stats", raw(&stats, 1));
  if (kind_ == TermsKind::text) {
    std::vector<std::uint16_t> lengths(lengths_.size());
    std::vector<std::uint32_t> longs;
    for (std::uint32_t row = 0; row < lengths_.size(); ++row) {
      const std::uint32_t length = lengths_[row];
      lengths[row] = length == kNoLength ? kAbsentLength : static_cast<std::uint16_t>(std::min<std::uint32_t>(length, kLongLength));
      if (length != kNoLength && length >= kLongLength) longs.insert(longs.end(), {row, length});
    }
    image.emplace_back("lengths", raw(lengths.data(), lengths.size()));
    if (!longs.empty()) image.emplace_back("long_lengths", raw(longs.data(), longs.size()));
  }
  if (kind_ == TermsKind::sparse && n_valued_ < lengths_.size()) {
    std::vector<std::uint64_t> presence((lengths_.size() + 63) / 64);
    for (std::uint32_t row = 0; row < lengths_.size(); ++row)
      if (lengths_[row] != kNoLength) presence[row >> 6] |= std::uint64_t{1} << (row & 63);
    image.emplace_back("presence", raw(presence.data(), presence.size()));
  }
  image.emplace_back("blocks", std::move(blocks));
  image.emplace_back("terms", std::move(terms));
  image.emplace_back("postings", std::move(postings));
  if (has_positions_) image.emplace_back("positions", std::move(positions));
  return image;
}

std::size_t TermsBuilder::working_bytes(const TermIndex& index) {
  // Postings of twelve bytes in vectors that double, terms in a table, gaps; then the sections beside them.
  std::size_t postings = 0, terms = 0;
  index.each_with_prefix({}, [&](Bytes term, const TermInfo& info) {
    postings += info.df;
    terms += term.size() + 96;
    return true;
  });
  return postings * 40 + terms * 2 + std::size_t{index.n_rows()} * 8 + (std::size_t{1} << 16);
}

}  // namespace vicino
