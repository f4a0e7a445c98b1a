// The table of kernels that one instruction set fills.
//
// The wide units include only this header and loops.h: an inline function of the standard library compiled there could be merged by the
// linker with its portable twin, and then run on a machine without those instructions.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vicino {

/// out[i] = raw value of the query and rows[i], for i < count. The query is float32 for float rows, else of the rows' own type.
/// Nothing is assumed about alignment. Integer kernels sum exactly and round once to float; float kernels are deterministic.
using Kernel = void (*)(const void* query, const std::uint8_t* const* rows, std::size_t count, std::uint32_t dim, float* out);

/// dots[r * n_columns + c] = exact dot product of code row r and code column c, values within -127..127. Rows and columns are `stride`
/// bytes apart, zero-padded to it; stride is a multiple of 64, at most 65,600. column_sums[c] is the sum of column c's values.
using CodeProducts = void (*)(const std::int8_t* rows, std::size_t n_rows, const std::int8_t* columns, const std::int32_t* column_sums,
                              std::size_t n_columns, std::size_t stride, std::int32_t* dots);

/// dots[i] = exact dot product of a code row and columns[i], which lie anywhere; otherwise as above.
using CodeProductsAt = void (*)(const std::int8_t* row, const std::int8_t* const* columns, const std::int32_t* column_sums, std::size_t n_columns,
                                std::size_t stride, std::int32_t* dots);

/// What turns exact dot products of codes into squared distances: |a - b|^2 = norm_a + norm_b - 2 scale_a scale_b <a, b> + (extra_a - extra_b)^2.
struct CodeFactors {
  float norm = 0;   // of the decoded code, squared
  float scale = 0;  // one step of the code
  float extra = 0;  // a further coordinate that is not coded
};
/// out[i] = squared distance, never negative, of `self` and column i whose factors lie in three parallel arrays.
using CodeDistances = void (*)(const std::int32_t* dots, std::size_t count, CodeFactors self, const float* norms, const float* scales,
                               const float* extras, float* out);

/// How many of the values are at most `bound`.
using CountAtMost = std::size_t (*)(const float* values, std::size_t count, float bound);
/// Writes the ascending positions of the values at most `bound` and returns how many. `out` has room for count + kCollectSlack: wide
/// kernels store whole vectors.
constexpr std::size_t kCollectSlack = 16;
using CollectAtMost = std::size_t (*)(const float* values, std::size_t count, float bound, std::uint32_t* out);

/// The query of a MaxSim as kernels/maxsim.h packs it, in groups of kMaxSimLanes tokens.
constexpr std::size_t kMaxSimLanes = 16;
struct MaxSimQuery {
  const std::uint8_t* bytes;
  const std::int16_t* words;
  std::size_t n_groups;
};
/// Raises best[lane] to scales[t] * <token t, query token `lane`> for every token t < n_tokens. Tokens are int8 codes `stride` bytes apart,
/// a multiple of 4; corrections[t] is -128 times the sum of token t's code. The product of codes is exact.
using MaxSimCodes = void (*)(const std::int8_t* tokens, std::size_t n_tokens, std::size_t stride, const float* scales,
                             const std::int32_t* corrections, const MaxSimQuery& query, float* best);
/// The same over floats with factors[t] for a scale; best_token[lane] becomes the first token that gives the maximum.
using MaxSimFloats = void (*)(const float* tokens, std::size_t n_tokens, std::size_t dim, const float* factors, const float* query,
                              std::size_t n_groups, float* best, std::uint32_t* best_token);
