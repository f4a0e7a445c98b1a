// The nested code of dense float vectors: 1 bit within 4 bits within 8 bits, one encoding for every index.
//
// A coordinate x of a row's projected residual (transform.h) becomes a byte floor(x / step) + 128, clamped. Its high nibble is the 4-bit
// code, its top bit the 1-bit code. The step is chosen per row so that the code points in the row's direction as well as it can. After
// RaBitQ (Gao and Long 2024; Gao et al. 2025), with r the residual, u its code read as numbers around zero and q the query's residual,
//   <r, q> ~ scale * <u, q>   with   scale = |r|^2 / <u, r>
// which has no systematic error under a random rotation. A distance needs one more number per row:
//   l2           |r|^2                                    -> |x - y|^2 = add + |q|^2 - 2 <r, q>
//   cosine, dot  <r, mean>, with the query's part along the mean taken out of q: what the rows share is then exact
// so every level is   distance ~ base + along * add + slope * scale * (integer dot product)   with base, along, slope of the query.
// The distances are the ordering distances of kernels/vectors.h: 1 - cos, -<q, x>, squared l2. l1 has no codes.
//
// The rounding noise of a code is the same for all rows when measured in steps, and a step is proportional to `scale`. So a bound of the
// error needs no byte per row: it is scale * QueryState::error_of(level), with the constants measured on the sample when it is trained.
// About 99 % of the estimates lie within it.
//
// Planes, for n rows of D = code_dims coded dimensions:
//   high     stride bytes a row, D / 2 of them used: nibbles; line l of 64 bytes holds dimension 128 l + j in the low half of byte j and
//            128 l + 64 + j in its high half. A last half line holds 128 l + j and 128 l + 32 + j. Rows start at whole cache lines where
//            that costs at most a tenth.
//   factors  (add, scale) of the 4-bit code, two float16 in units of `units`, or two float32 where half precision would be seen
//   low      as high, the low nibbles: code8 = 16 * high + low
//   fine     (add, scale) of the 8-bit code, float32
//   blocks   of 32 rows: D / 16 * 64 bytes of 1-bit codes interleaved for table lookups, then 32 adds and 32 scales, float32
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "codes/transform.h"

namespace vicino {

enum class CodeLevel : std::uint8_t { bits1 = 1, bits4 = 4, bits8 = 8 };

struct LadderOptions {
  /// Which planes `encode` makes: bits4 always, blocks and the low nibbles as asked.
  bool blocks = false;
  bool low = false;
  std::uint32_t nav_dims = 0;  // as TransformOptions
  std::uint64_t seed = 0;
};

constexpr std::uint32_t kCodeBlockRows = 32;

/// How the factors of the 4-bit code are written: as small as no estimate shows, which depends on all rows, or always as floats, so that planes
/// made piece by piece go together.
enum class FactorChoice : std::uint8_t { smallest, floats };

struct RowFactors {
  float add = 0;
  float scale = 0;
};

enum class FactorFormat : std::uint8_t { float16, float32 };
/// Bytes of one row's factors.
constexpr std::size_t factor_bytes(FactorFormat format) { return format == FactorFormat::float16 ? 4 : 8; }

/// How the factors of the 4-bit code are packed where they lie beside whatever names a row (the links of a graph) instead of in a plane:
/// as the plane has them, or in one byte each where nobody would see the difference.
struct PackedFactors {
  std::uint32_t bytes = 0;  // of one row: 4 for two float16, 2 for two bytes, 0 where neither is fine enough
  RowFactors low, step;     // of bytes: low + step * byte
};

/// Where the planes of some rows lie; null for those that were not made. Valid as long as what owns the bytes.
struct CodeView {
  std::uint32_t rows = 0;
  FactorFormat format = FactorFormat::float16;
  RowFactors units{1, 1};  // what 1.0 in `factors` stands for
  const std::uint8_t* high = nullptr;
  const std::uint8_t* factors = nullptr;
  const std::uint8_t* low = nullptr;
  const RowFactors* fine = nullptr;
  const std::uint8_t* blocks = nullptr;
};

/// Planes in memory of their own.
struct CodePlanes {
  CodeView view;
  std::shared_ptr<std::uint8_t[]> high, factors, low, fine, blocks;
};

/// One query made ready; reused from query to query without allocating.
class QueryState {
 public:
  QueryState() = default;
  QueryState(QueryState&&) = default;
  QueryState& operator=(QueryState&&) = default;

