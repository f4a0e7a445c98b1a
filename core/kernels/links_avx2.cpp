// Links with AVX2: the bits of eight nodes are looked up at once, and only nodes not met yet are taken one by one.
#include <immintrin.h>

#include "kernels/links.h"
#include "kernels/links_loops.h"

namespace vicino {

namespace {

constexpr std::size_t kLanes = 8;

/// A bit for each of eight numbers that is below the bound; AVX2 compares signed numbers only.
unsigned are_below(__m256i numbers, std::uint32_t bound) {
  const __m256i sign = _mm256_set1_epi32(static_cast<int>(0x80000000u));
  const __m256i is_below = _mm256_cmpgt_epi32(_mm256_xor_si256(_mm256_set1_epi32(static_cast<int>(bound)), sign), _mm256_xor_si256(numbers, sign));
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(is_below)));
}

LinksTaken take_unmet(const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* places) {
  std::size_t used = 0, size = 0;
  for (; used + kLanes <= slots.count; used += kLanes) {
    const __m256i ids = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(slots.nodes + used));
    if (are_below(ids, slots.n_nodes) != 0xff) break;
    const __m256i words = _mm256_i32gather_epi32(reinterpret_cast<const int*>(met), _mm256_srli_epi32(ids, 5), 4);
    // The bit of each node moves to the sign of its lane.
    const __m256i bits = _mm256_sllv_epi32(words, _mm256_sub_epi32(_mm256_set1_epi32(31), _mm256_and_si256(ids, _mm256_set1_epi32(31))));
    for (unsigned unmet = ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(bits))) & 0xff; unmet; unmet &= unmet - 1) {
      const std::size_t slot = used + static_cast<std::size_t>(__builtin_ctz(unmet));
      size = link_loops::take(slots.nodes[slot], static_cast<std::uint32_t>(slot), slots, met, nodes, places, size);
    }
  }
  return link_loops::take_slots(slots, used, met, nodes, places, size);
}

}  // namespace

void add_links_avx2(Kernels& table) { table.take_unmet = take_unmet; }

}  // namespace vicino
