// An analyzer: texts to the values a text index stores (sparse/text_value.h), queries to weighted terms, source text to spans.
//
// Everything that a word becomes is worked out once and remembered by the word's bytes, of plain words by their letters (plain_words.h): folding, splitting and
// stemming cost one look into a table for all but the first time. The stemmer is the caller's (`Stemmer`): it is asked once for all unknown words of a batch.
// The memo is bounded; when it is full it begins anew, which changes nothing but time.
//
// Not safe to call from several threads at once: the binding keeps a lock.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/languages.h"
#include "text/plain_words.h"
#include "text/value_writer.h"
#include "text/words.h"
#include "util/string_table.h"

namespace vicino::text {

/// Stems of folded words, in their order, in the language of that index.
using Stemmer = std::function<std::vector<std::string>(std::size_t language, const std::vector<std::string>& words)>;

struct Rules {
  WordRules words;
  std::vector<Language> languages;  // one unless detected
  bool detects = false;             // the language of each text; else all texts are in languages[0], or in none
  bool leaves_stop_words_out = true;  // of queries, unless they hold nothing else; documents keep theirs, for phrases
  float folded_weight = 0.05f, whole_weight = 0.5f, character_weight = 0.15f;
  float foreign_weight = 0.5f;  // of forms in another language than the query's own
};

/// The bytes of one document's value are made of its items; an absent document has none.
struct Document {
  bool present = false;
  std::vector<std::string_view> items;
};

struct Values {
  std::string data;
  std::vector<std::uint64_t> offsets{0};
  LanguageSet languages = 0;  // bit languages.size() for none
};

struct WeightedTerm {
  std::string_view term;
  float weight;
};

struct QueryWord {
  std::uint32_t position;
  std::size_t begin, end;
  std::vector<WeightedTerm> forms;  // heaviest first
};

struct Span {
  std::size_t begin, end;  // characters of the source
  std::vector<std::string_view> terms;
};

class Analyzer {
 public:
  Analyzer(Rules rules, Stemmer stemmer);

  const Rules& rules() const { return rules_; }
  void analyze(std::span<const Document> documents, bool positions, Values& out);
  /// `languages`: all that the words may be in; 0: the one detected. A query of stop words alone keeps them.
  std::vector<QueryWord> query(std::string_view text, LanguageSet languages);
  std::vector<Span> spans(std::string_view text, LanguageSet languages);
  /// The language of a text: an index, or languages.size().
  std::size_t language_of(std::string_view text);

 private:
  static constexpr std::uint32_t kEnd = 0xffffffff;
  struct MemoWord {
    LanguageSet stop_words_of = 0;
    std::uint32_t key = 0;  // in the table of its kind
    Script script = Script::other;
    bool is_plain = false, is_ascii = true;
    bool is_letter = false;  // a single one
  };
  struct TermForm {
    std::uint32_t term;
    std::uint16_t offset;
    Form form;
  };
  /// What is asked of a word each time it occurs, small for the cache's sake.
  struct WordForms {
    std::uint32_t first = 0;    // 1 + index of its first form, 0 while unknown
    std::uint32_t term = kEnd;  // of a word that is one term at its own position
    std::uint16_t n_positions = 0;
    bool is_stop_word = false;
  };
  /// What the words of one memo become in one language.
  struct Forms {
    std::vector<WordForms> words;
    std::vector<TermForm> forms;  // a word's forms end before one with term kEnd
  };
  struct Memo {
    bool is_of_queries = false;
    PlainWords plain;
    std::vector<PlainWords::Key> plain_keys;
    StringTable others;                    // by their bytes
    std::vector<std::uint32_t> of_others;  // their words
    std::vector<MemoWord> words;
    std::vector<std::uint16_t> n_positions;  // of the words, apart for the cache's sake
    std::vector<Forms> languages;
    std::vector<Pieces> fresh;  // of the others that came last, until they have been resolved
    std::size_t size_bytes() const;
  };
  struct Token {
    std::uint32_t word, position;
  };
  struct Placed {
    std::vector<Token> tokens;
    std::vector<Word> words;
    std::uint32_t n_positions = 0;
  };

  /// A plain word of the text being placed.
  struct Sought {
    PlainWords::Key key;
    std::uint64_t hash;
  };

  void forget_when_full();
  std::uint32_t remember_plain(Memo& memo, const Sought& word);
  std::uint32_t remember(Memo& memo, std::string_view word);
  void place(Memo& memo, std::string_view text, std::uint32_t at, Placed& out);
  std::size_t detect(const Memo& memo, std::span<const Token> tokens) const;
  void resolve(Memo& memo, std::size_t language, std::span<const std::uint32_t> words);
  void require(Memo& memo, std::size_t language, std::span<const Token> tokens);
  const TermForm* forms_of(const Memo& memo, std::size_t language, std::uint32_t word) const;
  Pieces pieces_of_word(const Memo& memo, const MemoWord& word) const;
  void write_document(std::span<const Token> tokens, std::size_t language, bool is_present);
  void analyze_slice(std::span<const Document> documents, bool positions, Values& out);
  std::vector<std::size_t> languages_for(LanguageSet languages, const Memo& memo, std::span<const Token> tokens) const;

  Rules rules_;
  Stemmer stemmer_;
  StopWords stop_words_;
  Memo documents_, queries_;
  StringTable terms_;
  ValueWriter writer_;
  std::vector<Sought> sought_;  // scratch
};

}  // namespace vicino::text
