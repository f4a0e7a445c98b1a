// Links with AVX-512: the bits of sixteen nodes are looked up at once, and only nodes not met yet are taken one by one.
#include <immintrin.h>

#include "kernels/links.h"
#include "kernels/links_loops.h"

namespace vicino {

namespace {

constexpr std::size_t kLanes = 16;

LinksTaken take_unmet(const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* places) {
  std::size_t used = 0, size = 0;
  alignas(64) std::uint32_t fresh[kLanes], fresh_places[kLanes];
  __m512i slot_numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  while (used < slots.count) {
    const std::size_t left = slots.count - used < kLanes ? slots.count - used : kLanes;
    const auto wanted = static_cast<__mmask16>((1u << left) - 1);
    const __m512i ids = _mm512_maskz_loadu_epi32(wanted, slots.nodes + used);
    const __mmask16 are_nodes = _mm512_mask_cmplt_epu32_mask(wanted, ids, _mm512_set1_epi32(static_cast<int>(slots.n_nodes)));
    // Those before the first that is none.
    const auto leading = static_cast<std::size_t>(__builtin_ctz(~static_cast<unsigned>(are_nodes)));
    const auto taken = static_cast<__mmask16>((1u << leading) - 1);
    const __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), taken, _mm512_srli_epi32(ids, 5), met, 4);
    const __m512i bits = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(ids, _mm512_set1_epi32(31)));
    const __mmask16 unmet = _mm512_mask_testn_epi32_mask(taken, words, bits);
    // Compressed in a register: storing compressed is many times slower on some processors.
    _mm512_store_si512(fresh, _mm512_maskz_compress_epi32(unmet, ids));
    _mm512_store_si512(fresh_places, _mm512_maskz_compress_epi32(unmet, slot_numbers));
    const auto count = static_cast<std::size_t>(__builtin_popcount(unmet));
    for (std::size_t i = 0; i < count; ++i) size = link_loops::take(fresh[i], fresh_places[i], slots, met, nodes, places, size);
    used += leading;
    slot_numbers = _mm512_add_epi32(slot_numbers, _mm512_set1_epi32(kLanes));
    if (leading < left) break;
  }
  return {used, size};
}

}  // namespace

void add_links_avx512(Kernels& table) { table.take_unmet = take_unmet; }

}  // namespace vicino
