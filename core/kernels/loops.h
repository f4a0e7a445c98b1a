// The loops of every wide kernel, written once over the vector type of an instruction set.
//
// An instruction set is a struct in an anonymous namespace, so each unit gets its own copies. It offers
//   Floats   kFloats lanes, which divide 64: load(Float32/Float16/Coded, bytes), load_tail (zero beyond n), splat, add, subtract, multiply, absolute,
//            multiply_add, total
//   Words    kWords int16 lanes from int8/uint8: load, load_tail, subtract, absolute, and multiply_add into Sums (int32 lanes), total
//   Bits     kBitBytes bytes: load_bits, load_bits_tail, both, either, differing, and count into Counts, total
//   Codes    kCodes int8 lanes: load_row_codes, load_column_codes, multiply_add into Sums, start, totals
// Zero is neutral in every operation, so tails need no code of their own.
#pragma once
#include "kernels/table.h"

namespace vicino::loops {

struct Float32 { static constexpr std::size_t size = 4; };
struct Float16 { static constexpr std::size_t size = 2; };
struct Int8 { static constexpr std::size_t size = 1; };
struct Uint8 { static constexpr std::size_t size = 1; };
struct Coded { static constexpr std::size_t size = 1; };  // int8 with a scale for every run, see kernels/coded_rows.h

struct Dot {
  template <class Isa, class Sum, class Lanes>
  static Sum step(Sum sum, Lanes a, Lanes b) { return Isa::multiply_add(sum, a, b); }
};
struct SquaredL2 {
  template <class Isa, class Sum, class Lanes>
  static Sum step(Sum sum, Lanes a, Lanes b) {
    const Lanes difference = Isa::subtract(a, b);
    return Isa::multiply_add(sum, difference, difference);
  }
};
struct L1 {
  template <class Isa, class Sum, class Lanes>
  static Sum step(Sum sum, Lanes a, Lanes b) { return Isa::accumulate(sum, Isa::absolute(Isa::subtract(a, b))); }
};

/// The lanes of one row from dimension `at` on.
template <class Isa, class Element>
struct FloatRow {
  FloatRow(const std::uint8_t* row, std::size_t) : row_(row) {}
  typename Isa::Floats lanes(std::size_t at) const { return Isa::load(Element{}, row_ + at * Element::size); }
  typename Isa::Floats tail(std::size_t at, std::size_t n) const { return Isa::load_tail(Element{}, row_ + at * Element::size, n); }

 private:
  const std::uint8_t* row_;
};
template <class Isa>
struct FloatRow<Isa, Coded> {
  FloatRow(const std::uint8_t* row, std::size_t dim) : scales_(row), codes_(row + (dim + kCodedRun - 1) / kCodedRun * sizeof(float)) {}
  typename Isa::Floats lanes(std::size_t at) const { return Isa::multiply(scale(at), Isa::load(Coded{}, codes_ + at)); }
  typename Isa::Floats tail(std::size_t at, std::size_t n) const { return Isa::multiply(scale(at), Isa::load_tail(Coded{}, codes_ + at, n)); }

