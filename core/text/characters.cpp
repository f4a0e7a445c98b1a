#include "text/characters.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace vicino::text {

namespace {

// The first two planes hold every script and are read for each character of a text: they are spread into an array once. Behind them
// come rare ideographs and private use, which are looked up among the runs.
constexpr char32_t kSpread = 0x20000;

std::vector<std::uint16_t> spread() {
  std::vector<std::uint16_t> bits(kSpread);
  const auto* const end = std::end(tables::kProperties);
  for (const auto* run = std::begin(tables::kProperties); run != end && run->first < kSpread; ++run) {
    const char32_t last = std::next(run) == end ? kSpread : std::min<char32_t>(std::next(run)->first, kSpread);
    std::fill(bits.begin() + run->first, bits.begin() + last, run->bits);
  }
  return bits;
}

}  // namespace

CharacterInfo info_of(char32_t character) {
  static const std::vector<std::uint16_t> bits = spread();
  if (character < kSpread) return CharacterInfo(bits[character]);
  const auto* after = std::upper_bound(std::begin(tables::kProperties), std::end(tables::kProperties), character,
                                       [](char32_t value, const tables::PropertyRun& run) { return value < run.first; });
  return CharacterInfo(std::prev(after)->bits);
}

std::u32string to_characters(std::string_view utf8) {
  std::u32string characters;
  characters.reserve(utf8.size());
  for (std::size_t at = 0; at < utf8.size();) characters.push_back(next_character(utf8, at));
  return characters;
}

std::string to_utf8(std::u32string_view characters) {
  std::string utf8;
  utf8.reserve(characters.size());
  for (const char32_t character : characters) append_character(utf8, character);
  return utf8;
}

}  // namespace vicino::text
