#include "text/languages.h"

#include <algorithm>
#include <bit>

namespace vicino::text {

namespace {

/// How far another language must lead before a plain ASCII text counts as its: in a few words one of its own is enough, in a sentence two.
constexpr float kLead = 0.5f, kLeadOfSentence = 1.5f;
constexpr std::uint32_t kSentence = 8;
constexpr std::uint32_t kLongText = 16, kWordsPerStopWord = 12;

}  // namespace

void LanguageVotes::add(Script script, LanguageSet stop_words_of, bool is_ascii, bool is_new) {
  ++scripts_[static_cast<std::size_t>(script)];
  ++n_words_;
  is_ascii_ = is_ascii_ && is_ascii;
  if (!stop_words_of) return;
  ++n_stop_words_;
  if (!is_new) return;
  const float vote = 1.0f / static_cast<float>(std::popcount(stop_words_of));
  for (LanguageSet left = stop_words_of; left; left &= left - 1) votes_[static_cast<std::size_t>(std::countr_zero(left))] += vote;
}

std::size_t LanguageVotes::winner(const std::vector<Language>& languages) const {
  // Characters of no script of ours (digits, signs) do not decide.
  std::size_t script = 0;
  for (std::size_t i = 1; i < scripts_.size(); ++i)
    if (scripts_[i] && (script == 0 || scripts_[i] > scripts_[script])) script = i;
  const std::size_t none = languages.size();
  if (script == 0) return none;
  std::size_t best = none, first = none, english = none;
  for (std::size_t i = 0; i < languages.size(); ++i) {
    if (static_cast<std::size_t>(languages[i].script) != script) continue;
    if (first == none) first = i;
    if (languages[i].code == "en") english = i;
    if (votes_[i] > 0 && (best == none || votes_[i] > votes_[best])) best = i;
  }
  if (is_ascii_ && english != none && best != none && votes_[best] <= votes_[english] + (n_words_ < kSentence ? kLead : kLeadOfSentence)) best = english;
  // Function words are a third of any prose; a few chance hits in many words say nothing.
  const bool is_credible = n_words_ < kLongText || n_stop_words_ * kWordsPerStopWord >= n_words_;
  if (best != none && is_credible) return best;
  if (static_cast<Script>(script) != Script::latin) return first;
  return is_ascii_ ? english : none;
}

StopWords::StopWords(const std::vector<Language>& languages) {
  for (std::size_t i = 0; i < languages.size(); ++i)
    for (const auto& word : languages[i].stop_words) words_[word] |= LanguageSet{1} << i;
}

LanguageSet StopWords::of(const std::string& word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? 0 : found->second;
}

}  // namespace vicino::text
