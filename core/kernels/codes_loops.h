// The loops of the nested code, written once over the vector type of an instruction set.
//
// Float loops work on groups of 16 lanes, whatever the width of the registers: a lane always sums the same elements in the same order,
// and the 16 lanes are added in one fixed tree. So a transform, a code and a query come out with the same bits on every set.
//
// An instruction set is a struct in an anonymous namespace. It offers
//   kFloats      lanes of a register
//   nibble_dots  dots[i] = <nibbles of rows[i], query> for i < 4
//   halves       32 bytes of float16 to 16 floats
//   block_sums   as CodeBlockSums
//   not_negative 16 bits, bit i set where float i is at least zero
#pragma once
#include "kernels/table.h"

namespace vicino::code_loops {

constexpr std::size_t kGroup = 16;

template <std::size_t lanes>
struct VectorOf;
template <>
struct VectorOf<4> {
  typedef float Floats __attribute__((vector_size(16)));
  typedef std::int32_t Ints __attribute__((vector_size(16)));
  template <std::size_t distance>
  static Floats swapped(Floats v) { return __builtin_shufflevector(v, v, 0 ^ distance, 1 ^ distance, 2 ^ distance, 3 ^ distance); }
};
template <>
struct VectorOf<8> {
  typedef float Floats __attribute__((vector_size(32)));
  typedef std::int32_t Ints __attribute__((vector_size(32)));
  template <std::size_t distance>
  static Floats swapped(Floats v) {
    return __builtin_shufflevector(v, v, 0 ^ distance, 1 ^ distance, 2 ^ distance, 3 ^ distance, 4 ^ distance, 5 ^ distance, 6 ^ distance,
                                   7 ^ distance);
  }
};
template <>
struct VectorOf<16> {
  typedef float Floats __attribute__((vector_size(64)));
  typedef std::int32_t Ints __attribute__((vector_size(64)));
  template <std::size_t distance>
  static Floats swapped(Floats v) {
    return __builtin_shufflevector(v, v, 0 ^ distance, 1 ^ distance, 2 ^ distance, 3 ^ distance, 4 ^ distance, 5 ^ distance, 6 ^ distance,
                                   7 ^ distance, 8 ^ distance, 9 ^ distance, 10 ^ distance, 11 ^ distance, 12 ^ distance, 13 ^ distance,
                                   14 ^ distance, 15 ^ distance);
  }
};

template <class Isa>
using Floats = typename VectorOf<Isa::kFloats>::Floats;
template <class Isa>
using Ints = typename VectorOf<Isa::kFloats>::Ints;

template <class Isa>
inline Floats<Isa> load(const float* p) {
  Floats<Isa> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class Isa>
inline void store(float* p, Floats<Isa> v) { __builtin_memcpy(p, &v, sizeof v); }
template <class Isa>
inline Floats<Isa> all(float value) { return Floats<Isa>{} + value; }

/// 16 running values in as many registers as they take.
template <class Isa>
struct Lanes {
  static constexpr std::size_t parts = kGroup / Isa::kFloats;
  Floats<Isa> part[parts] = {};

  float lane(std::size_t i) const { return part[i / Isa::kFloats][i % Isa::kFloats]; }
  float total() const {
    float sums[kGroup];
    for (std::size_t p = 0; p < parts; ++p) store<Isa>(sums + p * Isa::kFloats, part[p]);
    for (std::size_t half = kGroup / 2; half; half /= 2)
      for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    return sums[0];
  }
  float largest() const {
    float result = 0;
    for (std::size_t i = 0; i < kGroup; ++i) result = lane(i) > result ? lane(i) : result;
    return result;
  }
};

template <class Isa>
VectorSums sum_vectors(const float* a, const float* b, std::size_t count) {
  Lanes<Isa> product, square, largest;
  for (std::size_t i = 0; i < count; i += kGroup)
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
      const Floats<Isa> x = load<Isa>(a + i + p * Isa::kFloats), y = load<Isa>(b + i + p * Isa::kFloats);
      product.part[p] += x * y;
      square.part[p] += x * x;
      const Floats<Isa> magnitude = x < 0 ? -x : x;
      largest.part[p] = magnitude > largest.part[p] ? magnitude : largest.part[p];
    }
  return {product.total(), square.total(), largest.largest()};
}

template <class Isa>
void combine_vectors(const float* a, float factor, const float* b, float other, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; i += Isa::kFloats) store<Isa>(out + i, load<Isa>(a + i) * factor + load<Isa>(b + i) * other);
}

