// Where words end: Unicode Standard Annex 29, default word boundaries, all rules.
//
// No rule looks behind the boundary that begins a segment, so a text is cut front to back, segment by segment, without state.
#pragma once
#include <cstddef>
#include <string_view>

namespace vicino::text {

/// Where the segment ends that begins at `begin`, a boundary before the end of the UTF-8 text.
std::size_t segment_end(std::string_view text, std::size_t begin);

}  // namespace vicino::text