  /// Half the width of the band around an estimate in which 99 % of the true distances lie, for a row with this scale
  /// (of the level's own factors). The second part does not depend on the row: it is what uncoded dimensions may add.
  float error_of(CodeLevel level, float scale) const { return scale * error_slopes_[index_of(level)] + error_bases_[index_of(level)]; }

 private:
  friend class Ladder;
  static constexpr std::size_t index_of(CodeLevel level) { return level == CodeLevel::bits1 ? 0 : level == CodeLevel::bits4 ? 1 : 2; }
  void reserve(std::size_t code_dims, std::size_t scratch);

  std::size_t code_dims_ = 0, scratch_size_ = 0;
  std::shared_ptr<std::uint8_t[]> memory_;
  float* projected_ = nullptr;
  float* scratch_ = nullptr;
  std::int8_t* codes_ = nullptr;   // 8-bit query in the order of the nibbles, padded with zeros to whole lines
  std::uint8_t* table_ = nullptr;  // for the scan of 1-bit blocks; made by prepare_scan
  float base_ = 0, along_ = 0;
  float factor_ = 0;               // distance per unit of <r, q>: -1, or -2 for l2
  float step_ = 0;                 // of `codes_`
  std::int32_t sum_ = 0;           // of `codes_`
  float table_step_ = 0;
  float table_offset_ = 0;         // <u, q> = table_step * (table sum) + table_offset
  float norm_ = 0, largest_ = 0;   // of q over the coded dimensions
  float error_slopes_[3] = {};
  float error_bases_[3] = {};
};

/// Planes as they lie in a file; empty for those that were not made.
struct CodeSections {
  std::uint32_t rows = 0;
  FactorFormat format = FactorFormat::float16;
  RowFactors units{1, 1};
  Bytes high, factors, low, fine, blocks;
};

class Ladder {
 public:
  /// Trains on the rows of a sample (a few thousand are plenty; none gives a usable ladder without a mean). Float rows under cosine, dot
  /// or l2; else InvalidArgument. Deterministic for any number of threads.
  static Ladder train(const VectorBlock& sample, Metric metric, const LadderOptions& options, unsigned threads, const Cancel& cancel);

  const Transform& transform() const { return transform_; }
  const LadderOptions& options() const { return options_; }
  std::uint32_t code_dims() const { return transform_.code_dims(); }
  /// Bytes from one row of `high` or `low` to the next.
  std::size_t stride() const { return stride_; }
  /// Bytes of one block of 32 rows.
  std::size_t block_bytes() const { return block_bytes_; }
  std::size_t n_blocks(std::uint32_t rows) const { return (rows + std::size_t{kCodeBlockRows} - 1) / kCodeBlockRows; }

  /// Planes of the rows order[i] of the block, or of all rows as they stand when `order` is empty. Float rows with the ladder's dims.
  CodePlanes encode(const VectorBlock& rows, std::span<const std::uint32_t> order, unsigned threads, const Cancel& cancel,
                    FactorChoice factors = FactorChoice::smallest) const;
  /// The 1-bit codes and factors of the 32 rows from `first` as one block; a row whose bit is not set in `present` is not read. For what
  /// grows: several times as fast as `encode`, which weighs steps for the other levels.
  void encode_block(const VectorBlock& rows, std::uint32_t first, std::uint32_t present, std::uint8_t* block) const;

  /// `query` is float32 with the transform's dims, as the user wrote it.
  void prepare(const float* query, QueryState& state) const;
  /// Makes the table that `scan1` reads; after prepare.
  void prepare_scan(QueryState& state) const;