 private:
  typename Isa::Floats scale(std::size_t at) const {
    float value;
    __builtin_memcpy(&value, scales_ + at / kCodedRun * sizeof value, sizeof value);
    return Isa::splat(value);
  }
  const std::uint8_t *scales_, *codes_;
};

template <class Isa, class Operation, class Element>
void score_floats(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  constexpr std::size_t lanes = Isa::kFloats;
  const auto* q = static_cast<const std::uint8_t*>(query);
  for (std::size_t i = 0; i < count; ++i) {
    const FloatRow<Isa, Element> row(rows[i], dim);
    // Four independent sums hide the latency of the multiply-add.
    typename Isa::Floats sums[4] = {Isa::zero_floats(), Isa::zero_floats(), Isa::zero_floats(), Isa::zero_floats()};
    std::size_t at = 0;
    for (; at + 4 * lanes <= dim; at += 4 * lanes)
      for (std::size_t j = 0; j < 4; ++j)
        sums[j] = Operation::template step<Isa>(sums[j], Isa::load(Float32{}, q + (at + j * lanes) * 4), row.lanes(at + j * lanes));
    for (; at + lanes <= dim; at += lanes)
      sums[0] = Operation::template step<Isa>(sums[0], Isa::load(Float32{}, q + at * 4), row.lanes(at));
    if (at < dim)
      sums[1] = Operation::template step<Isa>(sums[1], Isa::load_tail(Float32{}, q + at * 4, dim - at), row.tail(at, dim - at));
    out[i] = Isa::total(Isa::add(Isa::add(sums[0], sums[1]), Isa::add(sums[2], sums[3])));
  }
}

/// Widened to 16 bits, so that differences and products are exact. A 32-bit lane takes 2 * 255^2 a step: enough for 500,000 dimensions.
template <class Isa, class Operation, class Element>
void score_words(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  constexpr std::size_t lanes = Isa::kWords;
  const auto* q = static_cast<const std::uint8_t*>(query);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = rows[i];
    typename Isa::Sums even = Isa::zero_sums(), odd = Isa::zero_sums();
    std::size_t at = 0;
    for (; at + 2 * lanes <= dim; at += 2 * lanes) {
      even = Operation::template step<Isa>(even, Isa::load(Element{}, q + at), Isa::load(Element{}, row + at));
      odd = Operation::template step<Isa>(odd, Isa::load(Element{}, q + at + lanes), Isa::load(Element{}, row + at + lanes));
    }
    for (; at < dim; at += lanes) {
      const std::size_t left = dim - at;
      if (left >= lanes) even = Operation::template step<Isa>(even, Isa::load(Element{}, q + at), Isa::load(Element{}, row + at));
      else odd = Operation::template step<Isa>(odd, Isa::load_tail(Element{}, q + at, left), Isa::load_tail(Element{}, row + at, left));
    }
    out[i] = static_cast<float>(Isa::total(even) + Isa::total(odd));
  }
}

template <class Isa>
void hamming(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  const auto* q = static_cast<const std::uint8_t*>(query);
  const std::size_t size = (static_cast<std::size_t>(dim) + 7) / 8;
  for (std::size_t i = 0; i < count; ++i) {
    typename Isa::Counts differing = Isa::zero_counts();
    std::size_t at = 0;
    for (; at + Isa::kBitBytes <= size; at += Isa::kBitBytes)
      differing = Isa::count(differing, Isa::differing(Isa::load_bits(q + at), Isa::load_bits(rows[i] + at)));
    if (at < size)
      differing = Isa::count(differing, Isa::differing(Isa::load_bits_tail(q + at, size - at), Isa::load_bits_tail(rows[i] + at, size - at)));
    out[i] = static_cast<float>(Isa::total(differing));
  }
}

template <class Isa>
void jaccard(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out) {
  const auto* q = static_cast<const std::uint8_t*>(query);
  const std::size_t size = (static_cast<std::size_t>(dim) + 7) / 8;
  for (std::size_t i = 0; i < count; ++i) {
    typename Isa::Counts both = Isa::zero_counts(), either = Isa::zero_counts();
    const auto step = [&](typename Isa::Bits a, typename Isa::Bits b) {
      both = Isa::count(both, Isa::both(a, b));
      either = Isa::count(either, Isa::either(a, b));
    };
    std::size_t at = 0;
    for (; at + Isa::kBitBytes <= size; at += Isa::kBitBytes) step(Isa::load_bits(q + at), Isa::load_bits(rows[i] + at));
    if (at < size) step(Isa::load_bits_tail(q + at, size - at), Isa::load_bits_tail(rows[i] + at, size - at));
    out[i] = jaccard_distance(Isa::total(both), Isa::total(either));
  }
}

