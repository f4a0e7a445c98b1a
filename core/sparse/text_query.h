// A text query as the engine takes it: words are bytes that an analyzer made, fields are numbered.
//
// A `term` is one word in one or several fields; over several fields it is scored as BM25F: tf and lengths are normalized per field, weighted by
// boost, summed, and saturated once. Everything else combines:
//
//   term      idf * weight * saturated frequency
//   any       the best of its children: forms of one word of which the best counts; each child is scored with the commonest child's idf
//   prefix    any of the terms that begin with the bytes, at most `cap`, the commonest first
//   fuzzy     any of the terms within an edit distance, at most `cap`, nearest first; weight of each: 1 - distance / length of the word
//   phrase    a term whose frequency is the number of matches; its idf is the sum of its words'
//   boolean   the sum of the children that match; a row matches when all of must, none of must_not and at least `minimum` of should match
//   constant  `weight` for every row that the child matches
//   all       `weight` for every row that has one of the fields
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vicino {

struct TextField {
  float k1 = 1.2f, b = 0.75f, boost = 1;
};

enum class TextOp : std::uint8_t { term, any, prefix, fuzzy, phrase, boolean, constant, all };

struct FieldTerm {
  std::uint32_t field = 0;
  std::string bytes;
};

/// One word of a phrase in one field: its distance from the phrase's first word, and the forms that may stand there.
struct PhraseWord {
  std::uint32_t offset = 0;
  std::vector<std::string> forms;
};

struct FieldPhrase {
  std::uint32_t field = 0;
  std::vector<PhraseWord> words;
};

struct TextNode {
  TextOp op = TextOp::boolean;
  float weight = 1;                                  // positive, or any number for constant and all
  std::vector<FieldTerm> terms;                      // term, prefix, fuzzy: each field at most once
  std::vector<FieldPhrase> phrases;                  // phrase: each field at most once
  std::uint32_t slop = 0;                            // phrase
  std::uint32_t distance = 0, prefix_length = 0;     // fuzzy: code points
  std::uint32_t cap = 64;                            // prefix, fuzzy
  std::vector<TextNode> children;                    // any (terms), constant (one)
  std::vector<TextNode> must, should, must_not;      // boolean
  std::uint32_t minimum = 0;                         // boolean: of should; 0 means 1 when there is no must
};

struct TextQuery {
  std::vector<TextField> fields;
  TextNode root;
};

}  // namespace vicino
