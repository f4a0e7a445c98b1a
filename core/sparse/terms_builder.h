// Makes the sections of a `.terms` container (sealed_terms.h): from the values of head rows, from other indexes by a mapping of their rows, or both.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sparse/head_terms.h"
#include "sparse/term_index.h"
#include "util/cancel.h"

namespace vicino {

class TermsBuilder {
 public:
  static constexpr std::uint32_t kDropped = ~std::uint32_t{0};
  /// (name of the section, its bytes), in the order of the file.
  using Image = std::vector<std::pair<std::string, std::string>>;

  TermsBuilder(TermKind kind, bool positions);

  /// The value of an output row. Rows ascend over all calls of this add. Throws CorruptionError for a damaged value.
  void add(std::uint32_t row, Bytes value);
  /// Every row of `index` becomes output row mapping[row], or is dropped. Each output row comes from one input; the index must stay alive until
  /// finish(). Views of heads and sealed indexes of text go; a sealed sparse index does not, because its weights are rounded: add its values.
  /// Throws InvalidArgument when kind or positions differ or the mapping has another size.
  void add(const TermIndex& index, std::span<const std::uint32_t> mapping);
  /// The sections for n_rows rows. The same rows give the same bytes, however they were added. Throws Cancelled.
  Image finish(std::uint32_t n_rows, const Cancel& cancel);

  /// Upper bound of the memory that finish() takes beside the inputs, its result included.
  std::size_t working_bytes(std::uint32_t n_rows) const;
  /// Beforehand: the same for inputs that are not added yet. `input_bytes`: sizes of `.terms` containers and of values together.
  static std::size_t working_bytes(std::uint32_t n_rows, std::size_t input_bytes);

 private:
  struct Input {
    const TermIndex* index;
    std::vector<std::uint32_t> mapping;  // empty: rows stay
  };
  TermKind kind_;
  bool positions_;
  std::shared_ptr<HeadTerms> values_;
  std::vector<Input> inputs_;
  std::size_t input_bytes_ = 0;
};

}  // namespace vicino
