#include "shard/head_codes.h"

#include <algorithm>
#include <cstring>

#include "util/row_memory.h"

namespace vicino {

namespace {

// Fewer rows are scanned exactly: a tenth of a millisecond that codes would not shorten by much.
constexpr std::uint32_t kCodedMin = 2048;
// The mean of so many rows lies a sixteenth of their spread off that of all.
constexpr std::uint32_t kSampleRows = 256;
// Of a chunk's spread around its own mean, squared, how far that mean may lie off the one in use: errors are then an eighth larger.
constexpr double kDriftMax = 0.25;
// Of codes of fewer dimensions the errors leave too many rows.
constexpr std::uint32_t kDimsMin = 64;

bool have_codes(const ColumnSpec& spec) {
  const bool is_float = spec.dtype == Dtype::float32 || spec.dtype == Dtype::float16;
  return is_float && spec.metric != Metric::l1 && spec.dim >= kDimsMin;
}

/// Copies of some rows, side by side.
class Sample {
 public:
  explicit Sample(const ColumnSpec& spec) : spec_(spec) {}

  void add(const VectorBlock& block, std::uint32_t row) {
    bytes_.insert(bytes_.end(), block.row(row), block.row(row) + row_bytes(spec_.dtype, spec_.dim));
    if (block.inverse_norms) norms_.push_back(block.inverse_norms[row]);
    ++size_;
  }
  std::uint32_t size() const { return size_; }
  VectorBlock block() const { return {bytes_.data(), size_, spec_.dim, spec_.dtype, norms_.empty() ? nullptr : norms_.data()}; }

  std::shared_ptr<const Ladder> train() const {
    LadderOptions options;
    options.blocks = true;
    options.nav_dims = spec_.dim;  // all of them: leading ones would take long to find
    return std::make_shared<const Ladder>(Ladder::train(block(), spec_.metric, options, 1, Cancel()));
  }

 private:
  ColumnSpec spec_;
  std::vector<std::uint8_t> bytes_;
  std::vector<float> norms_;
  std::uint32_t size_ = 0;
};

/// Whether the rows lie off the mean of the transform, compared with how far they lie off each other.
bool has_drifted(const Transform& transform, const VectorBlock& rows) {
  std::vector<float> row(transform.work_dims());
  std::vector<double> sums(transform.work_dims());
  double squares = 0;
  for (std::uint32_t i = 0; i < rows.rows; ++i) {
    transform.fit(rows, i, row.data());
    for (std::size_t j = 0; j < row.size(); ++j) {
      const double residual = static_cast<double>(row[j]) - transform.mean()[j];
      sums[j] += residual;
      squares += residual * residual;
    }
  }
  double offset = 0;
  for (const double sum : sums) offset += sum * sum / rows.rows;
  return offset > kDriftMax * std::max(squares - offset, 0.0);
}

std::uint32_t bits_of_block(const Bitmap& present, std::uint32_t row) {
  return static_cast<std::uint32_t>(present.words()[row / 64] >> row % 64);
}

}  // namespace

std::size_t HeadCodes::extend(std::vector<ColumnChunk>& chunks, const Bitmap& present, std::uint32_t n_present, std::uint32_t n_rows) {
  if (!have_codes(spec_) || n_present < kCodedMin) return 0;
  if (!ladder_) train_first(chunks, present);
  std::size_t allocated = 0;
  for (const std::uint32_t whole = n_rows / kCodeBlockRows * kCodeBlockRows; n_coded_ < whole;) {
    const std::uint32_t number = chunk_number(n_coded_), start = chunk_start(number), capacity = chunk_capacity(number);
    ColumnChunk& chunk = chunks[number];
    if (!chunk.rows) {
      n_coded_ = std::min(whole, start + capacity);
      continue;
    }
    if (!chunk.codes) {
      if (number >= kGrowingChunks) train_again(chunks, present, number);
      const std::size_t bytes = capacity / kCodeBlockRows * ladder_->block_bytes();
      chunk.codes = allocate_rows(bytes);
      std::memset(chunk.codes.get(), 0, bytes);  // blocks passed over before the chunk had rows stay so
      chunk.ladder = ladder_;
      allocated += bytes;
    }
    std::uint8_t* block = chunk.codes.get() + (n_coded_ - start) / kCodeBlockRows * chunk.ladder->block_bytes();
    chunk.ladder->encode_block(block_of(chunk, number), n_coded_ - start, bits_of_block(present, n_coded_), block);
    n_coded_ += kCodeBlockRows;
  }
  return allocated;
}

VectorBlock HeadCodes::block_of(const ColumnChunk& chunk, std::uint32_t number) const {
  return {chunk.rows.get(), chunk_capacity(number), spec_.dim, spec_.dtype, chunk.norms.get()};
}

void HeadCodes::train_first(const std::vector<ColumnChunk>& chunks, const Bitmap& present) {
  Sample sample(spec_);
  std::uint32_t n = 0;
  for (std::uint32_t row = 0; n < kCodedMin; ++row) {
    if (!present.test(row)) continue;
    const std::uint32_t number = chunk_number(row);
    if (n++ % (kCodedMin / kSampleRows) == 0) sample.add(block_of(chunks[number], number), row - chunk_start(number));
  }
  ladder_ = sample.train();
}

void HeadCodes::train_again(const std::vector<ColumnChunk>& chunks, const Bitmap& present, std::uint32_t number) {
  const ColumnChunk& before = chunks[number - 1];
  if (!before.rows) return;
  Sample sample(spec_);
  const std::uint32_t start = chunk_start(number - 1), capacity = chunk_capacity(number - 1);
  for (std::uint32_t row = 0; row < capacity; row += capacity / kSampleRows)
    if (present.test(start + row)) sample.add(block_of(before, number - 1), row);
  if (sample.size() >= kSampleRows / 4 && has_drifted(ladder_->transform(), sample.block())) ladder_ = sample.train();
}

}  // namespace vicino
