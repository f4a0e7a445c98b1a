// Product codes of what the mean of a list leaves of a row: the remainder is cut into subvectors, and each is replaced by the nearest of 16
// or 256 codewords (Jegou et al. 2011), trained by k-means. The kind "opq" turns the remainders first, by a rotation trained together with the
// codewords so that they lose least (Ge et al. 2013; rotation.h).
//
// The mean is that of the list's rows, which is where remainders are shortest, and not the centroid by which lists are chosen.
// With c the mean, r the remainder and r' its code, <v, r'> is a sum of one table entry per subvector, and a query needs one set of tables for all lists:
// k-means shortens what it codes: rows that lie in the query's direction, the ones looked for, would all seem farther than they are. So
// codewords count as longer by one factor, the stretch, which makes <r, r'> right on average.
//   l2           |q - x|^2 = |p|^2 - 2 <p, c> + |c + r|^2 - 2 <p, r'>   with p = q - mean; |c + r|^2 is stored per entry, exactly
//   cosine, dot  <q, x>    = <q, mean> + <q, c> + <q, r'>
// Codes of 4 bits are scanned 32 entries at a time by lookups in registers (Andre et al. 2017): tables become bytes with one step for all,
// sums are exact integers. Codes of 8 bits are summed from tables of floats. The error that 99 % of the estimates stay below, as a share of
// |v|, is measured on pairs of rows when the codes are built.
//
//   header 64   u32 dimensions, u32 subvectors, u32 bits, u32 1 with a rotation, u32 1 with squares, f32 noise, f32 stretch,
//               u32 0, u64 entries, u64 lists, zeros
//   means       f32 * lists * dimensions of the rows
//   codewords   f32: subvector after subvector, dimension after dimension, one of each codeword
//   rotation    f32 * dimensions * dimensions; rows are the new directions
//   squares     f32 * entries
//   codes       4 bits: blocks of 32 entries, 16 bytes a subvector, as the 1-bit blocks of codes/ladder.h; 8 bits: one byte a subvector
// Each part starts at a multiple of 64.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ivf/cluster_space.h"
#include "ivf/ivf.h"
#include "ivf/kmeans.h"
#include "ivf/planned_codes.h"
#include "kernels/dispatch.h"

namespace vicino {

/// How a vector is cut. Dimensions beyond the last are zero.
struct ProductShape {
  std::uint32_t dim = 0, subvectors = 0, bits = 4;

  std::uint32_t width() const { return (dim + subvectors - 1) / subvectors; }
  std::uint32_t codewords() const { return 1u << bits; }
  /// Subvectors that take room in a code: of 4 bits whole groups of four.
  std::size_t places() const { return bits == 4 ? (std::size_t{subvectors} + 3) / 4 * 4 : subvectors; }
  std::size_t padded_dim() const { return std::size_t{width()} * subvectors; }
  std::size_t codebook_size() const { return padded_dim() * codewords(); }
  std::size_t code_bytes(std::size_t entries) const {
    return bits == 4 ? (entries + 31) / 32 * places() * 16 : entries * places();
  }
};

/// Throws InvalidArgument for parameters that make no code. subvectors 0 stands for the default.
void check_product_shape(std::uint32_t dim, std::uint32_t subvectors, std::uint32_t bits, bool has_rotation);
ProductShape product_shape_for(std::uint32_t dim, std::uint32_t subvectors, std::uint32_t bits);

/// What an estimate takes from a query, its tables apart.
struct ProductTerms {
  float base = 0, slope = 0, square_slope = 0;
  float table_offset = 0;  // what the least sum of 4-bit tables stands for
  float error = 0;

  /// The part that is the same for all entries of a list, of <v, c>.
  float shift(float product) const { return (base + slope * product) + table_offset; }
};

/// A query's tables; reused from query to query.
struct ProductQuery {
  std::vector<float> vector, turned, products;
  std::vector<float> least;         // entry of each table
  std::vector<std::uint8_t> table;  // of 4 bits
  float step = 0, offset = 0;       // <v, r'> = step * (table sum) + offset
  ProductTerms terms;
  ProductScan scan;  // of 4 bits, the shift of a list and the limit not set
};

class ProductCodes {
 public:
  struct Source {
    const ClusterSpace& space;
    const VectorRows& vectors;
    std::span<const std::uint32_t> entries;
    std::span<const std::uint64_t> starts;
  };
  /// What is given, or referred to by it, must outlive the plan.
  static std::unique_ptr<PlannedCodes> plan(const Source& source, const IvfParams& params, unsigned threads, const Cancel& cancel);
  /// Upper bound of the memory that planning and writing take, what is written not.
  static std::size_t build_bytes(std::size_t entries, std::size_t lists, std::uint32_t dim, const IvfParams& params, unsigned threads);
  /// Throws CorruptionError unless the bytes are the codes of so many entries in so many lists. They must outlive the codes.
  static std::shared_ptr<const ProductCodes> open(Bytes bytes, std::size_t n_entries, std::uint32_t n_lists, std::uint32_t dim);

