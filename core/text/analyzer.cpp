#include "text/analyzer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "text/characters.h"
#include "util/errors.h"

namespace vicino::text {

namespace {

/// Positions between the items of one document, so that no phrase runs over them.
constexpr std::uint32_t kItemGap = 100;
constexpr std::size_t kMemoBytesMax = std::size_t{96} << 20;
/// Documents are placed and written in slices of about this much text, so that what is held between is small.
constexpr std::size_t kSliceBytes = std::size_t{2} << 20;
/// The language of a text is clear after this many words.
constexpr std::size_t kWordsDetected = 512;

bool has_capitals(std::string_view word) { return std::any_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }); }

}  // namespace

Analyzer::Analyzer(Rules rules, Stemmer stemmer) : rules_(std::move(rules)), stemmer_(std::move(stemmer)), stop_words_(rules_.languages) {
  queries_.is_of_queries = true;
}

std::size_t Analyzer::Memo::size_bytes() const {
  std::size_t size = plain.size_bytes() + others.size_bytes() + plain_keys.size() * sizeof(PlainWords::Key);
  size += words.size() * (sizeof(MemoWord) + sizeof(std::uint16_t)) + of_others.size() * sizeof(std::uint32_t);
  for (const Forms& each : languages) size += each.words.size() * sizeof(WordForms) + each.forms.size() * sizeof(TermForm);
  return size;
}

void Analyzer::forget_when_full() {
  documents_.fresh.clear();
  queries_.fresh.clear();
  if (documents_.size_bytes() + queries_.size_bytes() + terms_.size_bytes() < kMemoBytesMax) return;
  documents_ = {};
  queries_ = {};
  queries_.is_of_queries = true;
  terms_ = {};
}

std::uint32_t Analyzer::remember_plain(Memo& memo, const Sought& sought) {
  const std::uint32_t known = memo.plain.find(sought.key, sought.hash);
  if (known != PlainWords::kNone) return known;
  const auto id = static_cast<std::uint32_t>(memo.words.size());
  const std::string word = PlainWords::text_of(sought.key);
  MemoWord entry;
  entry.stop_words_of = stop_words_.of(word);
  entry.key = static_cast<std::uint32_t>(memo.plain_keys.size());
  entry.script = info_of(static_cast<unsigned char>(word[0])).script();
  entry.is_plain = true;
  entry.is_letter = word.size() == 1;
  memo.plain_keys.push_back(sought.key);
  memo.plain.add(sought.key, sought.hash, id);
  memo.words.push_back(entry);
  memo.n_positions.push_back(1);
  return id;
}

