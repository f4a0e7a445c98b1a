#include "shard/head.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "util/hash.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

bool same(Bytes a, Bytes b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace

void Head::reserve_rows(std::uint32_t n) {
  while (chunks_.empty() || chunk_start(static_cast<std::uint32_t>(chunks_.size())) < size_ + n) {
    const auto capacity = chunk_capacity(static_cast<std::uint32_t>(chunks_.size()));
    auto chunk = std::make_shared<RowChunk>();
    chunk->ids = std::make_unique<Bytes[]>(capacity);
    chunk->documents = std::make_unique<Bytes[]>(capacity);
    chunk->versions = std::make_unique_for_overwrite<std::uint64_t[]>(capacity);
    chunk->hashes = std::make_unique_for_overwrite<std::uint64_t[]>(capacity);
    chunk->previous = std::make_unique<std::uint32_t[]>(capacity);
    memory_bytes_ += capacity * (2 * sizeof(Bytes) + 2 * sizeof(std::uint64_t) + sizeof(std::uint32_t));
    std::unique_lock lock(table_mutex_);  // a reader in find() may be walking the list of chunks
    chunks_.push_back(std::move(chunk));
  }
}

Bytes Head::keep(Bytes bytes) {
  if (bytes.size() > arena_left_) {
    arena_block_ = std::min<std::size_t>(arena_block_ * 2, std::size_t{1} << 20);
    const std::size_t block = std::max(arena_block_, bytes.size());
    arena_.push_back(std::shared_ptr<std::uint8_t[]>(new std::uint8_t[block]));
    arena_at_ = arena_.back().get();
    arena_left_ = block;
    memory_bytes_ += block;
  }
  if (!bytes.empty()) std::memcpy(arena_at_, bytes.data(), bytes.size());
  const Bytes kept{arena_at_, bytes.size()};
  arena_at_ += bytes.size();
  arena_left_ -= bytes.size();
  return kept;
}

void Head::expect_shapes(const UpsertBatch& batch) const {
  for (const VectorColumn& column : batch.columns)
    if (const auto found = columns_.find(column.spec.slot); found != columns_.end() && found->second.spec != column.spec)
      throw InvalidArgument("vector slot " + std::to_string(column.spec.slot) + " came with another shape than before");
  for (const ValueColumn& column : batch.values)
    if (const auto found = values_.find(column.spec.slot); found != values_.end() && found->second.spec != column.spec)
      throw InvalidArgument("value slot " + std::to_string(column.spec.slot) + " came with another shape than before");
}

void Head::append(const UpsertBatch& batch, std::uint64_t version) {
  const std::uint32_t n = batch.ids.size(), first = size_;
  reserve_rows(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t number = chunk_number(first + i), at = first + i - chunk_start(number);
    RowChunk& chunk = *chunks_[number];
    chunk.ids[at] = keep(batch.ids[i]);
    chunk.documents[at] = keep(batch.documents[i]);
    chunk.versions[at] = version;
    chunk.hashes[at] = hash_bytes(chunk.ids[at]);
  }
  for (const VectorColumn& column : batch.columns) append_column(column, first, n);
  for (auto& [slot, column] : columns_) column.presence.resize(first + n);
  for (const ValueColumn& column : batch.values) append_values(column, first);
  size_ = first + n;
  std::unique_lock lock(table_mutex_);
  for (std::uint32_t row = first; row < size_; ++row) insert_id(row);
}

void Head::append_column(const VectorColumn& from, std::uint32_t first_row, std::uint32_t n) {
  Column& column = columns_.try_emplace(from.spec.slot, from.spec).first->second;
  column.chunks.resize(chunks_.size());
  column.presence.resize(first_row + n);
  const std::size_t width = row_bytes(from.spec.dtype, from.spec.dim);
  for (std::uint32_t i = 0; i < n;) {
    const std::uint32_t number = chunk_number(first_row + i), start = chunk_start(number), capacity = chunk_capacity(number);
    const std::uint32_t at = first_row + i - start, count = std::min(n - i, capacity - at);
    ColumnChunk& chunk = column.chunks[number];
    if (!chunk.rows) {
      // Rows of the chunk that came before the vector existed stay zero; their presence bit is not set.
      chunk.rows = allocate_rows(capacity * width);
      std::memset(chunk.rows.get(), 0, at * width);
      memory_bytes_ += capacity * width;
      if (from.spec.metric == Metric::cosine) {
        chunk.norms = std::shared_ptr<float[]>(new float[capacity]);
        std::fill_n(chunk.norms.get(), at, 0.0f);
        memory_bytes_ += capacity * sizeof(float);
      }
    }
    std::uint8_t* rows = chunk.rows.get() + at * width;
    std::memcpy(rows, from.rows.data() + i * width, count * width);
    if (chunk.norms) compute_inverse_norms({rows, count, from.spec.dim, from.spec.dtype, nullptr}, chunk.norms.get() + at);
    for (std::uint32_t j = i; j < i + count; ++j)
      if (from.has(j)) { column.presence.set(first_row + j); ++column.n_present; }
    i += count;
    const auto block = [&column](std::uint32_t chunk) { return column.block(chunk); };
    memory_bytes_ += column.codes.extend(block, &column.presence, column.n_present, first_row + i);  // while the rows are in the cache
  }
}

void Head::append_values(const ValueColumn& from, std::uint32_t first_row) {
  Values& column = values_.try_emplace(from.spec.slot, Values{from.spec, {}, nullptr, 0}).first->second;
  if (!column.terms && from.spec.kind != ValueKind::multi)
    column.terms = std::make_shared<HeadTerms>(from.spec.kind == ValueKind::text ? TermsKind::text : TermsKind::sparse);
  column.chunks.resize(chunks_.size());
  const std::uint32_t n = from.values.size();
  column.n_covered += n;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (from.values[i].empty()) continue;
    const std::uint32_t number = chunk_number(first_row + i), capacity = chunk_capacity(number);
    auto& chunk = column.chunks[number];
    if (!chunk) {
      chunk = std::shared_ptr<Bytes[]>(new Bytes[capacity]);
      memory_bytes_ += capacity * sizeof(Bytes);
    }
    const Bytes kept = chunk[first_row + i - chunk_start(number)] = keep(from.values[i]);
    if (!column.terms) continue;
    const std::size_t before = column.terms->memory_bytes();
    column.terms->append(first_row + i, kept);
    memory_bytes_ += column.terms->memory_bytes() - before;
  }
}