/// To integers by adding 1.5 * 2^23: the low bits of the sum are then the nearest integer, ties to even.
template <class Isa>
inline Ints<Isa> nearest(Floats<Isa> v) {
  constexpr float magic = 12582912.0f;
  const Floats<Isa> shifted = v + magic;
  Ints<Isa> bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  return bits - 0x4b400000;
}

template <class Isa>
std::int32_t round_vector(const float* values, float factor, std::size_t count, std::int8_t* codes) {
  Ints<Isa> sums = {};
  for (std::size_t i = 0; i < count; i += Isa::kFloats) {
    Floats<Isa> v = load<Isa>(values + i) * factor;
    v = v < 127.0f ? v : all<Isa>(127.0f);  // in this order a NaN, which only an overflow makes, becomes a bound
    v = v > -127.0f ? v : all<Isa>(-127.0f);
    const Ints<Isa> whole = nearest<Isa>(v);
    sums += whole;
    for (std::size_t lane = 0; lane < Isa::kFloats; ++lane) codes[i + lane] = static_cast<std::int8_t>(whole[lane]);
  }
  std::int32_t total = 0;
  for (std::size_t lane = 0; lane < Isa::kFloats; ++lane) total += sums[lane];
  return total;
}

// ---- rotation

/// One butterfly within registers: lanes whose index has the bit `distance` become the difference, the others the sum.
template <class Isa, std::size_t distance>
inline Floats<Isa> butterfly(Floats<Isa> v) {
  Floats<Isa> sign;
  for (std::size_t lane = 0; lane < Isa::kFloats; ++lane) sign[lane] = lane & distance ? -1.0f : 1.0f;
  return VectorOf<Isa::kFloats>::template swapped<distance>(v) + v * sign;
}

/// The Hadamard transform, not normalized, of 64 values times their signs.
template <class Isa>
inline void transform_64(const float* const (&sources)[4], const float* signs, float* out) {
  constexpr std::size_t count = 64 / Isa::kFloats, per_group = kGroup / Isa::kFloats;
  Floats<Isa> v[count];
  for (std::size_t i = 0; i < count; ++i) {
    v[i] = load<Isa>(sources[i / per_group] + i % per_group * Isa::kFloats) * load<Isa>(signs + i * Isa::kFloats);
    v[i] = butterfly<Isa, 1>(v[i]);
    v[i] = butterfly<Isa, 2>(v[i]);
    if constexpr (Isa::kFloats >= 8) v[i] = butterfly<Isa, 4>(v[i]);
    if constexpr (Isa::kFloats >= 16) v[i] = butterfly<Isa, 8>(v[i]);
  }
  for (std::size_t step = 1; step < count; step *= 2)
    for (std::size_t i = 0; i < count; ++i)
      if (!(i & step)) {
        const Floats<Isa> sum = v[i] + v[i + step];
        v[i + step] = v[i] - v[i + step];
        v[i] = sum;
      }
  for (std::size_t i = 0; i < count; ++i) store<Isa>(out + i * Isa::kFloats, v[i]);
}

template <class Isa>
void rotate(const RotationShape& shape, const float* signs, float* values, float* scratch) {
  const std::size_t n_blocks = shape.dims / shape.block, groups = shape.block / kGroup;
  float *from = values, *to = scratch;
  for (std::size_t round = 0; round < shape.rounds; ++round, signs += shape.dims) {
    // Group `at` of this round is group at / n_blocks of block at % n_blocks of the last one. The first round takes them as they stand.
    std::size_t within = 0, block = 0;
    for (std::size_t at = 0; at < shape.dims; at += 64) {
      const float* sources[4];
      for (std::size_t g = 0; g < 4; ++g) {
        sources[g] = from + (round ? (block * groups + within) * kGroup : at + g * kGroup);
        if (++block == n_blocks) {
          block = 0;
          ++within;
        }
      }
      transform_64<Isa>(sources, signs + at, to + at);
    }
    for (std::size_t step = 64; step < shape.block; step *= 2)
      for (std::size_t start = 0; start < shape.dims; start += 2 * step)
        for (std::size_t i = start; i < start + step; i += Isa::kFloats) {
          const Floats<Isa> a = load<Isa>(to + i), b = load<Isa>(to + i + step);
          store<Isa>(to + i, a + b);
          store<Isa>(to + i + step, a - b);
        }
    float* const swap = from;
    from = to;
    to = swap;
  }
  if (from != values) __builtin_memcpy(values, from, shape.dims * sizeof(float));
}

