#include "sparse/head_terms.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <new>

#include "sparse/first_bytes.h"
#include "sparse/text_value.h"
#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::uint32_t kFirstChunk = 2, kLargestChunk = 128;

std::string_view view_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

HeadTerms::Chunk* HeadTerms::new_chunk(std::uint32_t capacity) {
  const std::size_t n_arrays = kind_ == TermsKind::text ? 3 : 2;
  return new (arena_.allocate(sizeof(Chunk) + n_arrays * sizeof(std::uint32_t) * capacity)) Chunk(capacity);
}

void HeadTerms::append(std::uint32_t row, Bytes value) {
  std::uint32_t length = 0;
  fresh_.clear();
  if (kind_ == TermsKind::text) read_text(value, length);
  else read_sparse(value);
  find_terms();
  for (const Fresh& fresh : fresh_) add_posting(row, fresh);
  if (row / kRowsPerChunk >= rows_.size()) {
    std::unique_lock lock(mutex_);
    while (row / kRowsPerChunk >= rows_.size()) {
      rows_.push_back(std::make_unique<Row[]>(kRowsPerChunk));
    }
  }
  rows_[row / kRowsPerChunk][row % kRowsPerChunk] = {value, length};
  ++n_valued_;
  total_length_ += length;
  memory_bytes_.store(arena_.size_bytes() + names_.size_bytes() + rows_.size() * kRowsPerChunk * sizeof(Row), std::memory_order_relaxed);
}

void HeadTerms::read_text(Bytes value, std::uint32_t& length) {
  TextValueReader reader(value, "a text value");
  length = reader.length();
  if (reader.has_positions()) has_positions_ = true;
  while (reader.next()) {
    const std::string_view name = view_of(reader.term());
    fresh_.push_back({name, StringTable::hash_of(name), reader.tf(), static_cast<std::uint32_t>(reader.at())});
  }
}

void HeadTerms::read_sparse(Bytes value) {
  const std::size_t n = value.size() / 8;
  indexes_.clear();
  indexes_.reserve(4 * n);  // so that views of it hold
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t index, weight;
    std::memcpy(&index, value.data() + 4 * i, 4);
    std::memcpy(&weight, value.data() + 4 * (n + i), 4);
    indexes_ += sparse_term(index);
    const auto name = std::string_view(indexes_).substr(4 * i, 4);
    fresh_.push_back({name, StringTable::hash_of(name), weight, 0});
  }
}

/// Finds or makes the terms of the row being added. Each lies behind four places in memory, none of which is likely to be near; so all terms of a row are led
/// from place to place together, and wait for memory at the same time.
void HeadTerms::find_terms() {
  for (const Fresh& fresh : fresh_) names_.prefetch(fresh.hash);
  for (Fresh& fresh : fresh_) {
    std::uint32_t number = names_.find(fresh.name, fresh.hash);
    if (number == StringTable::kNone) {
      std::unique_lock lock(mutex_);
      number = names_.add(fresh.name);
      terms_.push_back(new (arena_.allocate(sizeof(Term))) Term(names_[number], new_chunk(kFirstChunk)));
    }
    fresh.term = terms_[number];
    __builtin_prefetch(fresh.term);
  }
  for (const Fresh& fresh : fresh_) __builtin_prefetch(fresh.term->last);
  for (const Fresh& fresh : fresh_) {
    Chunk& chunk = *fresh.term->last;
    const std::uint32_t count = chunk.count.load(std::memory_order_relaxed);
    __builtin_prefetch(chunk.rows() + count, 1);
    __builtin_prefetch(chunk.payloads() + count, 1);
    if (kind_ == TermsKind::text) __builtin_prefetch(chunk.places() + count, 1);
  }
}

void HeadTerms::add_posting(std::uint32_t row, const Fresh& posting) {
  Term& term = *posting.term;
  Chunk* chunk = term.last;
  std::uint32_t count = chunk->count.load(std::memory_order_relaxed);
  if (count == chunk->capacity) {
    Chunk* fresh = new_chunk(std::min(2 * chunk->capacity, kLargestChunk));
    chunk->next.store(fresh, std::memory_order_release);
    term.last = chunk = fresh;
    count = 0;
  }
  if (kind_ == TermsKind::sparse) {
    const auto weight = std::bit_cast<float>(posting.payload);
    if (weight < 0) has_negative_ = true;
    if (std::fabs(weight) > term.bound) term.bound = std::fabs(weight);
  }
  chunk->rows()[count] = row;
  chunk->payloads()[count] = posting.payload;
  if (kind_ == TermsKind::text) chunk->places()[count] = posting.place;
  chunk->count.store(count + 1, std::memory_order_release);
  ++n_postings_;
}

HeadTerms::Row HeadTerms::row(std::uint32_t row) const {
  const std::size_t chunk = row / kRowsPerChunk;
  return chunk < rows_.size() ? rows_[chunk][row % kRowsPerChunk] : Row{};
}