std::uint32_t Analyzer::remember(Memo& memo, std::string_view word) {
  const std::uint32_t key = memo.others.add(word);
  if (key < memo.of_others.size()) return memo.of_others[key];
  const auto id = static_cast<std::uint32_t>(memo.words.size());
  Pieces pieces = pieces_of(word, rules_.words, memo.is_of_queries);
  MemoWord entry;
  entry.stop_words_of = stop_words_.of(to_utf8(pieces.normal));
  entry.key = key;
  entry.script = pieces.script;
  entry.is_ascii = std::all_of(word.begin(), word.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  entry.is_letter = pieces.normal.size() <= 1;
  memo.of_others.push_back(id);
  memo.words.push_back(entry);
  memo.n_positions.push_back(pieces.n_positions);
  memo.fresh.push_back(std::move(pieces));
  return id;
}

void Analyzer::place(Memo& memo, std::string_view text, std::uint32_t at, Placed& out) {
  const std::size_t before = out.words.size();
  append_words(text, rules_.words, memo.is_of_queries, out.words);
  // All words of a text wait for memory together.
  sought_.resize(out.words.size() - before);
  for (std::size_t i = before; i < out.words.size(); ++i) {
    Word& word = out.words[i];
    const std::size_t size = word.end - word.begin;
    word.is_plain = word.is_plain && rules_.words.tokenizer == Tokenizer::words && size <= PlainWords::kBytesMax;
    // For the vote on a language a word and its capitalized form are two.
    word.is_plain = word.is_plain && !(rules_.detects && has_capitals(text.substr(word.begin, size)));
    if (word.is_plain) {
      Sought& sought = sought_[i - before];
      sought.key = PlainWords::key_of(text.substr(word.begin), size);
      sought.hash = PlainWords::hash_of(sought.key);
      memo.plain.prefetch(sought.hash);
    } else {
      memo.others.prefetch(StringTable::hash_of(text.substr(word.begin, size)));
    }
  }
  for (std::size_t i = before; i < out.words.size(); ++i) {
    const Word& word = out.words[i];
    const std::uint32_t id = word.is_plain ? remember_plain(memo, sought_[i - before]) : remember(memo, text.substr(word.begin, word.end - word.begin));
    out.tokens.push_back({id, at});
    at += memo.n_positions[id];
  }
  out.n_positions = at;
}

std::size_t Analyzer::detect(const Memo& memo, std::span<const Token> tokens) const {
  if (!rules_.detects) return rules_.languages.empty() ? rules_.languages.size() : 0;
  LanguageVotes votes;
  static thread_local std::vector<std::uint32_t> seen;
  seen.clear();
  for (const Token& token : tokens.first(std::min(tokens.size(), kWordsDetected))) {
    const MemoWord& word = memo.words[token.word];
    const LanguageSet stop_words_of = word.is_letter ? 0 : word.stop_words_of;
    const bool is_new = stop_words_of && std::find(seen.begin(), seen.end(), token.word) == seen.end();
    if (is_new) seen.push_back(token.word);
    votes.add(word.script, stop_words_of, word.is_ascii, is_new);
  }
  return votes.winner(rules_.languages);
}

const Analyzer::TermForm* Analyzer::forms_of(const Memo& memo, std::size_t language, std::uint32_t word) const {
  const Forms& forms = memo.languages[language];
  return forms.forms.data() + (forms.words[word].first - 1);
}

Pieces Analyzer::pieces_of_word(const Memo& memo, const MemoWord& word) const {
  if (word.is_plain) {
    Pieces plain;
    plain.pieces.push_back({to_characters(PlainWords::text_of(memo.plain_keys[word.key])), 0, Form::exact, true});
    plain.n_positions = 1;
    return plain;
  }
  const std::size_t first_fresh = memo.of_others.size() - memo.fresh.size();
  return word.key >= first_fresh ? memo.fresh[word.key - first_fresh] : pieces_of(memo.others[word.key], rules_.words, memo.is_of_queries);
}

void Analyzer::resolve(Memo& memo, std::size_t language, std::span<const std::uint32_t> words) {
  const bool is_known = language < rules_.languages.size();
  const bool stems = is_known && rules_.languages[language].stems;
  const bool folds = is_known && rules_.languages[language].folds_accents && rules_.words.accents == Accents::both;
  std::vector<Pieces> pieces_of_words(words.size());
  std::vector<std::string> asked, stemmed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const MemoWord& word = memo.words[words[i]];
    if (word.is_plain && stems) {
      asked.push_back(PlainWords::text_of(memo.plain_keys[word.key]));
      continue;
    }
    pieces_of_words[i] = pieces_of_word(memo, word);
    for (const Piece& piece : pieces_of_words[i].pieces)
      if (stems && piece.stems) asked.push_back(to_utf8(piece.text));
  }
  if (!asked.empty()) stemmed = stemmer_(language, asked);
  if (stemmed.size() != asked.size())
    throw InvalidArgument("the stemmer was given " + std::to_string(asked.size()) + " words and returned " + std::to_string(stemmed.size()));
  Forms& forms = memo.languages[language];
  std::size_t next = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t word = words[i];
    WordForms& known = forms.words[word];
    known = {static_cast<std::uint32_t>(forms.forms.size() + 1), kEnd, memo.n_positions[word], (memo.words[word].stop_words_of >> language & 1) != 0};
    const std::size_t begin = forms.forms.size();
    if (memo.words[word].is_plain && stems) {
      const std::string& term = stemmed[next].empty() ? asked[next] : stemmed[next];
      ++next;
      forms.forms.push_back({terms_.add(term), 0, Form::exact});
    }
    const auto& pieces = pieces_of_words[i].pieces;
    for (std::size_t k = 0; k < pieces.size(); ++k) {
      const Piece& piece = pieces[k];
      const bool is_stemmed = stems && piece.stems;
      const std::string& text = is_stemmed ? stemmed[next++] : std::string();
      const std::string term = is_stemmed && !text.empty() ? term_of(to_characters(text)) : term_of(piece.text);
      // A piece's folded form follows it where it has one; in such a language that is the word itself.
      if (folds && k + 1 < pieces.size() && pieces[k + 1].form == Form::folded && piece.form != Form::folded) continue;
      const TermForm form{terms_.add(term), piece.offset, folds && piece.form == Form::folded ? Form::exact : piece.form};
      const bool is_new = std::none_of(forms.forms.begin() + static_cast<std::ptrdiff_t>(begin), forms.forms.end(),
                                       [&](const TermForm& other) { return other.term == form.term && other.offset == form.offset; });
      if (is_new) forms.forms.push_back(form);
    }
    if (forms.forms.size() == begin + 1 && forms.forms[begin].offset == 0) known.term = forms.forms[begin].term;
    forms.forms.push_back({kEnd, 0, Form::exact});
  }
}