// ---- encoding

struct Quality {
  float along4 = 0, square4 = 0, along8 = 0, square8 = 0;
};

/// Coordinates as bytes: floor(x / step) + 128 within 0..255, where 1 / step = inverse.
template <class Isa>
inline Floats<Isa> byte_of(Floats<Isa> x, float inverse) {
  Floats<Isa> t = x * inverse + 128.0f;
  t = t > 0.0f ? t : all<Isa>(0.0f);
  t = t < 255.0f ? t : all<Isa>(255.0f);
  return t;
}

template <class Isa, bool fine>
inline Quality measure(const float* values, std::size_t dims, float inverse) {
  Lanes<Isa> along4, square4, along8, square8;
  for (std::size_t i = 0; i < dims; i += kGroup)
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
      const Floats<Isa> x = load<Isa>(values + i + p * Isa::kFloats);
      const Ints<Isa> byte = __builtin_convertvector(byte_of<Isa>(x, inverse), Ints<Isa>);
      const Floats<Isa> u4 = __builtin_convertvector(byte >> 4, Floats<Isa>) - 7.5f;
      along4.part[p] += x * u4;
      square4.part[p] += u4 * u4;
      if constexpr (fine) {
        const Floats<Isa> u8 = __builtin_convertvector(byte, Floats<Isa>) - 127.5f;
        along8.part[p] += x * u8;
        square8.part[p] += u8 * u8;
      }
    }
  return {along4.total(), square4.total(), along8.total(), square8.total()};
}

/// The share of |x|^2 that the code misses, as far as it decides between steps.
template <bool fine>
static inline float misfit(const Quality& q, float norm) {
  // An error that only 8 bits see counts several times: at the best step of 4 bits the few clipped coordinates would be
  // nearly all of the error of 8.
  constexpr float weight = 4;
  const float first = norm - q.along4 * q.along4 / q.square4;
  if constexpr (!fine) return first;
  return first + weight * (norm - q.along8 * q.along8 / q.square8);
}

template <class Isa, bool fine>
inline float best_inverse(const float* values, std::size_t dims, float norm, float largest) {
  // Steps from where every coordinate fits down to where the largest is clipped at half its size: rotated rows have their best step
  // within; coarse first, then around the best.
  constexpr int candidates = 8;
  float best = 0, least = 0, width = 0.5f / candidates;
  float shares[candidates + 3];
  for (int i = 0; i < candidates; ++i) shares[i] = 1.0f - width * static_cast<float>(i);
  int chosen = 0;
  const auto offer = [&](int i) {
    const float inverse = 127.99f / (largest * shares[i]);
    const float missed = misfit<fine>(measure<Isa, fine>(values, dims, inverse), norm);
    if (i == 0 || missed < least) {
      least = missed;
      best = inverse;
      chosen = i;
    }
  };
  for (int i = 0; i < candidates; ++i) offer(i);
  const float center = shares[chosen];
  shares[candidates] = center + width / 2;
  shares[candidates + 1] = center - width / 2;
  for (int i = candidates; i < candidates + 2; ++i) offer(i);
  return best;
}

template <class Isa>
void encode_code(const float* values, std::size_t dims, bool fine, std::uint8_t* codes, CodeFit* fit) {
  const VectorSums sums = sum_vectors<Isa>(values, values, dims);
  *fit = {};
  fit->norm = sums.square;
  // A row too small or too large for its squares to be floats has a direction that cannot be seen here: see encode_in_range.
  if (!(sums.square > 1e-30f && sums.square < 1e37f)) {
    for (std::size_t i = 0; i < dims; ++i) codes[i] = 128;
    return;
  }
  const float inverse = fine ? best_inverse<Isa, true>(values, dims, sums.square, sums.largest)
                             : best_inverse<Isa, false>(values, dims, sums.square, sums.largest);
  const Quality quality = measure<Isa, true>(values, dims, inverse);
  fit->along4 = quality.along4;
  fit->along8 = quality.along8;
  Lanes<Isa> magnitudes;
  for (std::size_t i = 0; i < dims; i += kGroup)
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
      const Floats<Isa> x = load<Isa>(values + i + p * Isa::kFloats);
      const Ints<Isa> byte = __builtin_convertvector(byte_of<Isa>(x, inverse), Ints<Isa>);
      magnitudes.part[p] += x < 0 ? -x : x;
      for (std::size_t lane = 0; lane < Isa::kFloats; ++lane)
        codes[i + p * Isa::kFloats + lane] = static_cast<std::uint8_t>(byte[lane]);
    }
  fit->along1 = 0.5f * magnitudes.total();
}