  /// out[i] = estimated distance of row ids[i]. Best in groups of 8. The caller prefetches.
  void score4(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t count, float* out) const;
  /// out[i] = estimated distance of row first + i.
  void score4_block(const QueryState& state, const CodeView& codes, std::uint32_t first, std::size_t count, float* out) const;
  /// As score4, with the factors of row ids[i] in packed[i] instead of the plane's.
  void score4_packed(const QueryState& state, const CodeView& codes, const PackedFactors& form, const std::uint32_t* ids,
                     const std::uint32_t* packed, std::size_t count, float* out) const;
  /// Bytes of the 4-bit codes and factors of 16 rows that lie column by column, which is read fastest (kernels/columns_loops.h).
  std::size_t column_group_bytes() const { return code_dims() / 2 * kCodeColumnRows + kCodeColumnRows * sizeof(RowFactors); }
  /// Such a group of up to 16 rows of a plane; rows that are missing are zeros.
  void pack_columns(const CodeView& codes, std::span<const std::uint32_t> ids, std::uint8_t* group) const;
  /// out[i] = estimated distance of row i of these groups, as score4 has it. n_behind: groups behind them that will be read next.
  void score4_columns(const QueryState& state, const std::uint8_t* groups, std::size_t n_groups, std::size_t n_behind, float* out) const;
  /// As score4, by the 8-bit code.
  void score8(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t count, float* out) const;
  /// out[i] = estimated distance of row i of one block; errors[i], unless null, is its bound. Rows beyond the last give base distances.
  void scan1(const QueryState& state, const std::uint8_t* block, float* out, float* errors) const;
  /// least[i] and most[i] = what the distance of row i of so many blocks is between, where its estimate is off by up to `errors` times its
  /// bound. After prepare_scan.
  void scan_bounds(const QueryState& state, const std::uint8_t* blocks, std::size_t n_blocks, float errors, float* least, float* most) const;

  /// Where the planes lie. Throws CorruptionError naming `what` unless each has the size that so many rows take. Without `has_high` only
  /// the 1-bit codes were kept.
  CodeView view_of(const CodeSections& sections, const std::string& what, bool has_high = true) const;
  /// The scale of row `row`'s 4-bit or 8-bit code, for QueryState::error_of.
  float scale_of(const CodeView& codes, CodeLevel level, std::uint32_t row) const;

  /// How these factors are best packed, and those of one row.
  PackedFactors packing_of(const CodeView& codes) const;
  std::uint32_t packed_factors(const CodeView& codes, const PackedFactors& form, std::uint32_t row) const;

  std::string to_bytes() const;
  /// Throws CorruptionError naming `what` where the bytes are no ladder.
  static Ladder from_bytes(Bytes bytes, const std::string& what);

 private:
  void derive();
  void calibrate(const VectorBlock& sample, const Cancel& cancel);
  void encode_rows(const VectorBlock& rows, std::span<const std::uint32_t> order, std::uint32_t first, std::uint32_t count, CodePlanes& planes,
                   RowFactors* factors) const;
  void pack_factors(const std::vector<RowFactors>& factors, FactorChoice choice, CodePlanes& planes) const;
  RowFactors factors_of(const CodeView& codes, std::uint32_t row) const;
  bool shows(RowFactors lost, RowFactors row) const;
  CodeQuery query_of(const QueryState& state, std::int32_t offset, RowFactors units) const;
  void score_high(const QueryState& state, const CodeView& codes, const std::uint32_t* ids, std::size_t first, std::size_t count, float* out) const;

  Transform transform_;
  LadderOptions options_;
  float noise_[3] = {};       // rounding noise of the levels that 99 % of estimates stay below, per unit of scale * |q|
  float tail_noise_[3] = {};  // what the uncoded dimensions add to that, per unit of the query's uncoded norm
  std::size_t stride_ = 0, block_bytes_ = 0;
};

}  // namespace vicino