void Analyzer::require(Memo& memo, std::size_t language, std::span<const Token> tokens) {
  if (memo.languages.size() <= language) memo.languages.resize(rules_.languages.size() + 1);
  Forms& forms = memo.languages[language];
  forms.words.resize(memo.words.size());
  std::vector<std::uint32_t> unknown;
  for (const Token& token : tokens) {
    if (forms.words[token.word].first) continue;
    forms.words[token.word].first = kEnd;  // asked for
    unknown.push_back(token.word);
  }
  if (unknown.empty()) return;
  try {
    resolve(memo, language, unknown);
  } catch (...) {
    for (const std::uint32_t word : unknown) forms.words[word].first = 0;
    throw;
  }
}

void Analyzer::write_document(std::span<const Token> tokens, std::size_t language, bool is_present) {
  std::uint32_t length = 0;
  const Forms& forms = documents_.languages[language];
  for (const Token& token : tokens) {
    const WordForms word = forms.words[token.word];
    // Stop words say nothing of how much a text holds: they are kept for phrases and not counted.
    if (!(rules_.leaves_stop_words_out && word.is_stop_word)) length += word.n_positions;
    if (word.term != kEnd) {
      writer_.add(word.term, token.position);
      continue;
    }
    for (const TermForm* form = forms.forms.data() + (word.first - 1); form->term != kEnd; ++form) writer_.add(form->term, token.position + form->offset);
  }
  writer_.end_document(is_present, length);
}

void Analyzer::analyze_slice(std::span<const Document> documents, bool positions, Values& out) {
  forget_when_full();
  Placed placed;
  std::vector<std::size_t> bounds{0}, languages;
  for (const Document& document : documents) {
    std::uint32_t at = 0;
    for (const std::string_view item : document.items) {
      place(documents_, item, at, placed);
      at = placed.n_positions + kItemGap;
    }
    placed.words.clear();
    const auto tokens = std::span<const Token>(placed.tokens).subspan(bounds.back());
    languages.push_back(detect(documents_, tokens));
    if (document.present) out.languages |= LanguageSet{1} << languages.back();
    bounds.push_back(placed.tokens.size());
  }
  // All unknown words of a language go to the stemmer at once.
  LanguageSet present = 0;
  for (const std::size_t language : languages) present |= LanguageSet{1} << language;
  std::vector<Token> tokens;
  for (; present; present &= present - 1) {
    const auto language = static_cast<std::size_t>(std::countr_zero(present));
    tokens.clear();
    for (std::size_t i = 0; i < documents.size(); ++i)
      if (languages[i] == language)
        tokens.insert(tokens.end(), placed.tokens.begin() + static_cast<std::ptrdiff_t>(bounds[i]),
                      placed.tokens.begin() + static_cast<std::ptrdiff_t>(bounds[i + 1]));
    require(documents_, language, tokens);
  }
  writer_.begin(terms_);
  for (std::size_t i = 0; i < documents.size(); ++i)
    write_document(std::span<const Token>(placed.tokens).subspan(bounds[i], bounds[i + 1] - bounds[i]), languages[i], documents[i].present);
  writer_.write(positions, out.data, out.offsets);
}

void Analyzer::analyze(std::span<const Document> documents, bool positions, Values& out) {
  std::size_t begin = 0, size = 0, all = 0;
  for (const Document& document : documents)
    for (const std::string_view item : document.items) all += item.size();
  out.data.reserve(all + all / 4);  // values are about as long as the texts, and growing would copy them over and over
  for (std::size_t i = 0; i < documents.size(); ++i) {
    for (const std::string_view item : documents[i].items) size += item.size();
    if (size < kSliceBytes) continue;
    analyze_slice(documents.subspan(begin, i + 1 - begin), positions, out);
    begin = i + 1;
    size = 0;
  }
  analyze_slice(documents.subspan(begin), positions, out);
}

std::vector<std::size_t> Analyzer::languages_for(LanguageSet languages, const Memo& memo, std::span<const Token> tokens) const {
  std::vector<std::size_t> found;
  if (!rules_.detects || languages == 0) return {detect(memo, tokens)};
  for (; languages; languages &= languages - 1) found.push_back(static_cast<std::size_t>(std::countr_zero(languages)));
  return found;
}

