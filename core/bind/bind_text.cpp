#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <tuple>

#include "bind/bind.h"
#include "bind/ids.h"
#include "bind/shard_types.h"
#include "sparse/search.h"
#include "text/analyzer.h"
#include "text/characters.h"
#include "text/normal_form.h"
#include "text/word_break.h"
#include "util/errors.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vicino::bind {

namespace {

using text::Analyzer;
/// slot, boost, k1, b
using Field = std::tuple<std::uint32_t, float, float, float>;

/// The UTF-8 of a str, which lives as long as the str does. Throws for lone surrogates, which no encoding of Unicode holds.
std::string_view utf8_of(nb::handle object, const char* what) {
  if (!PyUnicode_Check(object.ptr()))
    throw InvalidArgument(std::string(what) + " must be str, a list of str or None, got " + nb::type_name(object.type()).c_str());
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (!data) {
    PyErr_Clear();
    throw InvalidArgument(std::string(what) + " holds a lone surrogate, which is no character: " + nb::repr(object).c_str());
  }
  return {data, static_cast<std::size_t>(size)};
}

text::Script script_named(const std::string& name) {
  if (name == "latin") return text::Script::latin;
  if (name == "greek") return text::Script::greek;
  if (name == "cyrillic") return text::Script::cyrillic;
  if (name == "arabic") return text::Script::arabic;
  if (name == "hebrew") return text::Script::hebrew;
  if (name == "devanagari") return text::Script::devanagari;
  return text::Script::other;
}

template <class Value>
Value one_of(const std::string& name, std::initializer_list<std::pair<const char*, Value>> values, const char* what) {
  for (const auto& [known, value] : values)
    if (name == known) return value;
  throw InvalidArgument(std::string(what) + " \"" + name + "\" is not known to the core");
}


/// An analyzer with a lock. It is taken without the GIL, because stemming takes the GIL while the lock is held.
class TextAnalyzer {
 public:
  TextAnalyzer(const std::string& tokenizer, const std::string& accents, bool possessives, std::pair<std::uint32_t, std::uint32_t> grams,
               const nb::list& languages, bool detects, bool leaves_stop_words_out, std::tuple<float, float, float, float> weights, nb::object stem)
      : stem_(std::move(stem)) {
    using enum text::Tokenizer;
    text::Rules rules;
    rules.words.tokenizer = one_of<text::Tokenizer>(
        tokenizer, {{"words", words}, {"code", code}, {"keyword", keyword}, {"ngram", ngram}, {"edge", edge}}, "tokenizer");
    rules.words.accents =
        one_of<text::Accents>(accents, {{"no", text::Accents::keep}, {"yes", text::Accents::fold}, {"both", text::Accents::both}}, "accents");
    rules.words.possessives = possessives;
    rules.words.gram_min = grams.first;
    rules.words.gram_max = grams.second;
    rules.detects = detects;
    rules.leaves_stop_words_out = leaves_stop_words_out;
    std::tie(rules.folded_weight, rules.whole_weight, rules.character_weight, rules.foreign_weight) = weights;
    for (const nb::handle row : languages) {
      text::Language language;
      language.code = nb::cast<std::string>(row[0]);
      language.script = script_named(nb::cast<std::string>(row[1]));
      language.stop_words = nb::cast<std::vector<std::string>>(row[2]);
      language.stems = nb::cast<bool>(row[3]);
      language.folds_accents = nb::cast<bool>(row[4]);
      rules.languages.push_back(std::move(language));
    }
    if (rules.languages.size() > text::kLanguagesMax)
      throw InvalidArgument("an analyzer knows at most " + std::to_string(text::kLanguagesMax) + " languages, got " +
                            std::to_string(rules.languages.size()));
    analyzer_ = std::make_unique<Analyzer>(std::move(rules), [this](std::size_t language, const std::vector<std::string>& words) {
      nb::gil_scoped_acquire gil;
      return nb::cast<std::vector<std::string>>(stem_(code_of(language), words));
    });
  }

