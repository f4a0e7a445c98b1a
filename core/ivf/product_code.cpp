// Opening product codes and scoring with them. They are made in product_build.cpp.
#include "ivf/product_code.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>

#include "ivf/product_layout.h"
#include "ivf/rotation.h"
#include "util/errors.h"
#include "util/prefetch.h"
#include "util/read_ahead.h"

namespace vicino {

namespace {

constexpr std::size_t kCodewords = 16;            // of a subvector of 4 bits
constexpr std::size_t kPrefetchedMax = 16 * 1024;  // of a list; what comes later is met by the processor's own prefetching

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("product codes: " + message + "; rebuild the index of this segment"); }

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

typedef float Four __attribute__((vector_size(16)));
typedef std::int32_t FourInts __attribute__((vector_size(16)));

inline Four lesser(Four a, Four b) { return a < b ? a : b; }
inline Four greater(Four a, Four b) { return a > b ? a : b; }

/// The sixteen entries of a table.
struct Entries {
  Four part[4];
};
inline Entries entries_at(const float* table) {
  Entries entries;
  std::memcpy(&entries, table, sizeof entries);
  return entries;
}

struct Range {
  float least, most;
};
inline Range range_of(const Entries& e) {
  Four least = lesser(lesser(e.part[0], e.part[1]), lesser(e.part[2], e.part[3]));
  Four most = greater(greater(e.part[0], e.part[1]), greater(e.part[2], e.part[3]));
  least = lesser(least, __builtin_shufflevector(least, least, 2, 3, 0, 1));
  most = greater(most, __builtin_shufflevector(most, most, 2, 3, 0, 1));
  least = lesser(least, __builtin_shufflevector(least, least, 1, 0, 3, 2));
  most = greater(most, __builtin_shufflevector(most, most, 1, 0, 3, 2));
  return {least[0], most[0]};
}

/// Steps above the least entry, from 0 to 255; what is no number becomes 0.
inline FourInts steps_of(Four products, float least, float steps_of_one) {
  const Four steps = greater((products - least) * steps_of_one + 0.5f, Four{});
  return __builtin_convertvector(lesser(steps, Four{} + 255.0f), FourInts);
}

/// Tables as bytes: entry - least entry of the table, in steps that fit the widest of them.
void make_byte_table(const ProductShape& shape, ProductQuery& query) {
  float widest = 0;
  double lowest = 0;
  query.least.resize(shape.subvectors);
  for (std::size_t s = 0; s < shape.subvectors; ++s) {
    const auto [least, most] = range_of(entries_at(query.products.data() + s * kCodewords));
    query.least[s] = least;
    widest = std::max(widest, most - least);
    lowest += least;
  }
  query.step = widest > 256 * FLT_MIN && widest <= FLT_MAX ? widest / 255 : 0;
  query.offset = static_cast<float>(lowest);
  query.table.assign(shape.places() * kCodewords, 0);
  if (query.step == 0) return;
  const float steps_of_one = 1 / query.step;
  for (std::size_t s = 0; s < shape.subvectors; ++s) {
    const Entries e = entries_at(query.products.data() + s * kCodewords);
    // Entry 4 i + j comes to lane i of vector j, so that the bytes of four vectors side by side are in order.
    const Four low = __builtin_shufflevector(e.part[0], e.part[1], 0, 4, 1, 5), high = __builtin_shufflevector(e.part[2], e.part[3], 0, 4, 1, 5);
    const Four low2 = __builtin_shufflevector(e.part[0], e.part[1], 2, 6, 3, 7), high2 = __builtin_shufflevector(e.part[2], e.part[3], 2, 6, 3, 7);
    const Four lanes[4] = {__builtin_shufflevector(low, high, 0, 1, 4, 5), __builtin_shufflevector(low, high, 2, 3, 6, 7),
                           __builtin_shufflevector(low2, high2, 0, 1, 4, 5), __builtin_shufflevector(low2, high2, 2, 3, 6, 7)};
    FourInts bytes = {};
    for (int j = 0; j < 4; ++j) bytes |= steps_of(lanes[j], query.least[s], steps_of_one) << (8 * j);
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(query.table.data() + s * kCodewords, &bytes, sizeof bytes);
  }
}

}  // namespace