template <class Isa>
void encode_signs(const float* values, std::size_t dims, std::uint8_t* signs, CodeFit* fit) {
  Lanes<Isa> square, magnitudes;
  for (std::size_t i = 0; i < dims; i += kGroup) {
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
      const Floats<Isa> x = load<Isa>(values + i + p * Isa::kFloats);
      square.part[p] += x * x;
      magnitudes.part[p] += x < 0 ? -x : x;
    }
    const std::uint16_t bits = Isa::not_negative(values + i);
    __builtin_memcpy(signs + i / 8, &bits, sizeof bits);
  }
  *fit = {};
  fit->norm = square.total();
  if (fit->norm > 1e-30f && fit->norm < 1e37f) fit->along1 = 0.5f * magnitudes.total();
}

// ---- scoring

constexpr std::size_t kRows = 8;  // scored together
constexpr std::size_t kDots = 4;  // multiplied together
typedef float Row8 __attribute__((vector_size(32)));
typedef std::int32_t Dots8 __attribute__((vector_size(32)));
typedef std::uint32_t Words8 __attribute__((vector_size(32)));

enum class Form { half, full, bytes, packed_half, packed_byte };

/// Eight distances from eight products.
template <class Isa>
inline void finish_rows(const CodeQuery& query, const std::int32_t* dots, Row8 adds, Row8 scales, float* out) {
  Dots8 whole;
  __builtin_memcpy(&whole, dots, sizeof whole);
  const Row8 largest = Row8{} + 3.40282347e38f;
  Row8 distances = (query.base + query.along * adds) + (query.slope * scales) * __builtin_convertvector(whole - query.offset, Row8);
  distances = distances < largest ? distances : largest;  // in this order a NaN becomes the largest, too
  __builtin_memcpy(out, &distances, sizeof distances);
}

/// With factors as pairs of (add, scale).
template <class Isa>
inline void finish(const CodeQuery& query, const std::int32_t* dots, const float* pairs, float* out) {
  Row8 first, second;
  __builtin_memcpy(&first, pairs, sizeof first);
  __builtin_memcpy(&second, pairs + kRows, sizeof second);
  finish_rows<Isa>(query, dots, __builtin_shufflevector(first, second, 0, 2, 4, 6, 8, 10, 12, 14),
                   __builtin_shufflevector(first, second, 1, 3, 5, 7, 9, 11, 13, 15), out);
}

/// The same with factors of one byte each, the two lowest of a word.
template <class Isa>
inline void finish_packed(const CodeQuery& query, const std::int32_t* dots, const std::uint32_t* packed, float* out) {
  Words8 words;
  __builtin_memcpy(&words, packed, sizeof words);
  finish_rows<Isa>(query, dots, query.add_low + query.add_step * __builtin_convertvector(words & 255, Row8),
                   query.scale_low + query.scale_step * __builtin_convertvector(words >> 8 & 255, Row8), out);
}

template <class Isa>
inline void nibble_dots(const std::uint8_t* plane, std::size_t stride, const CodeQuery& query, const std::size_t (&row)[kRows], std::size_t count,
                        std::int32_t* dots) {
  for (std::size_t r = 0; r < count; r += kDots) {
    const std::uint8_t* codes[kDots];
    for (std::size_t i = 0; i < kDots; ++i) codes[i] = plane + row[r + i] * stride;
    Isa::nibble_dots(codes, query.codes, query.row_bytes, dots + r);
  }
}