void Head::insert_id(std::uint32_t row) {
  if ((table_used_ + 1) * 2 > table_.size()) grow_table();
  std::uint32_t at = 0;
  RowChunk& chunk = const_cast<RowChunk&>(chunk_of(row, &at));
  const std::size_t mask = table_.size() - 1;
  for (std::size_t place = chunk.hashes[at] & mask;; place = (place + 1) & mask) {
    if (table_[place] == 0) {
      table_[place] = row + 1;
      ++table_used_;
      return;
    }
    std::uint32_t other_at = 0;
    const RowChunk& other = chunk_of(table_[place] - 1, &other_at);
    if (other.hashes[other_at] == chunk.hashes[at] && same(other.ids[other_at], chunk.ids[at])) {
      chunk.previous[at] = table_[place];
      table_[place] = row + 1;
      return;
    }
  }
}

void Head::grow_table() {
  std::vector<std::uint32_t> old(std::max<std::size_t>(64, table_.size() * 2));
  memory_bytes_ += (old.size() - table_.size()) * sizeof(std::uint32_t);
  old.swap(table_);
  const std::size_t mask = table_.size() - 1;
  for (const std::uint32_t entry : old) {
    if (!entry) continue;
    std::uint32_t at = 0;
    const RowChunk& chunk = chunk_of(entry - 1, &at);
    std::size_t place = chunk.hashes[at] & mask;
    while (table_[place]) place = (place + 1) & mask;
    table_[place] = entry;
  }
}

const Head::RowChunk& Head::chunk_of(std::uint32_t row, std::uint32_t* at) const {
  const std::uint32_t number = chunk_number(row);
  *at = row - chunk_start(number);
  return *chunks_[number];
}

std::optional<std::uint32_t> Head::find_latest(Bytes id, std::uint64_t hash) const {
  std::shared_lock lock(table_mutex_);
  if (table_.empty()) return std::nullopt;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t place = hash & mask; table_[place]; place = (place + 1) & mask) {
    std::uint32_t at = 0;
    const RowChunk& chunk = chunk_of(table_[place] - 1, &at);
    if (chunk.hashes[at] == hash && same(chunk.ids[at], id)) return table_[place] - 1;
  }
  return std::nullopt;
}

std::uint64_t Head::version(std::uint32_t row) const {
  std::uint32_t at = 0;
  return chunk_of(row, &at).versions[at];
}

std::optional<std::uint32_t> Head::previous(std::uint32_t row) const {
  std::uint32_t at = 0;
  const std::uint32_t before = chunk_of(row, &at).previous[at];
  return before ? std::optional(before - 1) : std::nullopt;
}

std::shared_ptr<const HeadView> Head::view() const { return std::make_shared<HeadView>(shared_from_this()); }