/// Sorts keys, smallest first. A few dozen at a time, millions of times in a build.
using SortKeys = void (*)(std::uint64_t* keys, std::size_t count);
/// The keys of a walk order nodes by their distances: the bits of the distance, made to sort as integers, above the number of the node, above
/// one bit for the walk's own use. Keys are made of the distances at most `bound`, in their order; node i is nodes[i], or i where that is
/// null. Returns how many there are. `keys` has room for count + kKeySlack: wide kernels store whole vectors.
constexpr std::size_t kKeySlack = 16;
using CollectKeys = std::size_t (*)(const float* distances, const std::uint32_t* nodes, std::size_t count, float bound, std::uint64_t* keys);
/// Puts new keys, at least one and in any order, among the `size` ascending ones of a pool, and returns the place of the first of them.
/// `pool` has room for size + count + kKeySlack; the new keys are sorted on the way.
using MergeKeys = std::size_t (*)(std::uint64_t* pool, std::size_t size, std::uint64_t* keys, std::size_t count);
/// IEEE 754 binary16 to float.
using WidenHalves = void (*)(const std::uint8_t* halves, std::size_t count, float* out);

/// What a posting of a text adds to a row's sum, in whole units: weight * (f / (f + fixed + per_word * l)) for frequency f and length l, rounded, but at
/// least 1. Frequencies and lengths are below 2^31, and so must be what comes out.
struct TextShare {
  float weight, fixed, per_word;
};
using TextShares = void (*)(const std::uint32_t* frequencies, const std::uint32_t* lengths, std::size_t count, TextShare share, std::uint32_t* out);
/// The same of a sparse vector: weight * weights[i], rounded, but at least 1.
using WeightShares = void (*)(const float* weights, std::size_t count, float weight, std::uint32_t* out);
/// Writes the ascending positions of the sums at or above `bound` (at least 1) whose bits are set in `allowed` (null: all of them), and those
/// sums, makes all sums zero, and returns how many it wrote. The count is a multiple of 64; the outputs have room for count.
using TakeSums = std::size_t (*)(std::uint32_t* sums, std::size_t count, std::uint32_t bound, const std::uint64_t* allowed, std::uint32_t* out,
                                 std::uint32_t* out_sums);
using TakeBounds = std::size_t (*)(std::uint16_t* sums, std::size_t count, std::uint16_t bound, const std::uint64_t* allowed, std::uint32_t* out,
                                   std::uint16_t* out_sums);
/// Turns gaps into rows: each is so many behind the one before, the first behind `first`. Sums wrap around.
using RowSums = void (*)(std::uint32_t* gaps, std::size_t count, std::uint32_t first);
/// Dimensions of a row in 8 bits that share a scale, see kernels/coded_rows.h.
constexpr std::size_t kCodedRun = 64;

/// What turns integer dot products with one query into estimated distances; see codes/ladder.h.
/// distance = base + along * add + (slope * scale) * float(whole dot), saturated at the largest float; NaN becomes that too.
struct CodeQuery {
  const std::int8_t* codes = nullptr;  // lines of 128 bytes, zero beyond the last dimension
  std::size_t row_bytes = 0;           // nibbles of one row: a multiple of 32
  std::int32_t offset = 0;             // taken off the whole dot, which is twice the dot product of nibbles (or of bytes for both planes)
  float base = 0, along = 0, slope = 0;
  // What factors of one byte each stand for: low + step * byte.
  float add_low = 0, add_step = 0, scale_low = 0, scale_step = 0;
};
/// Rows of nibbles and their factors. Row i stands for rows[i], or for `first` + i where `rows` is null.
struct CodeRows {
  const std::uint8_t* high = nullptr;
  const std::uint8_t* low = nullptr;  // only for the 8-bit code
  std::size_t stride = 0;
  const std::uint8_t* factors = nullptr;
  const std::uint32_t* rows = nullptr;
  std::size_t first = 0;
  const std::uint32_t* packed = nullptr;  // instead of `factors`: those of row i in packed[i], two float16, or two bytes
};
/// out[i] = estimated distance of row i < count. One kernel for factors in float16, one for float32, one for both planes (float32), and
/// two for packed factors.
using CodeScores = void (*)(const CodeQuery& query, const CodeRows& rows, std::size_t count, float* out);
/// Rows of a group whose codes lie column by column (columns_loops.h), and the distances of such rows: the same bits as those of a plane.
/// n_behind: groups behind these that will be read next.
constexpr std::size_t kCodeColumnRows = 16;
using CodeColumnScores = void (*)(const CodeQuery& query, const std::uint8_t* groups, std::size_t n_groups, std::size_t n_behind, float* out);
/// sums[row] = sum of the table's entries that the nibbles of row < 32 of a block select. 64 bytes of block and table for 16 dimensions.
using CodeBlockSums = void (*)(const std::uint8_t* block, const std::uint8_t* table, std::size_t n_groups, std::uint32_t* sums);

