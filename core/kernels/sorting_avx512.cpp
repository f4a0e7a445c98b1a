// Bitonic sorting of up to 128 keys in registers (Batcher 1968): the same comparisons whatever the keys, so no branch is ever mispredicted,
// which is what sorting a few dozen keys otherwise spends its time on.
//
// Keys lie eight to a register. A step compares every key i with key i ^ J and leaves the smaller one of the two in front where the runs
// of K that are being merged ascend, behind where they descend. From J = 8 on these are whole registers, below lanes of one.
#include <immintrin.h>

#include "kernels/sorting.h"

namespace vicino {

namespace {

constexpr int kLanes = 8;
constexpr std::size_t kKeysMax = 128;

/// The lanes of a register that keep the larger key, where the first key of the register is number `first` of all.
template <int K, int J>
constexpr __mmask8 larger_lanes(int first) {
  unsigned mask = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    const bool is_behind = lane & J, ascends = !((first + lane) & K);
    mask |= static_cast<unsigned>(is_behind == ascends) << lane;
  }
  return static_cast<__mmask8>(mask);
}

template <int J>
inline __m512i partners(__m512i keys) {
  if constexpr (J == 1) return _mm512_shuffle_epi32(keys, _MM_PERM_BADC);
  if constexpr (J == 2) return _mm512_permutex_epi64(keys, 0x4e);
  return _mm512_shuffle_i64x2(keys, keys, 0x4e);
}

template <int N, int K, int J>
inline void merge_step(__m512i (&keys)[N]) {
  if constexpr (J >= kLanes) {
    constexpr int apart = J / kLanes;
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) {
      if (i & apart) continue;
      const __m512i smaller = _mm512_min_epu64(keys[i], keys[i + apart]), larger = _mm512_max_epu64(keys[i], keys[i + apart]);
      const bool ascends = !(i * kLanes & K);
      keys[i] = ascends ? smaller : larger;
      keys[i + apart] = ascends ? larger : smaller;
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) {
      const __m512i other = partners<J>(keys[i]);
      const __m512i smaller = _mm512_min_epu64(keys[i], other);
      keys[i] = _mm512_mask_max_epu64(smaller, larger_lanes<K, J>(i * kLanes), keys[i], other);
    }
  }
  if constexpr (J > 1) merge_step<N, K, J / 2>(keys);
}

template <int N, int K = 2>
inline void sort_registers(__m512i (&keys)[N]) {
  merge_step<N, K, K / 2>(keys);
  if constexpr (K < N * kLanes) sort_registers<N, 2 * K>(keys);
}

/// Lanes beyond the last key hold the largest number, which stays behind all keys.
template <int N>
void sort_in_registers(std::uint64_t* keys, std::size_t count) {
  __m512i registers[N];
  __mmask8 used[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) {
    const std::size_t first = static_cast<std::size_t>(i) * kLanes, left = count > first ? count - first : 0;
    used[i] = static_cast<__mmask8>(left >= kLanes ? 0xff : (1u << left) - 1);
    registers[i] = _mm512_mask_loadu_epi64(_mm512_set1_epi64(-1), used[i], keys + first);
  }
  sort_registers(registers);
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) _mm512_mask_storeu_epi64(keys + static_cast<std::size_t>(i) * kLanes, used[i], registers[i]);
}

void sort_keys_avx512(std::uint64_t* keys, std::size_t count) {
  if (count > kKeysMax) sort_keys_scalar(keys, count);
  else if (count > 64) sort_in_registers<16>(keys, count);
  else if (count > 32) sort_in_registers<8>(keys, count);
  else if (count > 16) sort_in_registers<4>(keys, count);
  else sort_in_registers<2>(keys, count);
}