class HeadCursor final : public PostingCursor {
 public:
  HeadCursor(const HeadTerms::Chunk* chunk, std::uint32_t n_rows, TermsKind kind, float bound, std::function<Bytes(std::uint32_t)> value_of)
      : chunk_(chunk), n_rows_(n_rows), is_text_(kind == TermsKind::text), bound_(bound), value_of_(std::move(value_of)) {}

  bool next(std::uint32_t first, PostingBlock& block) override {
    block.count = 0;
    while (chunk_ && block.count < kPostingsPerBlock) {
      const std::uint32_t count = chunk_->count.load(std::memory_order_acquire);
      while (at_ < count && block.count < kPostingsPerBlock) {
        const std::uint32_t row = chunk_->rows()[at_];
        if (row >= n_rows_) return finish(block);
        if (row >= first) {
          block.rows[block.count] = row;
          if (is_text_) places_[block.count] = chunk_->places()[at_];
          block.tf[block.count++] = chunk_->payloads()[at_];
        }
        ++at_;
      }
      if (at_ < count) break;
      if (count < chunk_->capacity) return finish(block);
      chunk_ = chunk_->next.load(std::memory_order_acquire);
      at_ = 0;
    }
    return finish(block);
  }

  bool peek(std::uint32_t, float& bound, std::uint32_t& last_row) override {
    bound = bound_;
    last_row = n_rows_ - 1;
    return chunk_ != nullptr;
  }

  void positions(std::uint32_t i, std::vector<std::uint32_t>& out) override {
    out.clear();
    const Bytes value = value_of_(last_rows_[i]);
    if (!(value[0] & kTextHasPositions)) return;
    Bytes rest = value.subspan(places_[i]);
    std::uint32_t position = 0, gap;
    for (std::uint32_t k = 0; k < last_tf_[i] && take_varint(rest, gap); ++k) out.push_back(position += gap);
  }

 private:
  bool finish(PostingBlock& block) {
    std::copy_n(block.rows, block.count, last_rows_);
    std::copy_n(block.tf, block.count, last_tf_);
    return block.count > 0;
  }

  const HeadTerms::Chunk* chunk_;
  std::uint32_t at_ = 0, n_rows_;
  bool is_text_;
  float bound_;
  std::function<Bytes(std::uint32_t)> value_of_;
  std::uint32_t last_rows_[kPostingsPerBlock], last_tf_[kPostingsPerBlock], places_[kPostingsPerBlock];
};

class HeadTermsView final : public TermIndex {
 public:
  HeadTermsView(std::shared_ptr<const HeadTerms> head, std::uint32_t n_rows) : head_(std::move(head)), n_rows_(n_rows), n_valued_(head_->n_valued_),
        total_length_(head_->total_length_), n_postings_(head_->n_postings_), has_positions_(head_->has_positions_) {}

  TermsKind kind() const override { return head_->kind_; }
  std::uint32_t n_rows() const override { return n_rows_; }
  std::uint32_t n_valued() const override { return n_valued_; }
  std::uint64_t total_length() const override { return total_length_; }
  void lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const override {
    std::shared_lock lock(head_->mutex_);
    for (std::uint32_t i = 0; i < n; ++i) out[i] = head_->row(rows[i]).length;
  }
  std::uint64_t n_postings() const override { return n_postings_; }
  bool has_positions() const override { return has_positions_; }
  bool has_negative() const override { return head_->has_negative_; }
  LengthNorm norm_at_build() const override { return {0, 0, 0}; }

  std::optional<TermInfo> find(Bytes name) const override {
    const HeadTerms::Term* term = term_of(view_of(name));
    if (!term) return std::nullopt;
    return info_of(*term);
  }

  void each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const override {
    for (const HeadTerms::Term* term : sorted(view_of(prefix))) {
      const TermInfo info = info_of(*term);
      if (info.df && !visit(bytes_of(term->name), info)) return;
    }
  }
  std::unique_ptr<TermStream> terms() const override;

  std::unique_ptr<PostingCursor> postings(const TermInfo& info) const override {
    const auto* term = reinterpret_cast<const HeadTerms::Term*>(info.where);
    return std::make_unique<HeadCursor>(term->first, n_rows_, head_->kind_, info.bound, [this](std::uint32_t row) {
      std::shared_lock lock(head_->mutex_);
      return head_->row(row).value;
    });
  }
  std::size_t memory_bytes() const override { return head_->memory_bytes(); }

 private:
  friend class HeadTermStream;
  const HeadTerms::Term* term_of(std::string_view name) const {
    std::shared_lock lock(head_->mutex_);
    const std::uint32_t number = head_->names_.find(name);
    return number == StringTable::kNone ? nullptr : head_->terms_[number];
  }

