#include "shard/sealed_codes.h"

#include <algorithm>
#include <new>
#include <utility>

namespace vicino {

namespace {

// Coding a row takes as long as reading so many: 1.3 µs and 80 ns at 384 dimensions (docs/design/0013-head.md).
constexpr std::int64_t kReadPerCoded = 16;
// At most so many rows at once, about 20 ms: a search of millions of rows is not to be kept for longer by what it does for others.
constexpr std::int64_t kCodedAtOnce = 16384;
// Where there was no room it is looked for again after as many rows were read as so many searches read.
constexpr std::int64_t kSearchesUntilAskedAgain = 64;

}  // namespace

SealedCodes::SealedCodes(const ColumnSpec& spec, const VectorBlock& rows, std::shared_ptr<const Bitmap> present, std::uint32_t n_present)
    : spec_(spec), rows_(rows), present_(std::move(present)), n_present_(n_present), codes_(spec) {}

std::vector<Chunk> SealedCodes::chunks() const {
  const std::shared_ptr<const CodesSoFar> seen = this->seen();
  if (!seen) return {{rows_, 0}};
  std::vector<Chunk> result;
  // What lies behind the codes is one chunk.
  for (std::uint32_t number = 0, start = 0; start < rows_.rows; start = chunk_start(++number)) {
    VectorBlock block = rows_of_chunk(number);
    BlockCodes codes = seen->of_chunk(number);
    codes.owner = seen;
    const bool is_last = seen->n_coded <= start + block.rows;
    if (is_last) block.rows = rows_.rows - start;
    result.push_back({block, start, std::move(codes)});
    if (is_last) break;
  }
  return result;
}

std::shared_ptr<const CodesSoFar> SealedCodes::seen() const {
  const std::lock_guard lock(seen_mutex_);
  return seen_;
}

VectorBlock SealedCodes::rows_of_chunk(std::uint32_t number) const {
  const std::uint32_t start = chunk_start(number);
  VectorBlock block = rows_;
  block.data = rows_.row(start);
  block.rows = std::min(chunk_capacity(number), rows_.rows - start);
  if (block.inverse_norms) block.inverse_norms += start;
  return block;
}

void SealedCodes::extend_after(std::uint64_t n_read) {
  if (is_complete_.load(std::memory_order_relaxed)) return;
  const std::int64_t due = due_.fetch_add(static_cast<std::int64_t>(n_read), std::memory_order_relaxed) + static_cast<std::int64_t>(n_read);
  if (due < kReadPerCoded * kCodeBlockRows) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const std::int64_t n = std::min(due_.load(std::memory_order_relaxed) / kReadPerCoded, kCodedAtOnce) / kCodeBlockRows * kCodeBlockRows;
  if (n <= 0) return;  // another thread was here before
  due_.fetch_sub(n * kReadPerCoded, std::memory_order_relaxed);
  extend_or_forget(n);
}

void SealedCodes::take(const CodesSoFar& codes, std::uint32_t n_same) {
  if (!codes.n_coded) return;
  const std::lock_guard lock(mutex_);
  CodesSoFar kept = codes;
  if (n_same < rows_.rows) {  // of a chunk that is another from some row on the blocks are the other's
    const std::uint32_t number = chunk_number(n_same);
    kept.chunks.resize(std::min<std::size_t>(kept.chunks.size(), number));
    kept.n_coded = std::min(kept.n_coded, chunk_start(number));
  } else if (kept.n_coded > n_same) {  // the head went on with rows that were deleted
    kept.chunks.resize(std::min<std::size_t>(kept.chunks.size(), chunk_number(n_same - 1) + 1));
    kept.n_coded = n_same / kCodeBlockRows * kCodeBlockRows;
  }
  codes_.resume(std::move(kept));
  count_bytes();
  publish();
}

void SealedCodes::take(const SealedCodes& other) {
  const auto seen = other.seen();
  if (seen && other.spec_ == spec_ && other.rows_.rows == rows_.rows && other.rows_.dtype == rows_.dtype) take(*seen, rows_.rows);
}

void SealedCodes::finish(const Cancel& cancel) {
  while (!is_complete_.load(std::memory_order_relaxed) && !cancel.cancelled()) {
    const std::lock_guard lock(mutex_);
    if (!bytes_.load(std::memory_order_relaxed)) return;  // none were taken, or they were given up
    extend_or_forget(kCodedAtOnce);
  }
}

/// Takes the memory for all codes at once; with the lock.
bool SealedCodes::get_room() {
  if (bytes_.load(std::memory_order_relaxed)) return true;
  HasRoom has_room;
  {
    const std::lock_guard lock(seen_mutex_);
    has_room = has_room_;
  }
  // Counted before it is asked for, so that two who ask at once do not both get the room that there is for one.
  count_bytes();
  try {
    if (!has_room || has_room()) return true;
  } catch (...) {
    forget();
    throw;
  }
  forget();
  return false;
}

/// Memory is taken by whole chunks.
void SealedCodes::count_bytes() {
  codes_.begin([this](std::uint32_t number) { return rows_of_chunk(number); }, present_.get());
  const std::uint32_t rows = chunk_start(chunk_number(rows_.rows - 1) + 1);
  bytes_.store(rows / kCodeBlockRows * codes_.block_bytes(), std::memory_order_relaxed);
}

/// Codes so many rows more; with the lock.
void SealedCodes::extend_or_forget(std::int64_t n) {
  try {
    if (!get_room()) return;
    const auto end = static_cast<std::uint32_t>(std::min<std::int64_t>(codes_.so_far().n_coded + n, rows_.rows));
    codes_.extend([this](std::uint32_t number) { return rows_of_chunk(number); }, present_.get(), n_present_, end);
    publish();
  } catch (const std::bad_alloc&) {
    forget();  // no room after all, which is no failure of whoever searched or sealed
  }
}

void SealedCodes::publish() {
  is_complete_.store(codes_.so_far().n_coded + kCodeBlockRows > rows_.rows, std::memory_order_relaxed);
  auto seen = std::make_shared<const CodesSoFar>(codes_.so_far());
  const std::lock_guard lock(seen_mutex_);
  seen_ = std::move(seen);
}

void SealedCodes::give_up() {
  const std::lock_guard lock(mutex_);
  if (bytes_.load(std::memory_order_relaxed)) forget();
}

void SealedCodes::forget() {
  codes_ = RowCodes(spec_);
  due_.store(-kSearchesUntilAskedAgain * static_cast<std::int64_t>(rows_.rows), std::memory_order_relaxed);
  is_complete_.store(false, std::memory_order_relaxed);
  bytes_.store(0, std::memory_order_relaxed);
  const std::lock_guard lock(seen_mutex_);
  seen_ = nullptr;
}

void SealedCodes::ask(HasRoom has_room) {
  const std::lock_guard lock(seen_mutex_);
  has_room_ = std::move(has_room);
}

}  // namespace vicino