std::shared_ptr<const ProductCodes> ProductCodes::open(Bytes bytes, std::size_t n_entries, std::uint32_t n_lists, std::uint32_t dim) {
  ProductHeader header;
  if (bytes.size() < sizeof header) fail("have " + std::to_string(bytes.size()) + " bytes, less than their header");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.has_rotation > 1 || header.has_squares > 1) fail("have flags that are not 0 or 1");
  const std::uint64_t expected = header.has_rotation ? ClusterSpace::stride_of(dim) : dim;
  if (header.dim != expected) fail("are of " + std::to_string(header.dim) + " dimensions, the rows have " + std::to_string(dim));
  if (header.lists != n_lists) fail("are of " + std::to_string(header.lists) + " lists, there are " + std::to_string(n_lists));
  if (header.entries != n_entries) fail("are of " + std::to_string(header.entries) + " entries, the lists have " + std::to_string(n_entries));
  if ((header.bits != 4 && header.bits != 8) || header.subvectors < 1 || header.subvectors > header.dim)
    fail("are " + std::to_string(header.subvectors) + " subvectors of " + std::to_string(header.bits) + " bits");
  if (!(header.noise >= 0 && std::isfinite(header.noise))) fail("have an error bound that is no number of at least 0");
  if (!(header.stretch > 0 && std::isfinite(header.stretch))) fail("have a stretch that is no positive number");
  auto codes = std::make_shared<ProductCodes>();
  codes->shape_ = {header.dim, header.subvectors, header.bits};
  const ProductLayout layout(header, codes->shape_, dim);
  if (bytes.size() != layout.size) fail("have " + std::to_string(bytes.size()) + " bytes, their header makes " + std::to_string(layout.size));
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float)) fail("are not aligned to 4 bytes");
  const auto floats = [&](std::size_t offset, std::size_t count) { return std::span(reinterpret_cast<const float*>(bytes.data() + offset), count); };
  codes->noise_ = header.noise;
  codes->stretch_ = header.stretch;
  codes->row_dim_ = dim;
  codes->means_ = floats(layout.means, std::size_t{n_lists} * dim);
  codes->codebook_ = floats(layout.codebook, codes->shape_.codebook_size());
  if (header.has_rotation) codes->rotation_ = floats(layout.rotation, std::size_t{header.dim} * header.dim);
  if (header.has_squares) codes->squares_ = floats(layout.squares, n_entries);
  codes->codes_ = bytes.data() + layout.codes;
  codes->hot_bytes_ = layout.size;
  if (!all_finite(codes->means_) || !all_finite(codes->codebook_) || !all_finite(codes->rotation_)) fail("hold a mean, a codeword or a direction that is not finite");
  return codes;
}

void ProductCodes::turn_together(std::span<const float* const> vectors, std::span<float* const> turned) const {
  for (float* out : turned) std::fill_n(out, turned_size(), 0.0f);
  if (!rotation_.empty() && vectors.size() == 1) return turn(rotation_, shape_.dim, vectors[0], turned[0]);
  if (!rotation_.empty()) return turn_several(rotation_, shape_.dim, vectors, turned);
  for (std::size_t i = 0; i < vectors.size(); ++i) std::copy_n(vectors[i], shape_.dim, turned[i]);
}

void ProductCodes::prepare(float base, float gain, ProductQuery& query) const {
  query.turned.resize(turned_size());
  const float* const vector = query.vector.data();
  float* const turned = query.turned.data();
  turn_together({&vector, 1}, {&turned, 1});
  prepare_turned(base, gain, query);
}