  std::vector<const HeadTerms::Term*> sorted(std::string_view prefix) const {
    std::vector<const HeadTerms::Term*> found;
    std::shared_lock lock(head_->mutex_);
    for (const HeadTerms::Term* term : head_->terms_)
      if (term->name.starts_with(prefix)) found.push_back(term);
    lock.unlock();
    std::ranges::sort(found, {}, &HeadTerms::Term::name);
    return found;
  }

  /// All terms. Most are told apart by how they begin, which lies beside them and not behind two places in memory.
  std::vector<const HeadTerms::Term*> all_sorted() const {
    struct Begin {
      std::uint64_t bytes;
      const HeadTerms::Term* term;
    };
    std::vector<Begin> begins;
    {
      std::shared_lock lock(head_->mutex_);
      begins.reserve(head_->terms_.size());
      for (const HeadTerms::Term* term : head_->terms_) begins.push_back({first_bytes(term->name), term});
    }
    std::ranges::sort(begins, [](const Begin& a, const Begin& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.term->name < b.term->name; });
    std::vector<const HeadTerms::Term*> terms;
    terms.reserve(begins.size());
    for (const Begin& begin : begins) terms.push_back(begin.term);
    return terms;
  }

  /// Its df is counted: the list may have grown past this view.
  TermInfo info_of(const HeadTerms::Term& term) const {
    TermInfo info;
    info.where = reinterpret_cast<std::uintptr_t>(&term);
    info.bound = head_->kind_ == TermsKind::text ? 1 : term.bound.load();
    for (const HeadTerms::Chunk* chunk = term.first; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
      const std::uint32_t count = chunk->count.load(std::memory_order_acquire);
      const auto known = static_cast<std::uint32_t>(std::lower_bound(chunk->rows(), chunk->rows() + count, n_rows_) - chunk->rows());
      info.df += known;
      if (known < chunk->capacity) break;
    }
    return info;
  }

  std::shared_ptr<const HeadTerms> head_;
  std::uint32_t n_rows_, n_valued_;
  std::uint64_t total_length_, n_postings_;
  bool has_positions_;
};

/// The terms known when it was made.
class HeadTermStream final : public TermStream {
 public:
  explicit HeadTermStream(const HeadTermsView& view) : n_rows_(view.n_rows()), has_positions_(view.has_positions()), terms_(view.all_sorted()) {
    if (!has_positions_) return;
    // Side by side, so that finding the value of a row is one look into a near cache.
    values_.resize(n_rows_);
    std::shared_lock lock(view.head_->mutex_);
    for (std::uint32_t row = 0; row < n_rows_; ++row) values_[row] = view.head_->row(row).value;
  }
  bool next() override {
    while (next_ < terms_.size()) {
      const HeadTerms::Chunk* chunk = terms_[next_++]->first;
      // Others came later than the view.
      if (chunk->count.load(std::memory_order_acquire) && chunk->rows()[0] < n_rows_) return true;
    }
    return false;
  }
  Bytes term() const override { return bytes_of(terms_[next_ - 1]->name); }
  void append_to(TermList& list, const RowMapping& mapping) override {
    for (const HeadTerms::Chunk* chunk = terms_[next_ - 1]->first; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
      const std::uint32_t count = chunk->count.load(std::memory_order_acquire);
      for (std::uint32_t i = 0; has_positions_ && i < count && chunk->rows()[i] < n_rows_; ++i)
        __builtin_prefetch(values_[chunk->rows()[i]].data() + chunk->places()[i]);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (chunk->rows()[i] >= n_rows_) return;
        append(*chunk, i, mapping, list);
      }
      if (count < chunk->capacity) return;
    }
  }

 private:
  void append(const HeadTerms::Chunk& chunk, std::uint32_t i, const RowMapping& mapping, TermList& list) const {
    const std::uint32_t row = mapping[chunk.rows()[i]], tf = chunk.payloads()[i];
    if (row == RowMapping::kDropped) return;
    list.rows.push_back(row);
    list.payloads.push_back(tf);
    if (!has_positions_) return;
    const Bytes value = values_[chunk.rows()[i]];
    if (!(value[0] & kTextHasPositions)) throw CorruptionError("some texts of a text index come with positions and some without; restore from a snapshot");
    Bytes rest = value.subspan(chunk.places()[i]);
    for (std::uint32_t k = 0; k < tf; ++k) {
      std::uint32_t gap;
      if (!take_varint(rest, gap)) throw CorruptionError("the positions of a text value end too early; restore from a snapshot");
      (k ? list.others : list.firsts).push_back(gap);
    }
  }

  std::uint32_t n_rows_;
  bool has_positions_;
  std::vector<const HeadTerms::Term*> terms_;
  std::vector<Bytes> values_;  // by row, with positions
  std::size_t next_ = 0;
};

std::unique_ptr<TermStream> HeadTermsView::terms() const { return std::make_unique<HeadTermStream>(*this); }

std::shared_ptr<const TermIndex> HeadTerms::view(std::uint32_t n_rows) const { return std::make_shared<HeadTermsView>(shared_from_this(), n_rows); }

}  // namespace vicino
