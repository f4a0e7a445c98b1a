#include "shard/row_codes.h"

#include <algorithm>
#include <cstring>
#include <utility>

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

/// Copies of some rows, side by side.
class Sample {
 public:
  explicit Sample(const ColumnSpec& spec) : spec_(spec) {}

  void add(const VectorBlock& block, std::uint32_t row) {
    dtype_ = block.dtype;
    bytes_.insert(bytes_.end(), block.row(row), block.row(row) + row_bytes(block.dtype, spec_.dim));
    if (block.inverse_norms) norms_.push_back(block.inverse_norms[row]);
    ++size_;
  }
  std::uint32_t size() const { return size_; }
  VectorBlock block() const { return {bytes_.data(), size_, spec_.dim, dtype_, norms_.empty() ? nullptr : norms_.data()}; }

  std::shared_ptr<const Ladder> train() const {
    LadderOptions options;
    options.blocks = true;
    options.nav_dims = spec_.dim;  // all of them: leading ones would take long to find
    return std::make_shared<const Ladder>(Ladder::train(block(), spec_.metric, options, 1, Cancel()));
  }

 private:
  ColumnSpec spec_;
  Dtype dtype_ = spec_.dtype;
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

bool is_present(const Bitmap* present, std::uint32_t row) { return !present || present->test(row); }

std::uint32_t bits_of_block(const Bitmap* present, std::uint32_t row) {
  return present ? static_cast<std::uint32_t>(present->words()[row / 64] >> row % 64) : ~0u;
}

}  // namespace

BlockCodes CodesSoFar::of_chunk(std::uint32_t number) const {
  const std::uint32_t start = chunk_start(number);
  if (number >= chunks.size() || !chunks[number].ladder || n_coded <= start) return {};
  return {chunks[number].ladder.get(), chunks[number].blocks.get(), std::min(n_coded - start, chunk_capacity(number)), nullptr};
}

bool RowCodes::pay(const ColumnSpec& spec, std::uint32_t n_present) {
  const bool is_float = spec.dtype == Dtype::float32 || spec.dtype == Dtype::float16;
  return is_float && spec.metric != Metric::l1 && spec.dim >= kDimsMin && n_present >= kCodedMin;
}

std::size_t RowCodes::extend(const RowsOfChunk& rows, const Bitmap* present, std::uint32_t n_present, std::uint32_t n_rows) {
  if (!pay(spec_, n_present)) return 0;
  begin(rows, present);
  std::size_t allocated = 0;
  for (const std::uint32_t whole = n_rows / kCodeBlockRows * kCodeBlockRows; codes_.n_coded < whole;) {
    const std::uint32_t number = chunk_number(codes_.n_coded), start = chunk_start(number), capacity = chunk_capacity(number);
    const VectorBlock block = rows(number);
    if (!block.data) {
      codes_.n_coded = std::min(whole, start + capacity);
      continue;
    }
    if (codes_.chunks.size() <= number) codes_.chunks.resize(number + 1);
    ChunkCodes& chunk = codes_.chunks[number];
    if (!chunk.ladder) {
      if (number >= kGrowingChunks) train_again(rows, present, number);
      const std::size_t bytes = capacity / kCodeBlockRows * ladder_->block_bytes();
      chunk.blocks = allocate_rows(bytes);
      chunk.ladder = ladder_;
      std::memset(chunk.blocks.get(), 0, bytes);  // blocks passed over before the chunk had rows stay so
      allocated += bytes;
    }
    std::uint8_t* out = chunk.blocks.get() + (codes_.n_coded - start) / kCodeBlockRows * chunk.ladder->block_bytes();
    chunk.ladder->encode_block(block, codes_.n_coded - start, bits_of_block(present, codes_.n_coded), out);
    codes_.n_coded += kCodeBlockRows;
  }
  return allocated;
}

void RowCodes::begin(const RowsOfChunk& rows, const Bitmap* present) {
  if (!ladder_) train_first(rows, present);
}

void RowCodes::resume(CodesSoFar codes) {
  codes_ = std::move(codes);
  for (const ChunkCodes& chunk : codes_.chunks)
    if (chunk.ladder) ladder_ = chunk.ladder;
}

void RowCodes::train_first(const RowsOfChunk& rows, const Bitmap* present) {
  Sample sample(spec_);
  std::uint32_t n = 0;
  for (std::uint32_t row = 0; n < kCodedMin; ++row) {
    if (!is_present(present, row)) continue;
    const std::uint32_t number = chunk_number(row);
    if (n++ % (kCodedMin / kSampleRows) == 0) sample.add(rows(number), row - chunk_start(number));
  }
  ladder_ = sample.train();
}

void RowCodes::train_again(const RowsOfChunk& rows, const Bitmap* present, std::uint32_t number) {
  const VectorBlock before = rows(number - 1);
  if (!before.data) return;
  Sample sample(spec_);
  const std::uint32_t start = chunk_start(number - 1), capacity = chunk_capacity(number - 1);
  for (std::uint32_t row = 0; row < capacity; row += capacity / kSampleRows)
    if (is_present(present, start + row)) sample.add(before, row);
  if (sample.size() >= kSampleRows / 4 && has_drifted(ladder_->transform(), sample.block())) ladder_ = sample.train();
}

}  // namespace vicino
