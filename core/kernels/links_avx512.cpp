// Links with AVX-512: the bits of sixteen nodes are looked up at once, and only nodes not met yet are taken one by one.
#include <immintrin.h>

#include "kernels/links.h"
#include "kernels/links_loops.h"

namespace vicino {

namespace {

constexpr std::size_t kLanes = 16;

__m512i factors_of(const LinkSlots& slots, std::size_t first, __mmask16 wanted) {
  const std::uint8_t* at = slots.factors + first * slots.factor_bytes;
  if (slots.factor_bytes == 2) return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(wanted, at));
  if (slots.factor_bytes == 4) return _mm512_maskz_loadu_epi32(wanted, at);
  return _mm512_setzero_si512();
}

LinksTaken take_unmet(const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* factors) {
  std::size_t used = 0, size = 0;
  alignas(64) std::uint32_t fresh[kLanes], brought[kLanes];
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
    _mm512_store_si512(brought, _mm512_maskz_compress_epi32(unmet, factors_of(slots, used, taken)));
    const auto count = static_cast<std::size_t>(__builtin_popcount(unmet));
    for (std::size_t i = 0; i < count; ++i) size = link_loops::take(fresh[i], brought[i], slots, met, nodes, factors, size);
    used += leading;
    if (leading < left) break;
  }
  return {used, size};
}

}  // namespace

void add_links_avx512(Kernels& table) { table.take_unmet = take_unmet; }

}  // namespace vicino
