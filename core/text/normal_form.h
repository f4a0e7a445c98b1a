// Normal forms: what makes two spellings of a word the same term.
//
// `fold` is Unicode's NFKC_Casefold: compatibility forms (full width, ligatures, superscripts) become plain, case is folded in full (ß
// becomes ss), characters without appearance (soft hyphen, joiners) vanish, and the result is composed (NFC).
// `without_accents` takes the marks off letters of Latin, Greek, Cyrillic, Arabic and Hebrew, where people leave them out when they type, and
// replaces letters that hold theirs inside (đ, ø, ł, æ). The marks of Indic and South East Asian scripts are vowels: they stay. So does
// the breve of Cyrillic й, which is a letter of its own on every keyboard.
#pragma once
#include <string>
#include <string_view>

namespace vicino::text {

std::u32string fold(std::u32string_view text);

/// Of text that is folded already.
std::u32string without_accents(std::u32string_view folded);

}  // namespace vicino::text
