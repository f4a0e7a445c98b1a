#include "fields/unicode.h"

#include <algorithm>
#include <iterator>

#include "fields/unicode_tables.h"

namespace vicino {

namespace {

constexpr char32_t kMalformed = 0xfffd;

/// Length of the well-formed sequence at `at`, 0 if there is none (Unicode standard, table 3-7).
std::size_t sequence_size(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const auto continues = [&](std::size_t i, std::uint8_t low = 0x80, std::uint8_t high = 0xbf) {
    return at + i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    // No overlong forms after E0, no surrogates after ED.
    const bool second = continues(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return second && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = continues(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return second && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<std::uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t size = sequence_size(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

char32_t next_character(std::string_view text, std::size_t& at) {
  const std::size_t size = sequence_size(text, at);
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<std::uint8_t>(text[at + i])); };
  const auto tail = [&](std::size_t i) { return byte(i) & 0x3f; };
  char32_t character = kMalformed;
  switch (size) {
    case 1: character = byte(0); break;
    case 2: character = (byte(0) & 0x1f) << 6 | tail(1); break;
    case 3: character = (byte(0) & 0x0f) << 12 | tail(1) << 6 | tail(2); break;
    case 4: character = (byte(0) & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3); break;
    default: break;
  }
  at += std::max<std::size_t>(size, 1);
  return character;
}

void append_character(std::string& out, char32_t character) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xc0 | character >> 6);
    put(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    put(0xe0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3f));
    put(0x80 | (character & 0x3f));
  } else {
    put(0xf0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3f));
    put(0x80 | (character >> 6 & 0x3f));
    put(0x80 | (character & 0x3f));
  }
}

bool is_word_character(char32_t character) {
  if (character < 0x80) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || (character >= '0' && character <= '9');
  }
  const auto after = std::upper_bound(std::begin(unicode::kWordRanges), std::end(unicode::kWordRanges), character,
                                      [](char32_t value, const unicode::WordRange& range) { return value < range.first; });
  return after != std::begin(unicode::kWordRanges) && character <= std::prev(after)->last;
}

char32_t fold_case(char32_t character) {
  if (character < 0x80) return character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character;
  const auto after = std::upper_bound(std::begin(unicode::kFoldRanges), std::end(unicode::kFoldRanges), character,
                                      [](char32_t value, const unicode::FoldRange& range) { return value < range.first; });
  if (after == std::begin(unicode::kFoldRanges)) return character;
  const unicode::FoldRange& range = *std::prev(after);
  if (character > range.last || (character - range.first) % range.stride != 0) return character;
  return static_cast<char32_t>(static_cast<std::int32_t>(character) + range.delta);
}

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append_character(folded, fold_case(next_character(text, at)));
  return folded;
}

bool WordCursor::next() {
  word_.clear();
  while (at_ < text_.size()) {
    const char32_t character = next_character(text_, at_);
    if (is_word_character(character)) {
      append_character(word_, fold_case(character));
    } else if (!word_.empty()) {
      return true;
    }
  }
  return !word_.empty();
}

}  // namespace vicino
