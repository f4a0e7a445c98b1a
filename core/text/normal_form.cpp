#include "text/normal_form.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "text/characters.h"

namespace vicino::text {

namespace {

// Syllables of Hangul are composed by arithmetic: Unicode standard, 3.12.
constexpr char32_t kHangul = 0xac00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11a7;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28, kSyllables = kLeads * kVowels * kTails;

template <class Row, std::size_t n>
const Row* row_of(const Row (&rows)[n], char32_t character) {
  const Row* found = std::lower_bound(std::begin(rows), std::end(rows), character,
                                      [](const Row& row, char32_t value) { return row.character < value; });
  return found != std::end(rows) && found->character == character ? found : nullptr;
}

template <class Row, std::size_t n>
const Row* range_of(const Row (&rows)[n], char32_t character) {
  const Row* after = std::upper_bound(std::begin(rows), std::end(rows), character,
                                      [](char32_t value, const Row& row) { return value < row.first; });
  if (after == std::begin(rows)) return nullptr;
  const Row* row = std::prev(after);
  return character <= row->last ? row : nullptr;
}

std::uint8_t combining_class(char32_t character) {
  if (character < 0x300) return 0;
  const auto* row = range_of(tables::kCombining, character);
  return row ? row->order : 0;
}

void append_decomposed(std::u32string& out, char32_t character) {
  if (character < 0xc0) {
    out.push_back(character);
  } else if (character - kHangul < kSyllables) {
    const char32_t index = character - kHangul;
    out.push_back(kLead + index / (kVowels * kTails));
    out.push_back(kVowel + index % (kVowels * kTails) / kTails);
    if (index % kTails) out.push_back(kTail + index % kTails);
  } else if (const auto* pair = row_of(tables::kPairs, character)) {
    append_decomposed(out, pair->first);
    append_decomposed(out, pair->second);
  } else if (const auto* single = row_of(tables::kSingles, character)) {
    append_decomposed(out, single->mapped);
  } else {
    out.push_back(character);
  }
}

std::u32string decomposed(std::u32string_view text) {
  std::u32string out;
  for (const char32_t character : text) append_decomposed(out, character);
  // Marks that follow each other are put into the order of their classes, keeping the order within a class.
  for (std::size_t begin = 0; begin < out.size();) {
    if (combining_class(out[begin]) == 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin;
    while (end < out.size() && combining_class(out[end]) != 0) ++end;
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(begin), out.begin() + static_cast<std::ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  return out;
}

/// The character that the two make, or 0.
char32_t composition(char32_t first, char32_t second) {
  if (first - kLead < kLeads && second - kVowel < kVowels) return kHangul + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
  if (first - kHangul < kSyllables && (first - kHangul) % kTails == 0 && second > kTail && second - kTail < kTails)
    return first + (second - kTail);
  if (second < 0x300) return 0;
  struct Made {
    char32_t first, second, character;
    bool operator<(const Made& other) const { return first != other.first ? first < other.first : second < other.second; }
  };
  static const std::vector<Made> made = [] {
    std::vector<Made> rows;
    for (const auto& pair : tables::kPairs)
      if (pair.composes) rows.push_back({pair.first, pair.second, pair.character});
    std::sort(rows.begin(), rows.end());
    return rows;
  }();
  const auto found = std::lower_bound(made.begin(), made.end(), Made{first, second, 0});
  return found != made.end() && found->first == first && found->second == second ? found->character : 0;
}

/// NFC of text in its decomposed form.
std::u32string composed(std::u32string_view text) {
  std::u32string out;
  std::size_t starter = std::u32string::npos;
  int last_class = -1;
  for (const char32_t character : text) {
    const int order = combining_class(character);
    // A mark composes unless one of its own or a higher class stands between it and the starter; last_class is -1 right behind a starter.
    if (starter != std::u32string::npos && (last_class < order || last_class == -1)) {
      if (const char32_t made = composition(out[starter], character)) {
        out[starter] = made;
        continue;
      }
    }
    if (order == 0) {
      starter = out.size();
      last_class = -1;
    } else {
      last_class = order;
    }
    out.push_back(character);
  }
  return out;
}

void append_folded(std::u32string& out, char32_t character) {
  if (const auto* several = row_of(tables::kFoldSeveral, character)) {
    for (std::size_t i = 0; i < several->size; ++i) out.push_back(tables::kFoldText[several->at + i]);
    return;
  }
  if (range_of(tables::kFoldGone, character)) return;
  const auto* run = range_of(tables::kFoldSingle, character);
  if (run && (character - run->first) % run->stride == 0)
    character = static_cast<char32_t>(static_cast<std::int32_t>(character) + run->delta);
  out.push_back(character);
}

bool is_ascii(std::u32string_view text) {
  return std::all_of(text.begin(), text.end(), [](char32_t character) { return character < 0x80; });
}

bool leaves_accents_out(Script script) {
  return script == Script::latin || script == Script::greek || script == Script::cyrillic || script == Script::arabic || script == Script::hebrew;
}

/// Letters whose accent is part of their shape, so that no decomposition names it, and Arabic spellings that are used for each other.
struct Plain {
  char32_t letter;
  std::u32string_view plain;
};
constexpr Plain kPlain[] = {
    {U'æ', U"ae"}, {U'ð', U"d"}, {U'ø', U"o"}, {U'þ', U"th"}, {U'đ', U"d"}, {U'ħ', U"h"}, {U'ı', U"i"}, {U'ĸ', U"k"}, {U'ł', U"l"}, {U'ŋ', U"n"},
    {U'œ', U"oe"}, {U'ŧ', U"t"}, {U'ƀ', U"b"}, {U'ƈ', U"c"}, {U'ƒ', U"f"}, {U'ƙ', U"k"}, {U'ƚ', U"l"}, {U'ƥ', U"p"}, {U'ƭ', U"t"}, {U'ƴ', U"y"},
    {U'ƶ', U"z"}, {U'ǝ', U"e"}, {U'ȼ', U"c"}, {U'ɓ', U"b"}, {U'ɔ', U"o"}, {U'ɖ', U"d"}, {U'ɗ', U"d"}, {U'ə', U"e"}, {U'ɛ', U"e"}, {U'ɠ', U"g"},
    {U'ɣ', U"g"}, {U'ɩ', U"i"}, {U'ɲ', U"n"}, {U'ʋ', U"v"}, {U'\u0629', U"\u0647"}, {U'\u0640', U""}, {U'\u0649', U"\u064a"},
    {U'\u06a9', U"\u0643"}, {U'\u06cc', U"\u064a"},
};

}  // namespace

std::u32string fold(std::u32string_view text) {
  std::u32string mapped;
  mapped.reserve(text.size());
  if (is_ascii(text)) {
    for (const char32_t character : text) mapped.push_back(character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character);
    return mapped;
  }
  for (const char32_t character : text) append_folded(mapped, character);
  return composed(decomposed(mapped));
}

std::u32string without_accents(std::u32string_view folded) {
  if (is_ascii(folded)) return std::u32string(folded);
  std::u32string out;
  bool strips = false;
  char32_t base = 0;
  for (const char32_t character : decomposed(folded)) {
    const CharacterInfo info = info_of(character);
    if (!info.is_mark()) {
      base = character;
      strips = leaves_accents_out(info.script());
      const auto* plain = std::lower_bound(std::begin(kPlain), std::end(kPlain), character,
                                           [](const Plain& row, char32_t value) { return row.letter < value; });
      if (plain != std::end(kPlain) && plain->letter == character) {
        out += plain->plain;
        continue;
      }
    } else if (strips && combining_class(character) != 0 && !(base == U'и' && character == 0x306)) {
      continue;
    }
    out.push_back(character);
  }
  return composed(out);
}

}  // namespace vicino::text
