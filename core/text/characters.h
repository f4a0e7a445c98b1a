// What analyzers know of one character: its class for word breaks, its script, whether it makes words. Tables: text_tables.h.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "fields/unicode.h"
#include "text/text_tables.h"

namespace vicino::text {

class CharacterInfo {
 public:
  explicit CharacterInfo(std::uint16_t bits) : bits_(bits) {}
  WordBreak word_break() const { return static_cast<WordBreak>(bits_ & 31); }
  Script script() const { return static_cast<Script>(bits_ >> 5 & 15); }
  /// A letter, mark or number.
  bool is_word() const { return bits_ >> 9 & 1; }
  bool is_pictograph() const { return bits_ >> 10 & 1; }
  bool is_mark() const { return bits_ >> 11 & 1; }

 private:
  std::uint16_t bits_;
};

CharacterInfo info_of(char32_t character);

std::u32string to_characters(std::string_view utf8);
std::string to_utf8(std::u32string_view characters);

}  // namespace vicino::text
