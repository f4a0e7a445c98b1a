// From text to words, and from a word to the pieces that become terms, before stemming.
//
// A **word** is a piece of the source: a segment of the word break, or two neighboring characters where a script writes none between its
// words (Chinese, Japanese, Thai, Lao, Khmer, Burmese). Such a pair is also its first character, so that one character can be sought; the last
// of a run is a word by itself. What it is made into depends on its bytes alone,
// so that an analyzer does that once per distinct word. One word may hold several **pieces**, at one position or at several that follow:
// `get_userName` is get, user, name and, at the position of the first, the whole.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/text_tables.h"

namespace vicino::text {

enum class Tokenizer : std::uint8_t { words, code, keyword, ngram, edge };
enum class Accents : std::uint8_t { keep, fold, both };

struct WordRules {
  Tokenizer tokenizer = Tokenizer::words;
  Accents accents = Accents::both;
  bool possessives = true;
  std::uint32_t gram_min = 2, gram_max = 3;  // ngram, edge: characters
};

struct Word {
  std::size_t begin = 0, end = 0;  // bytes of the source
  bool is_plain = false;           // letters and digits of ASCII, as the word break leaves them
};

/// Appends the words of a text, front to back. Those of scripts without spaces overlap. A query's run does not end with its last character: the
/// pair before says more.
void append_words(std::string_view text, const WordRules& rules, bool for_query, std::vector<Word>& words);

/// Where the first character of a run ends, with its marks.
std::size_t character_end(std::string_view run);

/// Whether a word is of a script without spaces.
bool is_of_run(std::string_view word);

enum class Form : std::uint8_t { exact, folded, whole, character };

struct Piece {
  std::u32string text;
  std::uint16_t offset = 0;  // positions behind the word's own
  Form form = Form::exact;
  bool stems = true;
};

struct Pieces {
  std::vector<Piece> pieces;
  std::uint16_t n_positions = 0;  // 0: the word vanishes
  std::u32string normal;          // the folded word: stop words are looked up by it
  Script script = Script::other;
};

/// `for_query`: an edge n-gram is matched by what was typed, so a query word is cut but not taken apart.
Pieces pieces_of(std::string_view word, const WordRules& rules, bool for_query);

/// The term as it is stored: UTF-8; one of more than 255 bytes is cut and carries a hash of all of it, so that it still matches only itself.
std::string term_of(std::u32string_view text);

}  // namespace vicino::text
