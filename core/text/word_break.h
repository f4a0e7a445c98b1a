// Where words end: Unicode Standard Annex 29, default word boundaries, all rules.
//
// No rule looks behind the boundary that begins a segment, so a text is cut front to back, segment by segment, without state.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vicino::text {

/// What a byte of a text means for the words of ASCII around it.
enum class AsciiKind : std::uint8_t {
  ends,        // a word ends before it, whatever follows
  mid,         // joins what is on its two sides, if that fits
  wide,        // not ASCII
  joins,       // a letter or digit
  underscore,  // joins as well
};

constexpr std::array<AsciiKind, 256> kAsciiKinds = [] {
  std::array<AsciiKind, 256> kinds{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool joins = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool mid = c == '\'' || c == '.' || c == ',' || c == ':' || c == ';';
    kinds[c] = c >= 0x80 ? AsciiKind::wide : joins ? AsciiKind::joins : c == '_' ? AsciiKind::underscore : mid ? AsciiKind::mid : AsciiKind::ends;
  }
  return kinds;
}();
inline AsciiKind ascii_kind(std::string_view text, std::size_t at) { return kAsciiKinds[static_cast<unsigned char>(text[at])]; }

/// A segment of ASCII letters, digits and underscores.
struct AsciiSegment {
  std::size_t end = 0;  // 0: there is none that ends like that
  bool is_plain = true;  // no underscore
};

/// The segment at `begin` if it is of these alone, which is seen without looking at the classes of characters.
inline AsciiSegment ascii_segment(std::string_view text, std::size_t begin) {
  AsciiSegment found;
  std::size_t at = begin;
  for (; at < text.size() && ascii_kind(text, at) >= AsciiKind::joins; ++at) found.is_plain &= ascii_kind(text, at) == AsciiKind::joins;
  if (at == begin) return {};
  if (at < text.size() && ascii_kind(text, at) != AsciiKind::ends) {
    // What stands between joins nothing unless more of the word follows it.
    const bool joins_nothing = ascii_kind(text, at) == AsciiKind::mid && (at + 1 == text.size() || ascii_kind(text, at + 1) < AsciiKind::wide);
    if (!joins_nothing) return {};
  }
  found.end = at;
  return found;
}

/// Where the segment ends that begins at `begin`, a boundary before the end of the UTF-8 text.
std::size_t segment_end(std::string_view text, std::size_t begin);

}  // namespace vicino::text