/// Eight rows, of which row i stands at row[i] and `count` are wanted; `packed` are their factors where the form has such.
template <class Isa, Form form>
inline void score_rows(const CodeQuery& query, const CodeRows& rows, const std::size_t (&row)[kRows], std::size_t count, const std::uint32_t* packed,
                       float* out) {
  std::int32_t dots[kRows] = {};
  nibble_dots<Isa>(rows.high, rows.stride, query, row, count, dots);
  if constexpr (form == Form::bytes) {
    std::int32_t low[kRows] = {};
    nibble_dots<Isa>(rows.low, rows.stride, query, row, count, low);
    for (std::size_t i = 0; i < kRows; ++i) dots[i] = 16 * dots[i] + low[i];
  }
  for (std::size_t i = 0; i < kRows; ++i) dots[i] *= 2;
  if constexpr (form == Form::packed_byte) return finish_packed<Isa>(query, dots, packed, out);
  float pairs[2 * kRows];
  if constexpr (form == Form::packed_half) {
    Isa::halves(reinterpret_cast<const std::uint8_t*>(packed), pairs);
  } else if constexpr (form == Form::half) {
    std::uint8_t halves[4 * kRows];
    for (std::size_t i = 0; i < kRows; ++i) __builtin_memcpy(halves + 4 * i, rows.factors + row[i] * 4, 4);
    Isa::halves(halves, pairs);
  } else {
    for (std::size_t i = 0; i < kRows; ++i) __builtin_memcpy(pairs + 2 * i, rows.factors + row[i] * 8, 8);
  }
  finish<Isa>(query, dots, pairs, out);
}

template <class Isa, Form form>
void code_scores(const CodeQuery& query, const CodeRows& rows, std::size_t count, float* out) {
  std::size_t row[kRows], start = 0;
  for (; start + kRows <= count; start += kRows) {
    for (std::size_t i = 0; i < kRows; ++i) row[i] = rows.rows ? rows.rows[start + i] : rows.first + start + i;
    score_rows<Isa, form>(query, rows, row, kRows, rows.packed ? rows.packed + start : nullptr, out + start);
  }
  if (start == count) return;
  std::uint32_t packed[kRows];
  for (std::size_t i = 0; i < kRows; ++i) {
    const std::size_t at = start + i < count ? start + i : count - 1;  // the last group is filled with its last row
    row[i] = rows.rows ? rows.rows[at] : rows.first + at;
    if constexpr (form == Form::packed_half || form == Form::packed_byte) packed[i] = rows.packed[at];
  }
  float distances[kRows];
  score_rows<Isa, form>(query, rows, row, count - start, packed, distances);
  for (std::size_t i = 0; start + i < count; ++i) out[start + i] = distances[i];
}

template <class Isa>
void block_bounds(const CodeBlockQuery& query, const std::uint8_t* blocks, std::size_t n_blocks, float* least, float* most) {
  constexpr std::size_t rows = 32;
  constexpr float largest = 3.40282347e38f;
  for (std::size_t block = 0; block < n_blocks; ++block, least += rows, most += rows) {
    std::uint32_t sums[rows];
    float factors[2 * rows];
    Isa::block_sums(blocks, query.table, query.n_groups, sums);
    blocks += query.n_groups * 64;
    __builtin_memcpy(factors, blocks, sizeof factors);
    blocks += sizeof factors;
    for (std::size_t i = 0; i < rows; i += Isa::kFloats) {
      Ints<Isa> sum;
      __builtin_memcpy(&sum, sums + i, sizeof sum);
      const Floats<Isa> scale = load<Isa>(factors + rows + i);
      const Floats<Isa> product = query.step * __builtin_convertvector(sum, Floats<Isa>) + query.offset;
      Floats<Isa> distance = (query.base + query.along * load<Isa>(factors + i)) + (query.factor * scale) * product;
      distance = distance < largest ? distance : all<Isa>(largest);
      const Floats<Isa> error = query.slope * scale + query.error_base, low = distance - error;
      store<Isa>(least + i, low > -largest ? low : all<Isa>(-largest));
      store<Isa>(most + i, distance + error);
    }
  }
}

template <class Isa>
void fill_table(Kernels& table) {
  table.code_scores_half = code_scores<Isa, Form::half>;
  table.code_scores_float = code_scores<Isa, Form::full>;
  table.code_scores_byte = code_scores<Isa, Form::bytes>;
  table.code_scores_packed_half = code_scores<Isa, Form::packed_half>;
  table.code_scores_packed_byte = code_scores<Isa, Form::packed_byte>;
  table.code_block_sums = Isa::block_sums;
  table.code_block_bounds = block_bounds<Isa>;
  table.rotate = rotate<Isa>;
  table.encode_code = encode_code<Isa>;
  table.encode_signs = encode_signs<Isa>;
  table.sum_vectors = sum_vectors<Isa>;
  table.combine_vectors = combine_vectors<Isa>;
  table.round_vector = round_vector<Isa>;
}

}  // namespace vicino::code_loops
