// The languages an analyzer knows, and which of them a text is in.
//
// Scripts decide first. Among languages of one script the function words of the text do: each votes for every language that has it as a stop
// word, weighing less the more languages share it. Single letters have no vote: they are as often signs of formulas and code. A plain ASCII
// text is English until another language leads clearly: titles and products hold few function words, and one
// document in a wrong language ranks by rare forms of its words. Other Latin text without function words is of no language; the other scripts
// fall back to the first language of theirs.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/text_tables.h"

namespace vicino::text {

constexpr std::size_t kLanguagesMax = 62;
using LanguageSet = std::uint64_t;  // one bit per language

struct Language {
  std::string code;
  Script script = Script::latin;
  std::vector<std::string> stop_words;  // folded
  bool stems = false;
  bool folds_accents = false;  // people leave accents out as they please: under Accents::both only the folded form is kept
};

/// Votes of the words of one text; a stop word that comes again votes once.
class LanguageVotes {
 public:
  void add(Script script, LanguageSet stop_words_of, bool is_ascii, bool is_new);
  /// Index of the language, or languages.size() for none.
  std::size_t winner(const std::vector<Language>& languages) const;

 private:
  std::array<std::uint32_t, 16> scripts_{};
  std::array<float, kLanguagesMax> votes_{};
  std::uint32_t n_words_ = 0, n_stop_words_ = 0;
  bool is_ascii_ = true;
};

class StopWords {
 public:
  explicit StopWords(const std::vector<Language>& languages);
  /// The languages that have the folded word as a stop word.
  LanguageSet of(const std::string& word) const;

 private:
  std::unordered_map<std::string, LanguageSet> words_;
};

}  // namespace vicino::text