std::vector<QueryWord> Analyzer::query(std::string_view text, LanguageSet languages) {
  forget_when_full();
  Placed placed;
  place(queries_, text, 0, placed);
  const std::vector<std::size_t> through = languages_for(languages, queries_, placed.tokens);
  for (const std::size_t language : through) require(queries_, language, placed.tokens);
  const std::size_t own = detect(queries_, placed.tokens);
  const auto is_stop_word = [&](const Token& token) {
    return rules_.leaves_stop_words_out && own < rules_.languages.size() && (queries_.words[token.word].stop_words_of >> own & 1);
  };
  const bool keeps_all = std::all_of(placed.tokens.begin(), placed.tokens.end(), is_stop_word);
  const auto weight_of = [&](Form form) {
    switch (form) {
      case Form::folded: return rules_.folded_weight;
      case Form::whole: return rules_.whole_weight;
      case Form::character: return rules_.character_weight;
      default: return 1.0f;
    }
  };
  std::vector<QueryWord> out;
  for (std::size_t i = 0; i < placed.tokens.size(); ++i) {
    const Token& token = placed.tokens[i];
    if (!keeps_all && is_stop_word(token)) continue;
    const std::size_t begin = out.size();
    for (std::uint32_t offset = 0; offset < queries_.n_positions[token.word]; ++offset)
      out.push_back({token.position + offset, placed.words[i].begin, placed.words[i].end, {}});
    for (const std::size_t language : through) {
      for (const TermForm* form = forms_of(queries_, language, token.word); form->term != kEnd; ++form) {
        auto& forms = out[begin + form->offset].forms;
        const std::string_view term = terms_[form->term];
        const auto same = std::find_if(forms.begin(), forms.end(), [&](const WeightedTerm& other) { return other.term == term; });
        const float weight = weight_of(form->form) * (language == own || own == rules_.languages.size() ? 1.0f : rules_.foreign_weight);
        if (same == forms.end()) forms.push_back({term, weight});
        else same->weight = std::max(same->weight, weight);
      }
    }
  }
  std::erase_if(out, [](const QueryWord& word) { return word.forms.empty(); });
  for (QueryWord& word : out)
    std::stable_sort(word.forms.begin(), word.forms.end(), [](const WeightedTerm& a, const WeightedTerm& b) { return a.weight > b.weight; });
  return out;
}

std::vector<Span> Analyzer::spans(std::string_view text, LanguageSet languages) {
  forget_when_full();
  Placed placed;
  place(documents_, text, 0, placed);
  const std::vector<std::size_t> through = languages_for(languages, documents_, placed.tokens);
  for (const std::size_t language : through) require(documents_, language, placed.tokens);
  std::vector<Span> out;
  std::size_t byte = 0, character = 0;
  const auto characters_to = [&](std::size_t end) {
    // Words of a run overlap: the next may begin before the last one ended.
    for (; byte > end; --byte) character -= (static_cast<unsigned char>(text[byte - 1]) & 0xc0) != 0x80;
    for (; byte < end; ++byte) character += (static_cast<unsigned char>(text[byte]) & 0xc0) != 0x80;
    return character;
  };
  for (std::size_t i = 0; i < placed.tokens.size(); ++i) {
    const std::size_t begin = placed.words[i].begin, end = placed.words[i].end;
    const std::string_view word = text.substr(begin, end - begin);
    const std::size_t first = is_of_run(word) ? begin + character_end(word) : end;
    const std::size_t at = characters_to(begin), until_first = characters_to(first);
    Span character{at, until_first, {}}, span{at, characters_to(end), {}};
    for (const std::size_t language : through) {
      for (const TermForm* form = forms_of(documents_, language, placed.tokens[i].word); form->term != kEnd; ++form) {
        auto& terms = form->form == Form::character ? character.terms : span.terms;
        if (std::find(terms.begin(), terms.end(), terms_[form->term]) == terms.end()) terms.push_back(terms_[form->term]);
      }
    }
    if (!character.terms.empty()) out.push_back(std::move(character));
    if (!span.terms.empty()) out.push_back(std::move(span));
  }
  return out;
}

std::size_t Analyzer::language_of(std::string_view text) {
  forget_when_full();
  Placed placed;
  place(documents_, text, 0, placed);
  return detect(documents_, placed.tokens);
}

}  // namespace vicino::text