HeadView::HeadView(std::shared_ptr<const Head> head) : Rows(head->key()), head_(std::move(head)), size_(head_->size_), chunks_(head_->chunks_) {
  for (const auto& [slot, column] : head_->columns_) {
    const bool all = column.n_present == size_;
    columns_.push_back({column.spec, column.chunks, all ? nullptr : std::make_unique<Bitmap>(column.presence), column.codes.so_far()});
  }
  for (const auto& [slot, column] : head_->values_)
    values_.push_back({column.spec, column.chunks, column.terms ? column.terms->view(size_) : nullptr, column.n_covered == size_});
}

const Head::RowChunk& HeadView::chunk_of(std::uint32_t row, std::uint32_t* at) const {
  const std::uint32_t number = chunk_number(row);
  *at = row - chunk_start(number);
  return *chunks_[number];
}

Bytes HeadView::id(std::uint32_t row) const {
  std::uint32_t at = 0;
  return chunk_of(row, &at).ids[at];
}

Bytes HeadView::document(std::uint32_t row) const {
  std::uint32_t at = 0;
  return chunk_of(row, &at).documents[at];
}

std::uint64_t HeadView::version(std::uint32_t row) const {
  std::uint32_t at = 0;
  return chunk_of(row, &at).versions[at];
}

std::optional<std::uint32_t> HeadView::find(Bytes id, std::uint64_t hash) const {
  std::optional<std::uint32_t> row = head_->find_latest(id, hash);
  // The table knows rows that are younger than this view: walk back to the newest one the view has.
  std::shared_lock lock(head_->table_mutex_);
  while (row && *row >= size_) {
    std::uint32_t at = 0;
    const std::uint32_t previous = head_->chunk_of(*row, &at).previous[at];
    row = previous ? std::optional(previous - 1) : std::nullopt;
  }
  return row;
}

std::vector<ColumnSpec> HeadView::columns() const {
  std::vector<ColumnSpec> specs;
  for (const Column& column : columns_) specs.push_back(column.spec);
  return specs;
}

const HeadView::Column* HeadView::column(std::uint32_t slot) const {
  const auto found = std::ranges::find(columns_, slot, [](const Column& column) { return column.spec.slot; });
  return found == columns_.end() ? nullptr : &*found;
}

std::vector<Chunk> HeadView::chunks(std::uint32_t slot) const {
  std::vector<Chunk> result;
  const Column* found = column(slot);
  if (!found) return result;
  for (std::uint32_t number = 0; number < found->chunks.size(); ++number) {
    const std::uint32_t start = chunk_start(number);
    if (start >= size_ || !found->chunks[number].rows) continue;
    const std::uint32_t count = std::min(size_ - start, chunk_capacity(number));
    const auto& chunk = found->chunks[number];
    result.push_back({{chunk.rows.get(), count, found->spec.dim, found->spec.dtype, chunk.norms.get()}, start, found->codes.of_chunk(number)});
  }
  return result;
}

CodesSoFar HeadView::codes(std::uint32_t slot) const {
  const Column* found = column(slot);
  return found ? found->codes : CodesSoFar();
}

const Bitmap* HeadView::presence(std::uint32_t slot) const {
  const Column* found = column(slot);
  return found ? found->presence.get() : nullptr;
}

const std::uint8_t* HeadView::vector(std::uint32_t slot, std::uint32_t row) const {
  const Column* found = column(slot);
  if (!found || (found->presence && !found->presence->test(row))) return nullptr;
  const std::uint32_t number = chunk_number(row);
  return found->chunks[number].rows.get() + std::size_t{row - chunk_start(number)} * row_bytes(found->spec.dtype, found->spec.dim);
}

std::vector<ValueSpec> HeadView::values() const {
  std::vector<ValueSpec> specs;
  for (const Values& column : values_) specs.push_back(column.spec);
  return specs;
}

const HeadView::Values* HeadView::values_at(std::uint32_t slot) const {
  const auto found = std::ranges::find(values_, slot, [](const Values& column) { return column.spec.slot; });
  return found == values_.end() ? nullptr : &*found;
}

Bytes HeadView::value(std::uint32_t slot, std::uint32_t row) const {
  const Values* found = values_at(slot);
  const std::uint32_t number = chunk_number(row);
  if (!found || number >= found->chunks.size() || !found->chunks[number]) return {};
  return found->chunks[number][row - chunk_start(number)];
}

const TermIndex* HeadView::terms(std::uint32_t slot) const {
  const Values* found = values_at(slot);
  return found ? found->terms.get() : nullptr;
}

bool HeadView::covers(std::uint32_t slot) const {
  const Values* found = values_at(slot);
  return size_ == 0 || (found && found->is_complete);
}

}  // namespace vicino