void ProductCodes::prepare_turned(float base, float gain, ProductQuery& query) const {
  const std::size_t n = shape_.codewords(), width = shape_.width();
  const float length = std::sqrt(kernels().sum_vectors(query.vector.data(), query.vector.data(), query.vector.size() / 16 * 16).square);
  query.products.resize(shape_.subvectors * n);
  ProductTerms& terms = query.terms;
  terms = {base, squares_.empty() ? -gain : -2 * gain, gain, 0, 0};
  terms.error = std::fabs(terms.slope) * noise_ * length;
  for (std::size_t s = 0; s < shape_.subvectors; ++s)
    kernels().codeword_products(query.turned.data() + s * width, codebook_.data() + s * width * n, width, n, query.products.data() + s * n);
  if (!has_blocks()) return;
  make_byte_table(shape_, query);
  // Sums of bytes are steps of the table.
  const float slope = terms.slope * stretch_;
  terms.table_offset = slope * query.offset;
  query.scan = {query.table.data(), 0, slope * query.step, gain, 0};
}

void ProductCodes::score(const ProductQuery& query, std::uint32_t list, std::size_t first, std::size_t count, float* out) const {
  const auto* mean = reinterpret_cast<const std::uint8_t*>(mean_of(list).data());
  float product;
  kernels().dot[0](query.vector.data(), &mean, 1, row_dim_, &product);
  const float shift = query.terms.shift(product);
  if (has_blocks()) {
    ProductScan every = query.scan;
    every.shift = shift;
    every.limit = __builtin_inff();
    return scan({&every, 1}, first, count, nullptr, [&](std::size_t, std::size_t entry, float estimate) { out[entry - first] = estimate; });
  }
  score_bytes(query, first, count, out);
  const float factor = query.terms.slope * stretch_;
  if (squares_.empty()) {
    for (std::size_t i = 0; i < count; ++i) out[i] = shift + factor * out[i];
  } else {
    const float* squares = squares_.data() + first;
    for (std::size_t i = 0; i < count; ++i) out[i] = (shift + query.terms.square_slope * squares[i]) + factor * out[i];
  }
}

void ProductCodes::score_bytes(const ProductQuery& query, std::size_t first, std::size_t count, float* out) const {
  // Four entries at a time: a sum waits for its last addition, four of them do not.
  constexpr std::size_t together = 4;
  const std::size_t m = shape_.subvectors;
  for (std::size_t i = 0; i < count; i += together) {
    const std::uint8_t* codes[together];
    for (std::size_t e = 0; e < together; ++e) codes[e] = codes_ + (first + std::min(i + e, count - 1)) * m;
    float sums[together] = {};
    const float* table = query.products.data();
    for (std::size_t s = 0; s < m; ++s, table += 256)
      for (std::size_t e = 0; e < together; ++e) sums[e] += table[codes[e][s]];
    for (std::size_t e = 0; e < std::min(together, count - i); ++e) out[i + e] = sums[e];
  }
}

void ProductCodes::prefetch(std::uint32_t list, std::size_t first, std::size_t count) const {
  prefetch_run(means_.data() + std::size_t{list} * row_dim_, row_dim_ * sizeof(float));
  const std::size_t begin = has_blocks() ? first / kBlockRows * kBlockRows : first;
  prefetch_run(codes_ + shape_.code_bytes(begin), std::min(kPrefetchedMax, shape_.code_bytes(first + count - begin)));
}

void ProductCodes::read_ahead(std::size_t first, std::size_t count) const {
  const std::size_t begin = first / kBlockRows * kBlockRows, end = (first + count + kBlockRows - 1) / kBlockRows * kBlockRows;
  if (shape_.bits == 4) vicino::read_ahead(codes_ + shape_.code_bytes(begin), shape_.code_bytes(end) - shape_.code_bytes(begin));
  else vicino::read_ahead(codes_ + first * shape_.subvectors, count * shape_.subvectors);
  if (!squares_.empty()) vicino::read_ahead(squares_.data() + first, count * sizeof(float));
}

}  // namespace vicino
