// What the core needs to know about text: valid UTF-8, which characters make words, and simple case folding.
//
// Words are maximal runs of letters, marks and numbers (general categories L, M, N; an underscore parts words). Folding is one character to
// one character: the full folding where that is a single character, else the lower case where that is one, else the character itself.
// The tables come from scripts/make_unicode_tables.py, which says for which version of Unicode.
#pragma once
#include <string>
#include <string_view>

namespace vicino {

bool is_valid_utf8(std::string_view text);

/// The next character of UTF-8 text; `at` moves behind it. A malformed byte counts as U+FFFD, so that damaged text is never read past.
char32_t next_character(std::string_view text, std::size_t& at);

void append_character(std::string& out, char32_t character);

bool is_word_character(char32_t character);
char32_t fold_case(char32_t character);
std::string fold_case(std::string_view text);

/// The words of a text, one after the other, folded.
class WordCursor {
 public:
  explicit WordCursor(std::string_view text) : text_(text) {}
  /// Moves to the next word; false at the end of the text.
  bool next();
  /// Folded; valid until the next call of `next`.
  const std::string& word() const { return word_; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::string word_;
};

}  // namespace vicino