  /// query.vector holds v; base and gain are those of product_query.h.
  void prepare(float base, float gain, ProductQuery& query) const;
  /// The same where query.turned holds v as the codes see it: turned where they have a rotation.
  void prepare_turned(float base, float gain, ProductQuery& query) const;
  /// The vectors, `padded` floats apart and zero beyond their dimensions, as the codes see them; for several at once, which read the rotation once.
  void turn_together(std::span<const float* const> vectors, std::span<float* const> turned) const;
  /// Floats of a vector as the codes see it.
  std::size_t turned_size() const { return std::max<std::size_t>(shape_.padded_dim(), shape_.dim); }

  bool has_blocks() const { return shape_.bits == 4; }
  std::span<const float> mean_of(std::uint32_t list) const { return means_.subspan(std::size_t{list} * row_dim_, row_dim_); }
  /// out[i] = estimate of entry first + i, which is in this list.
  void score(const ProductQuery& query, std::uint32_t list, std::size_t first, std::size_t count, float* out) const;
  /// Codes of 4 bits: calls take(query, entry, estimate) for the entries from first on that are within the limit of a query when their block is
  /// met; it may lower that limit. At most kScannedTogether queries. `wanted`, if given, has the bits of the entries of each block that count.
  template <class Take>
  void scan(std::span<const ProductScan> queries, std::size_t first, std::size_t count, const std::uint32_t* wanted, Take&& take) const {
    const std::size_t block_bytes = shape_.places() * kBlockRows / 2, end = first + count;
    const auto scan_block = kernels().scan_products;
    for (std::size_t block = first / kBlockRows; block * kBlockRows < end; ++block) {
      const std::uint32_t rows = wanted ? *wanted++ : rows_of_block(block, first, end);
      if (!rows) continue;
      float estimates[kScannedTogether * kBlockRows];
      std::uint32_t found[kScannedTogether];
      const float* squares = squares_.empty() ? nullptr : squares_.data() + block * kBlockRows;
      scan_block(queries.data(), queries.size(), codes_ + block * block_bytes, squares, shape_.places() / kGroup, rows, estimates, found);
      for (std::size_t q = 0; q < queries.size(); ++q)
        for (std::uint32_t left = found[q]; left; left &= left - 1) {
          const auto i = static_cast<std::size_t>(std::countr_zero(left));
          take(q, block * kBlockRows + i, estimates[q * kBlockRows + i]);
        }
    }
  }
  /// Bits of the entries from first to end that are in a block.
  static std::uint32_t rows_of_block(std::size_t block, std::size_t first, std::size_t end) {
    const std::size_t from = std::max(first, block * kBlockRows) % kBlockRows, to = std::min(end - block * kBlockRows, kBlockRows);
    return (to == kBlockRows ? ~0u : (1u << to) - 1) & ~0u << from;
  }
  static constexpr std::size_t kBlockRows = 32;  // of a block of 4-bit codes

  std::size_t hot_bytes() const { return hot_bytes_; }
  /// Asks for what scoring these entries of a list reads, while others are scored.
  void prefetch(std::uint32_t list, std::size_t first, std::size_t count) const;
  /// Asks for the codes of these entries before they are read from a file.
  void read_ahead(std::size_t first, std::size_t count) const;
  const ProductShape& shape() const { return shape_; }

 private:
  static constexpr std::size_t kGroup = 4;  // subvectors

  void score_bytes(const ProductQuery& query, std::size_t first, std::size_t count, float* out) const;

  ProductShape shape_;
  std::uint32_t row_dim_ = 0;  // dimensions of the rows; those of a code may be padded
  float noise_ = 0, stretch_ = 1;
  std::span<const float> means_, codebook_, rotation_, squares_;
  const std::uint8_t* codes_ = nullptr;
  std::size_t hot_bytes_ = 0;
};

}  // namespace vicino
