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

}  // namespace

void add_sorting_avx512(Kernels& table) { table.sort_keys = sort_keys_avx512; }

}  // namespace vicino