std::size_t collect_keys_avx512(const float* distances, const std::uint32_t* nodes, std::size_t count, float bound, std::uint64_t* keys) {
  const __m512 limit = _mm512_set1_ps(bound);
  __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; i += 16) {
    const __mmask16 valid = count - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (count - i)) - 1);
    const __m512 values = _mm512_maskz_loadu_ps(valid, distances + i);
    const __mmask16 kept = _mm512_mask_cmp_ps_mask(valid, values, limit, _CMP_LE_OQ);
    const __m512i bits = _mm512_castps_si512(_mm512_add_ps(values, _mm512_setzero_ps()));  // -0 becomes 0
    const __m512i ordered = _mm512_xor_si512(bits, _mm512_or_si512(_mm512_srai_epi32(bits, 31), _mm512_set1_epi32(static_cast<int>(0x80000000u))));
    const __m512i numbers = nodes ? _mm512_maskz_loadu_epi32(valid, nodes + i) : places;
    const __m512i high = _mm512_maskz_compress_epi32(kept, ordered), low = _mm512_maskz_compress_epi32(kept, _mm512_slli_epi32(numbers, 1));
    const auto joined = [](__m256i above, __m256i below) {
      return _mm512_or_si512(_mm512_slli_epi64(_mm512_cvtepu32_epi64(above), 32), _mm512_cvtepu32_epi64(below));
    };
    _mm512_storeu_si512(keys + total, joined(_mm512_castsi512_si256(high), _mm512_castsi512_si256(low)));
    _mm512_storeu_si512(keys + total + 8, joined(_mm512_extracti64x4_epi64(high, 1), _mm512_extracti64x4_epi64(low, 1)));
    total += static_cast<std::size_t>(__builtin_popcount(kept));
    places = _mm512_add_epi32(places, _mm512_set1_epi32(16));
  }
  return total;
}

/// How many keys of a pool are smaller: those of a small one are compared with all at once, others by halving without branches.
std::size_t rank_of(std::uint64_t key, const std::uint64_t* pool, std::size_t size) {
  constexpr std::size_t small = 64;
  const std::uint64_t* const start = pool;
  while (size > small) {
    const std::size_t half = (size + 1) / 2;
    pool += half & (std::size_t{0} - static_cast<std::size_t>(pool[half - 1] < key));
    size -= half;
  }
  const __m512i wanted = _mm512_set1_epi64(static_cast<long long>(key));
  int rank = 0;
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) rank += __builtin_popcount(_mm512_cmplt_epu64_mask(_mm512_loadu_si512(pool + i), wanted));
  const auto rest = static_cast<__mmask8>((1u << (size - i)) - 1);
  rank += __builtin_popcount(_mm512_mask_cmplt_epu64_mask(rest, _mm512_maskz_loadu_epi64(rest, pool + i), wanted));
  return static_cast<std::size_t>(pool - start) + static_cast<std::size_t>(rank);
}

/// Every place of the merged keys is known to be of an old key or of a new one before any of them moves. Then eight places at a time are filled, from
/// the last ones: the old keys that go there lie in a row, and so do the new ones, so each is one load whose lanes are spread out.
std::size_t merge_keys_avx512(std::uint64_t* pool, std::size_t size, std::uint64_t* keys, std::size_t count) {
  constexpr std::size_t many = 32, places_max = 1024;
  if (count > many || size + count > places_max) return merge_keys_scalar(pool, size, keys, count);
  if (count > 16) sort_in_registers<4>(keys, count);
  else if (count > 8) sort_in_registers<2>(keys, count);
  else if (count > 1) sort_in_registers<1>(keys, count);
  std::uint64_t is_new[places_max / 64] = {};
  const std::size_t first = rank_of(keys[0], pool, size);
  is_new[first / 64] |= std::uint64_t{1} << first % 64;
  for (std::size_t i = 1; i < count; ++i) {
    const std::size_t place = rank_of(keys[i], pool, size) + i;
    is_new[place / 64] |= std::uint64_t{1} << place % 64;
  }
  std::size_t n_new = count;  // that go before the places filled so far
  for (std::size_t part = (size + count + kLanes - 1) / kLanes; part-- > first / kLanes;) {
    const auto taken = static_cast<__mmask8>(is_new[part / 8] >> part % 8 * 8);
    const auto n_taken = static_cast<unsigned>(__builtin_popcount(taken));
    n_new -= n_taken;
    const __m512i old = _mm512_maskz_expand_epi64(static_cast<__mmask8>(~taken), _mm512_loadu_si512(pool + part * kLanes - n_new));
    const __m512i brought = _mm512_maskz_loadu_epi64(static_cast<__mmask8>((1u << n_taken) - 1), keys + n_new);
    _mm512_storeu_si512(pool + part * kLanes, _mm512_mask_expand_epi64(old, taken, brought));
  }
  return first;
}

}  // namespace

void add_sorting_avx512(Kernels& table) {
  table.sort_keys = sort_keys_avx512;
  table.collect_keys = collect_keys_avx512;
  table.merge_keys = merge_keys_avx512;
}

}  // namespace vicino