/// One of the queries that look at blocks of product codes together; see ivf/product_code.h.
///   estimate = shift + factor * sum, or (shift + square_slope * square) + factor * sum
struct ProductScan {
  const std::uint8_t* table = nullptr;  // 64 bytes a group, as that of code_block_sums
  float shift = 0, factor = 0, square_slope = 0;
  float limit = 0;  // of the estimates that are looked for
};
constexpr std::size_t kScannedTogether = 4;  // queries
/// The block is read once for all queries, at most kScannedTogether. Row i of it counts where bit i of `wanted` is set; `squares`, null where
/// there are none, is read for no other row. estimates[32 q + i] is what query q makes of row i if that counts, and bit i of found[q] says that
/// it counts and its estimate is not above the limit, or is no number. The same bits on every set.
using ScanProducts = void (*)(const ProductScan* queries, std::size_t n_queries, const std::uint8_t* block, const float* squares, std::size_t n_groups,
                              std::uint32_t wanted, float* estimates, std::uint32_t* found);

/// What turns the sums of a block into estimated distances and their bounds; see codes/ladder.h. A block ends with 32 adds and 32 scales.
///   distance = base + along * add + (factor * scale) * (step * sum + offset), saturated as above;  error = slope * scale + error_base
struct CodeBlockQuery {
  const std::uint8_t* table = nullptr;
  std::size_t n_groups = 0;
  float base = 0, along = 0, factor = 0;
  float step = 0, offset = 0;
  float slope = 0, error_base = 0;
};
/// least[i] = distance - error, never below the lowest float, and most[i] = distance + error of row i of so many blocks. The same bits on
/// every set.
using CodeBlockBounds = void (*)(const CodeBlockQuery& query, const std::uint8_t* blocks, std::size_t n_blocks, float* least, float* most);

/// The links of one node of a graph, and what a walk needs to follow them.
struct LinkSlots {
  const std::uint32_t* nodes = nullptr;   // the first number that is not below n_nodes ends them
  std::size_t count = 0;
  std::uint32_t n_nodes = 0;
  const std::uint8_t* codes = nullptr;    // what will be read of node i soon: `stride` bytes at codes + i * stride
  std::size_t stride = 0;
};
struct LinksTaken {
  std::size_t used = 0;   // links before the first number that is none
  std::size_t unmet = 0;  // of these, written
};
/// Writes the linked nodes whose bits are not set in `met`, and in which slot each was; sets the bits and asks for the codes. `nodes` and
/// `places` have room for one more than there are slots.
using TakeUnmet = LinksTaken (*)(const LinkSlots& slots, std::uint32_t* met, std::uint32_t* nodes, std::uint32_t* places);