/// One tile of `height` rows by four columns stays in registers over the whole stride.
template <class Isa, std::size_t height>
void multiply_tile(const std::int8_t* const* rows, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t stride,
                   std::int32_t (*dots)[4]) {
  typename Isa::Sums sums[height][4];
  for (std::size_t r = 0; r < height; ++r)
    for (std::size_t c = 0; c < 4; ++c) sums[r][c] = Isa::start(column_sums[c]);
  for (std::size_t at = 0; at < stride; at += Isa::kCodes) {
    typename Isa::Codes column[4];
    for (std::size_t c = 0; c < 4; ++c) column[c] = Isa::load_column_codes(columns[c] + at);
    for (std::size_t r = 0; r < height; ++r) {
      const typename Isa::Codes row = Isa::load_row_codes(rows[r] + at);
      for (std::size_t c = 0; c < 4; ++c) sums[r][c] = Isa::multiply_add_codes(sums[r][c], row, column[c]);
    }
  }
  for (std::size_t r = 0; r < height; ++r) Isa::totals(sums[r], dots[r]);
}

/// Four columns of which the last is repeated where there are fewer: a tile is cheaper than code for every remainder.
struct FourColumns {
  const std::int8_t* codes[4];
  std::int32_t sums[4];

  template <class CodeAt>
  FourColumns(CodeAt code_at, const std::int32_t* column_sums, std::size_t first, std::size_t n_columns) {
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t index = first + i < n_columns ? first + i : n_columns - 1;
      codes[i] = code_at(index);
      sums[i] = column_sums[index];
    }
  }
};

/// The last row is repeated as the last column is, and what that computes dropped.
template <class Isa, std::size_t height>
void multiply_rows(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                   std::size_t n_columns, std::size_t stride, std::int32_t* dots) {
  for (std::size_t c = 0; c < n_columns; c += 4) {
    const FourColumns four([&](std::size_t index) { return columns + index * stride; }, column_sums, c, n_columns);
    for (std::size_t r = 0; r < n_rows; r += height) {
      const std::int8_t* row[height];
      for (std::size_t i = 0; i < height; ++i) row[i] = rows + (r + i < n_rows ? r + i : n_rows - 1) * stride;
      std::int32_t tile[height][4];
      multiply_tile<Isa, height>(row, four.codes, four.sums, stride, tile);
      for (std::size_t i = 0; i < height && r + i < n_rows; ++i)
        for (std::size_t j = 0; j < 4 && c + j < n_columns; ++j) dots[(r + i) * n_columns + c + j] = tile[i][j];
    }
  }
}

template <class Isa>
void code_products(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                   std::size_t n_columns, std::size_t stride, std::int32_t* dots) {
  if (n_rows == 1) multiply_rows<Isa, 1>(rows, n_rows, columns, column_sums, n_columns, stride, dots);
  else multiply_rows<Isa, Isa::kTileRows>(rows, n_rows, columns, column_sums, n_columns, stride, dots);
}

template <class Isa>
void code_products_at(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                      std::size_t stride, std::int32_t* dots) {
  std::int32_t tile[1][4];
  std::size_t c = 0;
  for (; c + 4 <= n_columns; c += 4) {
    multiply_tile<Isa, 1>(&row, columns + c, column_sums + c, stride, tile);
    for (std::size_t j = 0; j < 4; ++j) dots[c + j] = tile[0][j];
  }
  if (c == n_columns) return;
  const FourColumns four([&](std::size_t index) { return columns[index]; }, column_sums, c, n_columns);
  multiply_tile<Isa, 1>(&row, four.codes, four.sums, stride, tile);
  for (std::size_t j = 0; c + j < n_columns; ++j) dots[c + j] = tile[0][j];
}

// The next five are plain loops that the compiler makes wide; `Isa` only gives each unit its own copy. Their float expressions are
// evaluated element by element in the order written (no contraction), so every instruction set gives the same bits.

template <class Isa>
void code_distances(const std::int32_t* dots, std::size_t count, CodeFactors self, const float* norms, const float* scales,
                    const float* extras, float* out) {
  const float twice = 2 * self.scale;
  for (std::size_t i = 0; i < count; ++i) {
    const float apart = self.extra - extras[i];
    const float coded = (self.norm + norms[i]) - (twice * scales[i]) * static_cast<float>(dots[i]);
    const float distance = (coded > 0 ? coded : 0) + apart * apart;
    out[i] = distance;
  }
}

