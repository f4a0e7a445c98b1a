#include "text/words.h"

#include <algorithm>
#include <iterator>

#include "text/characters.h"
#include "text/normal_form.h"
#include "text/word_break.h"
#include "util/hash.h"

namespace vicino::text {

namespace {

constexpr std::size_t kTermBytesMax = 255;

/// Scripts without spaces between words, in groups that run on into each other; 0: words are parted by spaces.
int run_group(CharacterInfo info) {
  if (info.word_break() == WordBreak::numeric) return 0;
  if (info.word_break() == WordBreak::katakana) return 1;
  switch (info.script()) {
    case Script::han:
    case Script::hiragana:
    case Script::katakana: return 1;
    case Script::thai: return 2;
    case Script::lao: return 3;
    case Script::khmer: return 4;
    case Script::myanmar: return 5;
    default: return 0;
  }
}

/// Whether a segment is to be found: it has a letter or a number, or is a picture (emoji, flags).
bool is_sought(std::string_view segment) {
  for (std::size_t at = 0; at < segment.size();) {
    const char32_t character = next_character(segment, at);
    const CharacterInfo info = info_of(character);
    if (info.is_word() && !info.is_mark()) return true;
    if (character > 0x2000 && (info.is_pictograph() || info.word_break() == WordBreak::regional_indicator)) return true;
  }
  return false;
}

/// A segment as words. In code the dots and colons that prose keeps inside a word part names: `os.path` is two.
void append_segment(std::string_view text, std::size_t begin, std::size_t end, const WordRules& rules, std::vector<Word>& words) {
  for (std::size_t at = begin; rules.tokenizer == Tokenizer::code && at < end; ++at) {
    if (text[at] != '.' && text[at] != ':' && text[at] != '\'') continue;
    if (at > begin) words.push_back({begin, at, false});
    begin = at + 1;
  }
  if (begin < end) words.push_back({begin, end, false});
}

/// The pairs of neighboring characters of a run, each with its marks, and the last character.
void append_pairs(std::string_view text, std::size_t begin, std::size_t end, bool for_query, std::vector<Word>& words) {
  std::size_t middle = begin + character_end(text.substr(begin, end - begin));
  const bool is_pair = middle < end;
  while (middle < end) {
    const std::size_t next = middle + character_end(text.substr(middle, end - middle));
    words.push_back({begin, next, false});
    begin = middle;
    middle = next;
  }
  if (!is_pair || !for_query) words.push_back({begin, end, false});
}

bool is_apostrophe(char32_t character) { return character == U'\'' || character == 0x2019 || character == 0x02bc; }

/// Articles and prepositions that French, Italian and Catalan write before an apostrophe.
constexpr std::u32string_view kElided[] = {U"all",  U"c",    U"d",       U"dall",    U"dell",    U"j",   U"jusqu", U"l", U"lorsqu",
                                           U"m",    U"n",    U"nell",    U"puisqu",  U"qu",      U"quoiqu", U"s",  U"sull", U"t"};

/// Takes an elided article off the front and 's off the end.
void strip_apostrophes(std::u32string& word) {
  const auto found = std::find_if(word.begin(), word.end(), is_apostrophe);
  if (found == word.end()) return;
  std::replace_if(word.begin(), word.end(), is_apostrophe, U'\'');
  const std::u32string_view front(word.data(), static_cast<std::size_t>(found - word.begin()));
  if (std::binary_search(std::begin(kElided), std::end(kElided), front) && word.size() > front.size() + 2) word.erase(0, front.size() + 1);
  if (word.size() > 2 && word.ends_with(U"'s")) word.resize(word.size() - 2);
}

enum class Kind : std::uint8_t { joint, digit, upper, lower };

Kind kind_of(char32_t character) {
  const CharacterInfo info = info_of(character);
  if (info.word_break() == WordBreak::numeric) return Kind::digit;
  if (!info.is_word() && info.word_break() != WordBreak::zwj && info.word_break() != WordBreak::extend) return Kind::joint;
  return fold_case(character) != character ? Kind::upper : Kind::lower;
}

/// The parts of an identifier: at underscores and other joints, between letters and digits, before a capital that begins a hump.
std::vector<std::u32string> humps(std::u32string_view word) {
  std::vector<std::u32string> parts;
  Kind previous = Kind::joint;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const Kind kind = kind_of(word[i]);
    const bool next_is_lower = i + 1 < word.size() && kind_of(word[i + 1]) == Kind::lower;
    const bool begins = previous == Kind::joint || (kind == Kind::digit) != (previous == Kind::digit) ||
                        (kind == Kind::upper && (previous == Kind::lower || (previous == Kind::upper && next_is_lower)));
    if (kind != Kind::joint) {
      if (begins) parts.emplace_back();
      parts.back().push_back(word[i]);
    }
    previous = kind;
  }
  return parts;
}

/// The parts of a word that joints hold together (example.com, key:value, snake_case). Numbers keep theirs; dotted initials are one word.
std::vector<std::u32string> joined_parts(std::u32string_view word) {
  std::vector<std::u32string> parts;
  bool has_letters = false, has_joint = false;
  bool begins = true;
  std::size_t longest = 0;
  for (const char32_t character : word) {
    const bool is_joint = character == U'.' || character == U':' || character == U'_' || character == U'\uff0e' || character == U'\u00b7';
    has_joint |= is_joint;
    has_letters |= !is_joint && info_of(character).word_break() != WordBreak::numeric;
    if (is_joint) {
      begins = true;
      continue;
    }
    if (begins) parts.emplace_back();
    begins = false;
    parts.back().push_back(character);
    longest = std::max(longest, parts.back().size());
  }
  if (!has_joint || !has_letters) return {};
  if (longest == 1) {
    std::u32string initials;
    for (const auto& part : parts) initials += part;
    return {initials};
  }
  return parts;
}

void add_piece(Pieces& out, std::u32string text, std::size_t offset, Form form, const WordRules& rules, bool stems) {
  if (text.empty()) return;
  const auto at = static_cast<std::uint16_t>(std::min<std::size_t>(offset, 0xffff));
  out.n_positions = std::max<std::uint16_t>(out.n_positions, static_cast<std::uint16_t>(std::min<std::size_t>(at + 1u, 0xffff)));
  if (rules.accents == Accents::keep) {
    out.pieces.push_back({std::move(text), at, form, stems});
    return;
  }
  std::u32string plain = without_accents(text);
  if (plain.empty()) plain = text;
  const bool differs = plain != text;
  if (rules.accents == Accents::both) out.pieces.push_back({std::move(text), at, form, stems});
  if (rules.accents == Accents::fold || differs)
    out.pieces.push_back({std::move(plain), at, rules.accents == Accents::both ? Form::folded : form, stems});
}

void add_grams(Pieces& out, const std::u32string& word, const WordRules& rules, bool for_query) {
  if (rules.tokenizer == Tokenizer::edge) {
    // What was typed is a prefix itself. One beyond the longest prefix kept finds whole words, and by its beginning the others.
    if (for_query && word.size() > rules.gram_max) add_piece(out, word.substr(0, rules.gram_max), 0, Form::whole, rules, false);
    if (for_query) return add_piece(out, word, 0, Form::exact, rules, false);
    for (std::size_t size = rules.gram_min; size <= rules.gram_max && size < word.size(); ++size)
      add_piece(out, word.substr(0, size), 0, Form::exact, rules, false);
    return add_piece(out, word, 0, Form::exact, rules, false);
  }
  if (word.size() <= rules.gram_min) return add_piece(out, word, 0, Form::exact, rules, false);
  // A document has grams of every size; the longest that a query word has say the most, and the others would only repeat them.
  const std::size_t longest = std::min<std::size_t>(rules.gram_max, word.size());
  for (std::size_t size = for_query ? longest : rules.gram_min; size <= longest; ++size)
    for (std::size_t at = 0; at + size <= word.size(); ++at) add_piece(out, word.substr(at, size), at, Form::exact, rules, false);
}

void add_word(Pieces& out, std::u32string_view source, const WordRules& rules, bool for_query) {
  if (rules.tokenizer == Tokenizer::code) {
    const auto parts = humps(source);
    for (std::size_t i = 0; i < parts.size(); ++i) add_piece(out, fold(parts[i]), i, Form::exact, rules, true);
    if (parts.size() > 1) add_piece(out, out.normal, 0, Form::whole, rules, false);
    if (parts.empty()) add_piece(out, out.normal, 0, Form::exact, rules, false);
    return;
  }
  std::u32string word = out.normal;
  if (rules.possessives) strip_apostrophes(word);
  if (rules.tokenizer != Tokenizer::words) return add_grams(out, word, rules, for_query);
  const auto parts = joined_parts(word);
  if (parts.empty()) return add_piece(out, std::move(word), 0, Form::exact, rules, true);
  for (std::size_t i = 0; i < parts.size(); ++i) add_piece(out, parts[i], i, Form::exact, rules, parts.size() > 1);
  if (parts.size() > 1) add_piece(out, std::move(word), 0, Form::whole, rules, false);
}

}  // namespace

