// A mark for functions that only ask for memory.
//
// GCC (12 at least) takes a function that does nothing but __builtin_prefetch for one without effects and removes the calls to it, unless it
// was inlined before. A walk whose code prefetches were lost this way took 1.4 times as long, with nothing else to tell it by.
#pragma once

#define VICINO_PREFETCHES [[gnu::always_inline]] inline