/// Rounds of signs, Hadamard transforms of blocks and a permutation of groups of 16 across the blocks; see codes/transform.h.
/// `signs` holds `dims` factors a round. `scratch` has room for dims floats; the result is in `values`.
struct RotationShape {
  std::size_t dims = 0, block = 0, rounds = 0;
};
using Rotate = void (*)(const RotationShape& shape, const float* signs, float* values, float* scratch);
/// The code of a vector of `dims` coordinates, a multiple of 64, and how well it fits.
struct CodeFit {
  float norm = 0;                                  // |x|^2
  float along1 = 0, along4 = 0, along8 = 0;        // <x, code> with the code read as numbers around zero
};
/// codes[i] = the byte of coordinate i. `fine` weighs the error of all 8 bits as well as that of the high nibble. The same bits on every set.
using EncodeCode = void (*)(const float* values, std::size_t dims, bool fine, std::uint8_t* codes, CodeFit* fit);
/// The top bits alone of what encode_code makes, much faster: bit i of signs is set where coordinate i is not negative. Only `norm` and
/// `along1` of the fit are filled. Signs has dims / 8 bytes. The same bits on every set.
using EncodeSigns = void (*)(const float* values, std::size_t dims, std::uint8_t* signs, CodeFit* fit);
/// <a, b>, <a, a> and the largest magnitude in a, over a count that is a multiple of 16. The same bits on every set.
struct VectorSums {
  float product = 0, square = 0, largest = 0;
};
using SumVectors = VectorSums (*)(const float* a, const float* b, std::size_t count);
/// out[i] = a[i] * factor + b[i] * other, over a count that is a multiple of 16.
using CombineVectors = void (*)(const float* a, float factor, const float* b, float other, std::size_t count, float* out);
/// codes[i] = values[i] * factor rounded to the nearest even integer; at most 127 in magnitude. Returns the sum. A multiple of 16.
using RoundVector = std::int32_t (*)(const float* values, float factor, std::size_t count, std::int8_t* codes);

/// Codewords of product codes: coordinate j of codeword c at codebook[j * n + c], n a multiple of 16. The same bits on every set.
/// out[c] = <vector, codeword c>
using CodewordProducts = void (*)(const float* vector, const float* codebook, std::size_t width, std::size_t n, float* out);
/// The codeword at the smallest l2 distance, the first of equals.
using NearestCodeword = std::uint32_t (*)(const float* vector, const float* codebook, std::size_t width, std::size_t n);

/// The kernels of one instruction set; a null entry falls back to the next simpler set.
struct Kernels {
  // Indexed by the numeric types: float32, float16, int8, uint8 as in Dtype, then coded rows.
  Kernel dot[5] = {};
  Kernel l2[5] = {};
  Kernel l1[5] = {};
  Kernel hamming = nullptr;
  Kernel jaccard = nullptr;
  CodeProducts code_products = nullptr;
  CodeProductsAt code_products_at = nullptr;
  CodeDistances code_distances = nullptr;
  CountAtMost count_at_most = nullptr;
  CollectAtMost collect_at_most = nullptr;
  SortKeys sort_keys = nullptr;
  CollectKeys collect_keys = nullptr;
  MergeKeys merge_keys = nullptr;
  MaxSimCodes maxsim_codes = nullptr;
  MaxSimFloats maxsim_floats = nullptr;
  WidenHalves widen_halves = nullptr;
  TextShares text_shares = nullptr;
  WeightShares weight_shares = nullptr;
  TakeSums take_sums = nullptr;
  TakeBounds take_bounds = nullptr;
  RowSums row_sums = nullptr;
  CodeScores code_scores_half = nullptr;
  CodeScores code_scores_float = nullptr;
  CodeScores code_scores_byte = nullptr;
  CodeScores code_scores_packed_half = nullptr;
  CodeScores code_scores_packed_byte = nullptr;
  CodeColumnScores code_column_scores = nullptr;
  CodeBlockSums code_block_sums = nullptr;
  CodeBlockBounds code_block_bounds = nullptr;
  ScanProducts scan_products = nullptr;
  Rotate rotate = nullptr;
  EncodeCode encode_code = nullptr;
  EncodeSigns encode_signs = nullptr;
  SumVectors sum_vectors = nullptr;
  CombineVectors combine_vectors = nullptr;
  RoundVector round_vector = nullptr;
  CodewordProducts codeword_products = nullptr;
  NearestCodeword nearest_codeword = nullptr;
  TakeUnmet take_unmet = nullptr;
};

// Internal linkage on purpose, see above.
static inline float jaccard_distance(std::uint64_t both, std::uint64_t either) {
  return either ? static_cast<float>(1.0 - static_cast<double>(both) / static_cast<double>(either)) : 0.0f;
}

}  // namespace vicino