std::size_t character_end(std::string_view run) {
  std::size_t end = 0;
  next_character(run, end);
  for (std::size_t after = end; end < run.size(); end = after) {
    const CharacterInfo info = info_of(next_character(run, after));
    const WordBreak kind = info.word_break();
    if (!info.is_mark() && kind != WordBreak::extend && kind != WordBreak::format && kind != WordBreak::zwj) break;
  }
  return end;
}

bool is_of_run(std::string_view word) {
  std::size_t at = 0;
  return !word.empty() && run_group(info_of(next_character(word, at))) != 0;
}

void append_words(std::string_view text, const WordRules& rules, bool for_query, std::vector<Word>& words) {
  if (rules.tokenizer == Tokenizer::keyword) {
    if (!text.empty()) words.push_back({0, text.size(), false});
    return;
  }
  int group = 0;
  std::size_t run = 0;
  const auto end_run = [&](std::size_t end) {
    if (group) append_pairs(text, run, end, for_query, words);
    group = 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const AsciiKind kind = ascii_kind(text, at);
    // Nearly all of most texts: spaces and punctuation between words of ASCII, and these words.
    if (kind < AsciiKind::wide && (at + 1 == text.size() || ascii_kind(text, at + 1) != AsciiKind::wide)) {
      end_run(begin);
      ++at;
      continue;
    }
    if (const AsciiSegment segment = ascii_segment(text, begin); segment.end && segment.is_plain) {
      end_run(begin);
      words.push_back({begin, at = segment.end, true});
      continue;
    }
    const auto first = static_cast<unsigned char>(text[at]);
    at = segment_end(text, begin);
    if (first < 0x80) {
      end_run(begin);
      const bool is_plain = (first >= '0' && first <= '9') || ((first | 0x20) >= 'a' && (first | 0x20) <= 'z');
      if (is_plain || (at > begin + 1 && is_sought(text.substr(begin, at - begin)))) append_segment(text, begin, at, rules, words);
      continue;
    }
    std::size_t after = begin;
    const int here = run_group(info_of(next_character(text, after)));
    if (here != group) {
      end_run(begin);
      group = here;
      run = begin;
    }
    if (group == 0 && is_sought(text.substr(begin, at - begin))) append_segment(text, begin, at, rules, words);
  }
  end_run(text.size());
}