template <class Isa>
std::size_t count_at_most(const float* values, std::size_t count, float bound) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < count; ++i) total += values[i] <= bound;
  return total;
}

template <class Isa>
std::size_t collect_at_most(const float* values, std::size_t count, float bound, std::uint32_t* out) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out[total] = static_cast<std::uint32_t>(i);
    total += values[i] <= bound;
  }
  return total;
}

constexpr std::size_t kCodewords = 16;  // compared together; the compiler cuts them to registers
typedef float CodewordFloats __attribute__((vector_size(64)));
typedef std::int32_t CodewordInts __attribute__((vector_size(64)));

template <class Isa>
inline CodewordFloats codewords_at(const float* p) {
  CodewordFloats v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class Isa>
void codeword_products(const float* vector, const float* codebook, std::size_t width, std::size_t n, float* out) {
  for (std::size_t c = 0; c < n; c += kCodewords) {
    CodewordFloats sums = {};
    for (std::size_t j = 0; j < width; ++j) sums += vector[j] * codewords_at<Isa>(codebook + j * n + c);
    __builtin_memcpy(out + c, &sums, sizeof sums);
  }
}

template <class Isa>
std::uint32_t nearest_codeword(const float* vector, const float* codebook, std::size_t width, std::size_t n) {
  CodewordFloats least = CodewordFloats{} + 3.40282347e38f;
  CodewordInts place = {};
  for (std::size_t c = 0; c < n; c += kCodewords) {
    CodewordFloats sums = {};
    for (std::size_t j = 0; j < width; ++j) {
      const CodewordFloats difference = vector[j] - codewords_at<Isa>(codebook + j * n + c);
      sums += difference * difference;
    }
    const CodewordInts is_nearer = sums < least;
    least = is_nearer ? sums : least;
    place = is_nearer ? CodewordInts{} + static_cast<std::int32_t>(c) : place;
  }
  std::uint32_t nearest = 0;
  float distance = least[0];
  for (std::size_t lane = 0; lane < kCodewords; ++lane) {
    const auto codeword = static_cast<std::uint32_t>(place[lane]) + static_cast<std::uint32_t>(lane);
    if (lane == 0 || least[lane] < distance || (least[lane] == distance && codeword < nearest)) {
      nearest = codeword;
      distance = least[lane];
    }
  }
  return nearest;
}

template <class Isa>
Kernels fill_table() {
  Kernels table;
  table.dot[0] = score_floats<Isa, Dot, Float32>;
  table.dot[1] = score_floats<Isa, Dot, Float16>;
  table.dot[2] = score_words<Isa, Dot, Int8>;
  table.dot[3] = score_words<Isa, Dot, Uint8>;
  table.dot[4] = score_floats<Isa, Dot, Coded>;
  table.l2[0] = score_floats<Isa, SquaredL2, Float32>;
  table.l2[1] = score_floats<Isa, SquaredL2, Float16>;
  table.l2[2] = score_words<Isa, SquaredL2, Int8>;
  table.l2[3] = score_words<Isa, SquaredL2, Uint8>;
  table.l2[4] = score_floats<Isa, SquaredL2, Coded>;
  table.l1[0] = score_floats<Isa, L1, Float32>;
  table.l1[1] = score_floats<Isa, L1, Float16>;
  table.l1[2] = score_words<Isa, L1, Int8>;
  table.l1[3] = score_words<Isa, L1, Uint8>;
  table.l1[4] = score_floats<Isa, L1, Coded>;
  table.hamming = hamming<Isa>;
  table.jaccard = jaccard<Isa>;
  table.code_products = code_products<Isa>;
  table.code_products_at = code_products_at<Isa>;
  table.code_distances = code_distances<Isa>;
  table.count_at_most = count_at_most<Isa>;
  table.collect_at_most = collect_at_most<Isa>;
  table.codeword_products = codeword_products<Isa>;
  table.nearest_codeword = nearest_codeword<Isa>;
  return table;
}

}  // namespace vicino::loops
