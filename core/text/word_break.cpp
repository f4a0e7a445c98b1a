#include "text/word_break.h"

#include "text/characters.h"

namespace vicino::text {

namespace {

using enum WordBreak;

bool is_letter(WordBreak value) { return value == aletter || value == hebrew_letter; }
bool is_newline(WordBreak value) { return value == cr || value == lf || value == newline; }
bool is_ignored(WordBreak value) { return value == extend || value == format || value == zwj; }
bool is_mid_letter(WordBreak value) { return value == midletter || value == midnumlet || value == single_quote; }
bool is_mid_number(WordBreak value) { return value == midnum || value == midnumlet || value == single_quote; }

/// The class of the next character that counts (rule WB4 passes over marks and format characters), or `other` at the end.
WordBreak class_ahead(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const WordBreak value = info_of(next_character(text, at)).word_break();
    if (!is_ignored(value)) return value;
  }
  return other;
}

/// Rules WB5 to WB13b: whether `next`, which ends at `after`, continues the word of `previous`, before which `before` stood.
bool continues(WordBreak before, WordBreak previous, WordBreak next, std::string_view text, std::size_t after) {
  switch (next) {
    case aletter:
    case hebrew_letter:
      return is_letter(previous) || previous == numeric || previous == extendnumlet || (is_mid_letter(previous) && is_letter(before)) ||
             (next == hebrew_letter && previous == double_quote && before == hebrew_letter);
    case numeric:
      return is_letter(previous) || previous == numeric || previous == extendnumlet || (is_mid_number(previous) && before == numeric);
    case katakana:
      return previous == katakana || previous == extendnumlet;
    case extendnumlet:
      return is_letter(previous) || previous == numeric || previous == katakana || previous == extendnumlet;
    case double_quote:
      return previous == hebrew_letter && class_ahead(text, after) == hebrew_letter;
    case single_quote:
    case midletter:
    case midnum:
    case midnumlet:
      if (next == single_quote && previous == hebrew_letter) return true;
      return (is_letter(previous) && is_mid_letter(next) && is_letter(class_ahead(text, after))) ||
             (previous == numeric && is_mid_number(next) && class_ahead(text, after) == numeric);
    default:
      return false;
  }
}

}  // namespace

std::size_t segment_end(std::string_view text, std::size_t begin) {
  if (const AsciiSegment segment = ascii_segment(text, begin); segment.end) return segment.end;
  std::size_t at = begin;
  CharacterInfo info = info_of(next_character(text, at));
  WordBreak before = other, previous = info.word_break(), last = previous;
  if (previous == cr) return at < text.size() && text[at] == '\n' ? at + 1 : at;
  if (is_newline(previous)) return at;
  bool is_half_flag = previous == regional_indicator;
  while (at < text.size()) {
    std::size_t after = at;
    info = info_of(next_character(text, after));
    const WordBreak next = info.word_break();
    if (is_newline(next)) return at;
    if (is_ignored(next)) {
      last = next;
      at = after;
      continue;
    }
    const bool joins = (last == zwj && info.is_pictograph()) || (last == wsegspace && next == wsegspace) ||
                       (is_half_flag && next == regional_indicator) || continues(before, previous, next, text, after);
    if (!joins) return at;
    is_half_flag = next == regional_indicator && !is_half_flag;
    before = previous;
    previous = last = next;
    at = after;
  }
  return at;
}

}  // namespace vicino::text