  nb::tuple analyze(nb::handle texts, bool positions) {
    const nb::object sequence = nb::steal(PySequence_Fast(texts.ptr(), "texts must be a list"));
    if (!sequence) throw nb::python_error();
    const auto size = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence.ptr()));
    std::vector<text::Document> documents(size);
    std::vector<nb::object> owners;
    auto* present = new bool[size ? size : 1];
    nb::capsule present_owner(present, [](void* data) noexcept { delete[] static_cast<bool*>(data); });
    for (std::size_t i = 0; i < size; ++i) {
      const nb::handle item = PySequence_Fast_GET_ITEM(sequence.ptr(), static_cast<Py_ssize_t>(i));
      owners.push_back(nb::borrow(item));
      present[i] = documents[i].present = !item.is_none();
      if (item.is_none()) continue;
      if (PyUnicode_Check(item.ptr()) || (!PyList_Check(item.ptr()) && !PyTuple_Check(item.ptr()))) {
        documents[i].items.push_back(utf8_of(item, "a text"));
        continue;
      }
      for (const nb::handle part : item) {
        owners.push_back(nb::borrow(part));
        documents[i].items.push_back(utf8_of(part, "an item of a text"));
      }
    }
    auto values = std::make_unique<text::Values>();
    {
      nb::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      analyzer_->analyze(documents, positions, *values);
    }
    const nb::bytes data(values->data.data(), values->data.size());
    const nb::object languages = codes(values->languages);
    auto* held = values.release();
    nb::capsule owner(held, [](void* pointer) noexcept { delete static_cast<text::Values*>(pointer); });
    std::string().swap(held->data);
    using Offsets = nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>;
    using Present = nb::ndarray<nb::numpy, bool, nb::ndim<1>>;
    return nb::make_tuple(data, Offsets(held->offsets.data(), {held->offsets.size()}, owner), Present(present, {size}, present_owner), languages);
  }

  /// The words of a query of one field, any of which may be met; None when nothing is left of it.
  nb::object words_query(nb::handle source, const std::vector<std::string>& languages, const Field& field) {
    const std::string_view utf8 = utf8_of(source, "a query");
    const text::LanguageSet through = set_of(languages);
    TextQuery query;
    {
      nb::gil_scoped_release release;
      query = words_of(utf8, through, field);
    }
    return query.root.words.empty() ? nb::none() : nb::cast(std::move(query));
  }

  /// The same, searched at once: Python's part of a query of words takes as long as the search where it asks for the two one after the other.
  nb::tuple search_words(const Snapshot& snapshot, nb::handle source, const std::vector<std::string>& languages, const Field& field, std::size_t k,
                         const Matches* matches, const Cancel& cancel) {
    const std::string_view utf8 = utf8_of(source, "a query");
    const text::LanguageSet through = set_of(languages);
    expect_matches(snapshot, matches, k);
    ValueOutcome outcome;
    {
      nb::gil_scoped_release release;
      const TextQuery query = words_of(utf8, through, field);
      if (!query.root.words.empty()) outcome = snapshot.search_text(query, k, matches, cancel);
    }
    nb::list ids, distances;
    std::vector<std::int64_t> locators;
    locators.reserve(outcome.hits.size());
    for (const SparseHit& hit : outcome.hits) {
      locators.push_back(static_cast<std::int64_t>(hit.row));
      ids.append(decode_id(snapshot.id(locators.back())));
      distances.append(-static_cast<double>(hit.score));
    }
    std::uint64_t scored = 0;
    for (const EntryStats& entry : outcome.stats) scored += entry.rows_scored;
    return nb::make_tuple(ids, to_array(std::move(locators)), distances, scored);
  }

  nb::list query(nb::handle source, const std::vector<std::string>& languages) {
    const std::string_view utf8 = utf8_of(source, "a query");
    const text::LanguageSet through = set_of(languages);
    std::vector<text::QueryWord> words;
    std::unique_lock lock(mutex_, std::defer_lock);
    {
      nb::gil_scoped_release release;
      lock.lock();
      words = analyzer_->query(utf8, through);
    }
    // The terms are the analyzer's own memory until the lock goes.
    nb::list out;
    for (const text::QueryWord& word : words) {
      nb::list forms;
      for (const auto& form : word.forms) forms.append(nb::make_tuple(nb::bytes(form.term.data(), form.term.size()), form.weight));
      out.append(nb::make_tuple(word.position, forms));
    }
    return out;
  }

  nb::list spans(nb::handle source, const std::vector<std::string>& languages) {
    const std::string_view utf8 = utf8_of(source, "a text");
    const text::LanguageSet through = set_of(languages);
    std::vector<text::Span> found;
    std::unique_lock lock(mutex_, std::defer_lock);
    {
      nb::gil_scoped_release release;
      lock.lock();
      found = analyzer_->spans(utf8, through);
    }
    nb::list out;
    for (const text::Span& span : found) {
      nb::list terms;
      for (const std::string_view term : span.terms) terms.append(nb::bytes(term.data(), term.size()));
      out.append(nb::make_tuple(span.begin, span.end, terms));
    }
    return out;
  }

  std::string language_of(nb::handle source) {
    const std::string_view utf8 = utf8_of(source, "a text");
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    return code_of(analyzer_->language_of(utf8));
  }

 private:
  /// Called without the GIL.
  TextQuery words_of(std::string_view utf8, text::LanguageSet through, const Field& field) {
    const auto& [slot, boost, k1, b] = field;
    TextQuery query;
    query.fields.push_back({slot, boost, k1, b});
    const std::lock_guard lock(mutex_);
    for (const text::QueryWord& word : analyzer_->query(utf8, through)) {
      auto& forms = query.root.words.emplace_back();
      for (const auto& form : word.forms) forms.push_back({0, std::string(form.term), form.weight});
    }
    return query;
  }

  std::string code_of(std::size_t language) const {
    const auto& languages = analyzer_->rules().languages;
    return language < languages.size() ? languages[language].code : "und";
  }

  nb::object codes(text::LanguageSet set) const {
    nb::set found;
    for (std::size_t i = 0; i <= analyzer_->rules().languages.size(); ++i)
      if (set >> i & 1) found.add(nb::str(code_of(i).c_str()));
    return nb::steal(PyFrozenSet_New(found.ptr()));
  }

  text::LanguageSet set_of(const std::vector<std::string>& names) const {
    text::LanguageSet set = 0;
    for (const std::string& name : names) {
      std::size_t i = 0;
      while (i <= analyzer_->rules().languages.size() && code_of(i) != name) ++i;
      if (i > analyzer_->rules().languages.size()) throw InvalidArgument("this analyzer has no language \"" + name + "\"");
      set |= text::LanguageSet{1} << i;
    }
    return set;
  }

  nb::object stem_;
  std::mutex mutex_;
  std::unique_ptr<Analyzer> analyzer_;
};

