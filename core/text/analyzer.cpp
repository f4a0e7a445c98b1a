#include "text/analyzer.h"

#include <algorithm>
#include <bit>

#include "sparse/text_value.h"
#include "text/characters.h"

namespace vicino::text {

namespace {

constexpr std::uint32_t kEnd = 0xffffffff;
/// Positions between the items of one document, so that no phrase runs over them.
constexpr std::uint32_t kItemGap = 100;
constexpr std::size_t kMemoBytesMax = std::size_t{96} << 20;
/// Documents are placed and written in slices of about this much text, so that what is held between is small.
constexpr std::size_t kSliceBytes = std::size_t{1} << 20;
/// The language of a text is clear after this many words.
constexpr std::size_t kWordsDetected = 512;

std::uint64_t start_of(std::string_view term) {
  std::uint64_t start = 0;
  for (std::size_t i = 0; i < 8; ++i) start = start << 8 | (i < term.size() ? static_cast<unsigned char>(term[i]) : 0);
  return start;
}

}  // namespace

Analyzer::Analyzer(Rules rules, Stemmer stemmer) : rules_(std::move(rules)), stemmer_(std::move(stemmer)), stop_words_(rules_.languages) {}

void Analyzer::forget_when_full() {
  if (documents_.size_bytes + queries_.size_bytes + documents_.keys.size_bytes() + queries_.keys.size_bytes() + terms_.size_bytes() < kMemoBytesMax) return;
  documents_ = {};
  queries_ = {};
  terms_ = {};
  term_starts_.clear();
}

std::uint32_t Analyzer::term_id(const std::string& term) {
  const std::uint32_t id = terms_.add(term);
  if (id == term_starts_.size()) term_starts_.push_back(start_of(term));
  return id;
}

std::uint32_t Analyzer::remember(Memo& memo, std::string_view word, bool for_query) {
  const std::uint32_t id = memo.keys.add(word);
  if (id < memo.words.size()) return id;
  MemoWord entry;
  entry.pieces = pieces_of(word, rules_.words, for_query);
  entry.stop_words_of = stop_words_.of(to_utf8(entry.pieces.normal));
  entry.is_ascii = std::all_of(word.begin(), word.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  memo.size_bytes += sizeof(MemoWord) + 4 * entry.pieces.normal.size();
  for (const Piece& piece : entry.pieces.pieces) memo.size_bytes += sizeof(Piece) + sizeof(TermForm) + 4 * piece.text.size();
  memo.n_positions.push_back(entry.pieces.n_positions);
  memo.words.push_back(std::move(entry));
  return id;
}

void Analyzer::place(Memo& memo, std::string_view text, std::uint32_t at, bool for_query, Placed& out) {
  const std::size_t before = out.words.size();
  append_words(text, rules_.words, for_query, out.words);
  // All words of a text wait for memory together.
  for (std::size_t i = before; i < out.words.size(); ++i)
    memo.keys.prefetch(StringTable::hash_of(text.substr(out.words[i].begin, out.words[i].end - out.words[i].begin)));
  for (std::size_t i = before; i < out.words.size(); ++i) {
    const Word& word = out.words[i];
    const std::uint32_t id = remember(memo, text.substr(word.begin, word.end - word.begin), for_query);
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
    const LanguageSet stop_words_of = word.pieces.normal.size() > 1 ? word.stop_words_of : 0;
    const bool is_new = stop_words_of && std::find(seen.begin(), seen.end(), token.word) == seen.end();
    if (is_new) seen.push_back(token.word);
    votes.add(word.pieces.script, stop_words_of, word.is_ascii, is_new);
  }
  return votes.winner(rules_.languages);
}

const Analyzer::TermForm* Analyzer::forms_of(const Memo& memo, std::size_t language, std::uint32_t word) const {
  const Forms& forms = memo.languages[language];
  return forms.forms.data() + (forms.words[word].first - 1);
}

void Analyzer::resolve(Memo& memo, std::size_t language, std::span<const std::uint32_t> words) {
  const bool is_known = language < rules_.languages.size();
  const bool stems = is_known && rules_.languages[language].stems;
  const bool folds = is_known && rules_.languages[language].folds_accents && rules_.words.accents == Accents::both;
  std::vector<std::string> asked, stemmed;
  if (stems) {
    for (const std::uint32_t word : words)
      for (const Piece& piece : memo.words[word].pieces.pieces)
        if (piece.stems) asked.push_back(to_utf8(piece.text));
    if (!asked.empty()) stemmed = stemmer_(language, asked);
    if (stemmed.size() != asked.size())
      throw InvalidArgument("the stemmer was given " + std::to_string(asked.size()) + " words and returned " + std::to_string(stemmed.size()));
  }
  Forms& forms = memo.languages[language];
  std::size_t next = 0;
  for (const std::uint32_t word : words) {
    forms.words[word] = {static_cast<std::uint32_t>(forms.forms.size() + 1), memo.words[word].pieces.n_positions, (memo.words[word].stop_words_of >> language & 1) != 0};
    const std::size_t begin = forms.forms.size();
    const auto& pieces = memo.words[word].pieces.pieces;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Piece& piece = pieces[i];
      const bool is_stemmed = stems && piece.stems;
      const std::string& text = is_stemmed ? stemmed[next++] : std::string();
      const std::string term = is_stemmed && !text.empty() ? term_of(to_characters(text)) : term_of(piece.text);
      // A piece's folded form follows it where it has one; in such a language that is the word itself.
      if (folds && i + 1 < pieces.size() && pieces[i + 1].form == Form::folded && piece.form != Form::folded) continue;
      const TermForm form{term_id(term), piece.offset, folds && piece.form == Form::folded ? Form::exact : piece.form};
      const bool is_new = std::none_of(forms.forms.begin() + static_cast<std::ptrdiff_t>(begin), forms.forms.end(),
                                       [&](const TermForm& other) { return other.term == form.term && other.offset == form.offset; });
      if (is_new) forms.forms.push_back(form);
    }
    forms.forms.push_back({kEnd, 0, Form::exact});
    memo.size_bytes += sizeof(TermForm);
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

void Analyzer::append_value(std::span<const Token> tokens, std::size_t language, bool positions, std::string& out) {
  occurrences_.clear();
  std::uint32_t length = 0;
  const Forms& forms = documents_.languages[language];
  for (const Token& token : tokens) {
    const WordForms word = forms.words[token.word];
    // Stop words say nothing of how much a text holds: they are kept for phrases and not counted.
    if (!(rules_.leaves_stop_words_out && word.is_stop_word)) length += word.n_positions;
    for (const TermForm* form = forms.forms.data() + (word.first - 1); form->term != kEnd; ++form)
      occurrences_.push_back(std::uint64_t{form->term} << 32 | (token.position + form->offset));
  }
  std::sort(occurrences_.begin(), occurrences_.end());
  struct Group {
    std::uint64_t start;
    std::uint32_t term, first, last;
  };
  static thread_local std::vector<Group> groups;
  groups.clear();
  for (std::uint32_t i = 0; i < occurrences_.size();) {
    const auto term = static_cast<std::uint32_t>(occurrences_[i] >> 32);
    const std::uint32_t first = i;
    while (i < occurrences_.size() && occurrences_[i] >> 32 == term) ++i;
    groups.push_back({term_starts_[term], term, first, i});
  }
  std::sort(groups.begin(), groups.end(),
            [&](const Group& a, const Group& b) { return a.start != b.start ? a.start < b.start : terms_[a.term] < terms_[b.term]; });
  out.push_back(static_cast<char>(positions ? kTextHasPositions : 0));
  append_varint(out, length);
  append_varint(out, static_cast<std::uint32_t>(groups.size()));
  for (const Group& group : groups) {
    const std::string_view term = terms_[group.term];
    append_varint(out, static_cast<std::uint32_t>(term.size()));
    out.append(term);
    append_varint(out, group.last - group.first);
    std::uint32_t before = 0;
    for (std::uint32_t i = group.first; positions && i < group.last; ++i) {
      const auto position = static_cast<std::uint32_t>(occurrences_[i]);
      append_varint(out, position - before);
      before = position;
    }
  }
}

void Analyzer::analyze_slice(std::span<const Document> documents, bool positions, Values& out) {
  forget_when_full();
  Placed placed;
  std::vector<std::size_t> bounds{0}, languages;
  for (const Document& document : documents) {
    std::uint32_t at = 0;
    for (const std::string_view item : document.items) {
      place(documents_, item, at, false, placed);
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
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto own = std::span<const Token>(placed.tokens).subspan(bounds[i], bounds[i + 1] - bounds[i]);
    if (documents[i].present) append_value(own, languages[i], positions, out.data);
    out.offsets.push_back(out.data.size());
  }
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
  place(queries_, text, 0, true, placed);
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
    for (std::uint32_t offset = 0; offset < queries_.words[token.word].pieces.n_positions; ++offset)
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
  place(documents_, text, 0, false, placed);
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
    const auto [begin, end] = placed.words[i];
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
  place(documents_, text, 0, false, placed);
  return detect(documents_, placed.tokens);
}

}  // namespace vicino::text
