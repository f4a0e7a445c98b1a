// Fixed dimensional encodings: one dense vector per multi-vector, such that the dot product of a query's and a document's is near their MaxSim
// (Dhulipala, Hadian, Jayaram, Lee and Mirrokni 2024, "MUVERA: Multi-Vector Retrieval via Fixed Dimensional Encodings", arXiv 2405.19504).
//
// Each repetition cuts space into 2^bits cells by random hyperplanes (SimHash). A query's cell holds the sum of its tokens there, a
// document's the mean; an empty cell of a document takes the token whose cell differs in the fewest bits. Tokens are projected to fewer
// dimensions by random signs first, and all cells together may be folded into a final dimension by a count sketch.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace vicino {

struct FixedEncodingParams {
  std::uint32_t dim = 0;
  std::uint32_t repetitions = 20;
  std::uint32_t bits = 5;
  std::uint32_t projected_dim = 16;  // 0, or dim: tokens as they are
  std::uint32_t final_dim = 0;       // 0: all cells as they are
  std::uint64_t seed = 0;
};

class FixedEncoding {
 public:
  /// Throws InvalidArgument for numbers out of range.
  explicit FixedEncoding(const FixedEncodingParams& params);

  std::size_t size() const { return params_.final_dim ? params_.final_dim : n_cells_total_; }
  /// `tokens` is n x dim, n at least 1; for cosine the caller brings tokens to norm 1.
  std::vector<float> document(std::span<const float> tokens) const;
  std::vector<float> query(std::span<const float> tokens) const;

 private:
  struct Cells;
  Cells cells_of(std::span<const float> tokens, std::uint32_t repetition) const;
  std::vector<float> finish(const std::vector<double>& cells) const;

  FixedEncodingParams params_;
  std::uint32_t width_;          // of a cell
  std::size_t n_cells_total_;    // numbers in all cells of all repetitions
  std::vector<float> planes_;    // repetitions x bits x dim
  std::vector<float> signs_;     // repetitions x width x dim, empty without projection
  std::vector<std::uint32_t> places_;  // of the count sketch, and below its signs
  std::vector<float> place_signs_;
};

}  // namespace vicino