std::u32string characters_of(nb::handle source) { return text::to_characters(utf8_of(source, "a text")); }

nb::str str_of(std::u32string_view characters) {
  const std::string utf8 = text::to_utf8(characters);
  return nb::str(utf8.data(), utf8.size());
}

}  // namespace

void bind_text(nb::module_& m) {
  nb::class_<TextAnalyzer>(m, "TextAnalyzer", "Texts to terms. Safe to call from several threads; vicino.text.Analyzer says what the settings mean.")
      .def(nb::init<const std::string&, const std::string&, bool, std::pair<std::uint32_t, std::uint32_t>, const nb::list&, bool, bool,
                    std::tuple<float, float, float, float>, nb::object>(),
           nb::kw_only(), "tokenizer"_a, "accents"_a, "possessives"_a, "grams"_a, "languages"_a, "detects"_a, "leaves_stop_words_out"_a, "weights"_a,
           "stem"_a.none())
      .def("analyze", &TextAnalyzer::analyze, "texts"_a, "positions"_a,
           "(values end to end, uint64 offsets of n + 1, which texts are present, languages used) of texts: str, list of str or None.")
      .def("words_query", &TextAnalyzer::words_query, "text"_a, "languages"_a, "field"_a,
           "The query for any of the words of a text in one field: (slot, boost, k1, b). None when no words are left of it.")
      .def("search_words", &TextAnalyzer::search_words, "snapshot"_a, "text"_a, "languages"_a, "field"_a, "k"_a, "matches"_a.none(), "cancel"_a,
           "(ids, locators, minus the scores, number of records scored) of the k best records that a snapshot has for any of the words of a text "
           "in one field, best first.")
      .def("query", &TextAnalyzer::query, "text"_a, "languages"_a, "[(position, [(term, weight), ...]), ...] of a query's words.")
      .def("spans", &TextAnalyzer::spans, "text"_a, "languages"_a, "[(start, end, terms), ...]: characters of the source and what they became.")
      .def("language_of", &TextAnalyzer::language_of, "text"_a, "The language a text is taken for; `und` for none.");
  m.attr("UNICODE_VERSION") = text::kUnicodeVersion;
  m.def(
      "word_break",
      [](nb::handle source) {
        const std::string_view utf8 = utf8_of(source, "a text");
        std::vector<std::size_t> ends;
        std::size_t character = 0;
        for (std::size_t at = 0; at < utf8.size();) {
          const std::size_t end = text::segment_end(utf8, at);
          for (; at < end; ++at) character += (static_cast<unsigned char>(utf8[at]) & 0xc0) != 0x80;
          ends.push_back(character);
        }
        return ends;
      },
      "text"_a, "The ends of the segments of Unicode's default word break, in characters.");
  m.def(
      "fold_text", [](nb::handle source) { return str_of(text::fold(characters_of(source))); }, "text"_a, "Unicode's NFKC_Casefold of a text.");
  m.def(
      "without_accents", [](nb::handle source) { return str_of(text::without_accents(characters_of(source))); }, "text"_a,
      "A folded text without the accents that people leave out when they type.");
}

}  // namespace vicino::bind