Pieces pieces_of(std::string_view word, const WordRules& rules, bool for_query) {
  const std::u32string source = to_characters(word);
  Pieces out;
  out.normal = fold(source);
  const CharacterInfo first = info_of(source.empty() ? 0 : source.front());
  out.script = first.script();
  if (rules.tokenizer == Tokenizer::keyword) {
    add_piece(out, out.normal, 0, Form::exact, rules, false);
  } else if (run_group(first)) {
    const std::size_t end = character_end(word);
    add_piece(out, out.normal, 0, Form::exact, rules, false);
    if (end < word.size()) add_piece(out, fold(to_characters(word.substr(0, end))), 0, Form::character, rules, false);
  } else {
    add_word(out, source, rules, for_query);
  }
  return out;
}

std::string term_of(std::u32string_view text) {
  std::string term = to_utf8(text);
  if (term.size() <= kTermBytesMax) return term;
  const std::uint64_t hash = hash_bytes({reinterpret_cast<const std::uint8_t*>(term.data()), term.size()});
  std::size_t keep = kTermBytesMax - 17;
  while (keep && (static_cast<unsigned char>(term[keep]) & 0xc0) == 0x80) --keep;
  term.resize(keep);
  term.push_back('#');
  for (int shift = 60; shift >= 0; shift -= 4) term.push_back("0123456789abcdef"[hash >> shift & 15]);
  return term;
}

}  // namespace vicino::text
