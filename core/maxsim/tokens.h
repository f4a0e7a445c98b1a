// The tokens of one stored value: as floats, with the factor their metric needs, and as int8 codes.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "maxsim/spec.h"
#include "util/blob.h"

namespace vicino {

/// Throws CorruptionError, naming the row, unless the value is a whole number of tokens.
std::uint32_t count_tokens(const MultiSpec& spec, Bytes value, std::uint32_t row);

/// Decoded tokens of one value; its memory is used again for the next.
class Tokens {
 public:
  explicit Tokens(const MultiSpec& spec, const Kernels& table = kernels()) : spec_(spec), table_(table) {}
  void read(Bytes value);

  std::size_t size() const { return factors_.size(); }
  const float* values() const { return values_; }
  const float* operator[](std::size_t i) const { return values_ + i * spec_.dim; }
  /// What a dot product with a token is multiplied by: 1 / |token| under cosine, 0 for the zero token, else 1.
  const std::vector<float>& factors() const { return factors_; }

 private:
  MultiSpec spec_;
  const Kernels& table_;
  const float* values_ = nullptr;  // into decoded_, or the value itself where it is aligned floats
  std::vector<float> decoded_, factors_;
};

double norm_of(std::span<const float> token);
/// 1 / |token| in double; 0 for the zero token.
double inverse_norm_of(std::span<const float> token);

/// How a token, multiplied by `factor` in double, was coded.
struct TokenCode {
  double scale = 0;      // token = scale * code
  std::int32_t sum = 0;  // of the code
  double lost = 0;       // |token - scale * code|
  double norm = 0;       // |scale * code|
};
/// Writes `stride` bytes: dim codes within -127..127 and zeros.
TokenCode encode_token(std::span<const float> token, double factor, std::int8_t* code, std::size_t stride);

}  // namespace vicino
