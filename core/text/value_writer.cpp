#include "text/value_writer.h"

#include <algorithm>
#include <cstring>

#include "sparse/first_bytes.h"
#include "sparse/text_value.h"

namespace vicino::text {

namespace {

constexpr std::size_t kVarintBytes = 5;

char* write_varint(char* at, std::uint32_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

}  // namespace

void ValueWriter::begin(const StringTable& terms) {
  for (const std::uint32_t term : distinct_) number_of_[term] = kNone;
  distinct_.clear();
  occurrences_.clear();
  documents_.clear();
  terms_ = &terms;
  if (number_of_.size() < terms.size()) number_of_.resize(terms.size(), kNone);
}

void ValueWriter::order_terms() {
  ordered_.clear();
  for (std::uint32_t number = 0; number < distinct_.size(); ++number) {
    const std::string_view term = (*terms_)[distinct_[number]];
    ordered_.push_back({first_bytes(term), term.data(), static_cast<std::uint32_t>(term.size()), number});
  }
  std::ranges::sort(ordered_, [](const Term& a, const Term& b) {
    return a.begins != b.begins ? a.begins < b.begins : std::string_view(a.bytes, a.size) < std::string_view(b.bytes, b.size);
  });
  places_.resize(ordered_.size());
  for (std::uint32_t place = 0; place < ordered_.size(); ++place) places_[ordered_[place].number] = place;
}

void ValueWriter::write_document(std::uint64_t* begin, std::uint64_t* end, std::uint32_t length, bool positions, std::string& data) {
  for (std::uint64_t* each = begin; each < end; ++each) *each = std::uint64_t{places_[*each >> 32]} << 32 | static_cast<std::uint32_t>(*each);
  std::sort(begin, end);
  groups_.clear();
  std::size_t size_most = 1 + 2 * kVarintBytes + static_cast<std::size_t>(end - begin) * kVarintBytes + sizeof(std::uint64_t);
  const auto n = static_cast<std::uint32_t>(end - begin);
  for (std::uint32_t i = 0; i < n;) {
    const auto place = static_cast<std::uint32_t>(begin[i] >> 32);
    const std::uint32_t first = i;
    while (i < n && begin[i] >> 32 == place) ++i;
    groups_.push_back({place, first, i});
    size_most += ordered_[place].size + 2 * kVarintBytes;
  }
  if (value_.size() < size_most) value_.resize(2 * size_most);
  char* at = value_.data();
  *at++ = static_cast<char>(positions ? kTextHasPositions : 0);
  at = write_varint(at, length);
  at = write_varint(at, static_cast<std::uint32_t>(groups_.size()));
  for (const Group& group : groups_) {
    const Term& term = ordered_[group.place];
    at = write_varint(at, term.size);
    if (term.size <= 8) {
      const std::uint64_t bytes = __builtin_bswap64(term.begins);
      std::memcpy(at, &bytes, 8);
    } else {
      std::memcpy(at, term.bytes, term.size);
    }
    at = write_varint(at + term.size, group.last - group.first);
    std::uint32_t before = 0;
    for (std::uint32_t i = group.first; positions && i < group.last; ++i) {
      const auto position = static_cast<std::uint32_t>(begin[i]);
      at = write_varint(at, position - before);
      before = position;
    }
  }
  data.append(value_.data(), static_cast<std::size_t>(at - value_.data()));
}

void ValueWriter::write(bool positions, std::string& data, std::vector<std::uint64_t>& offsets) {
  order_terms();
  std::size_t begin = 0;
  for (const Document& document : documents_) {
    if (document.is_present) write_document(occurrences_.data() + begin, occurrences_.data() + document.end, document.length, positions, data);
    offsets.push_back(data.size());
    begin = document.end;
  }
}

}  // namespace vicino::text
