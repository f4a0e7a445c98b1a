#include "sparse/head_terms.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

#include "sparse/text_value.h"

namespace vicino {

namespace {

constexpr std::uint32_t kFirstChunk = 2, kLargestChunk = 128;
constexpr std::size_t kTermBytes = 160;  // a term, its place in the table and its first chunk, about

std::string_view view_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

HeadTerms::Term::~Term() {
  for (Chunk* chunk = first.next; chunk;) delete std::exchange(chunk, chunk->next.load());
}

void HeadTerms::append(std::uint32_t row, Bytes value) {
  std::uint32_t length = 0;
  if (kind_ == TermsKind::text) {
    TextValueReader reader(value, "a text value");
    length = reader.length();
    if (reader.has_positions()) has_positions_ = true;
    while (reader.next()) add_posting(view_of(reader.term()), row, reader.tf());
  } else {
    const std::size_t n = value.size() / 8;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint32_t index, weight;
      std::memcpy(&index, value.data() + 4 * i, 4);
      std::memcpy(&weight, value.data() + 4 * (n + i), 4);
      const std::string term = sparse_term(index);
      const auto found = terms_.find(term);
      if (found == terms_.end()) {
        names_.push_back(std::make_unique<std::string>(term));
        add_posting(*names_.back(), row, weight);
      } else {
        add_posting(found->first, row, weight);
      }
    }
  }
  if (row / kRowsPerChunk >= rows_.size()) {
    std::unique_lock lock(mutex_);
    while (row / kRowsPerChunk >= rows_.size()) {
      rows_.push_back(std::make_unique<Row[]>(kRowsPerChunk));
      memory_bytes_ += kRowsPerChunk * sizeof(Row);
    }
  }
  rows_[row / kRowsPerChunk][row % kRowsPerChunk] = {value, length};
  ++n_valued_;
  total_length_ += length;
}

void HeadTerms::add_posting(std::string_view name, std::uint32_t row, std::uint32_t payload) {
  auto found = terms_.find(name);
  if (found == terms_.end()) {
    std::unique_lock lock(mutex_);
    found = terms_.emplace(name, std::make_unique<Term>(name)).first;
    memory_bytes_ += kTermBytes;
  }
  Term& term = *found->second;
  Chunk* chunk = term.last;
  std::uint32_t count = chunk->count.load(std::memory_order_relaxed);
  if (count == chunk->capacity) {
    auto* fresh = new Chunk(std::min(2 * chunk->capacity, kLargestChunk));
    memory_bytes_ += sizeof(Chunk) + fresh->capacity * 8;
    chunk->next.store(fresh, std::memory_order_release);
    term.last = chunk = fresh;
    count = 0;
  }
  if (kind_ == TermsKind::sparse) {
    const auto weight = std::bit_cast<float>(payload);
    if (weight < 0) has_negative_ = true;
    if (std::fabs(weight) > term.bound) term.bound = std::fabs(weight);
  }
  chunk->rows[count] = row;
  chunk->payloads[count] = payload;
  chunk->count.store(count + 1, std::memory_order_release);
}

HeadTerms::Row HeadTerms::row(std::uint32_t row) const {
  const std::size_t chunk = row / kRowsPerChunk;
  return chunk < rows_.size() ? rows_[chunk][row % kRowsPerChunk] : Row{};
}

class HeadCursor final : public PostingCursor {
 public:
  HeadCursor(const HeadTerms::Chunk* chunk, std::uint32_t n_rows, std::string_view name, float bound,
             std::function<Bytes(std::uint32_t)> value_of)
      : chunk_(chunk), n_rows_(n_rows), name_(name), bound_(bound), value_of_(std::move(value_of)) {}

  bool next(std::uint32_t first, PostingBlock& block) override {
    block.count = 0;
    while (chunk_ && block.count < kPostingsPerBlock) {
      const std::uint32_t count = chunk_->count.load(std::memory_order_acquire);
      while (at_ < count && block.count < kPostingsPerBlock) {
        const std::uint32_t row = chunk_->rows[at_];
        if (row >= n_rows_) return finish(block);
        if (row >= first) {
          block.rows[block.count] = row;
          block.tf[block.count++] = chunk_->payloads[at_];
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
    TextValueReader reader(value_of_(last_rows_[i]), "a text value");
    while (reader.next())
      if (view_of(reader.term()) == name_) {
        for (std::uint32_t k = 0; k < reader.tf(); ++k) out.push_back(reader.next_position());
        return;
      }
  }

 private:
  bool finish(PostingBlock& block) {
    std::copy_n(block.rows, block.count, last_rows_);
    return block.count > 0;
  }

  const HeadTerms::Chunk* chunk_;
  std::uint32_t at_ = 0, n_rows_;
  std::string_view name_;
  float bound_;
  std::function<Bytes(std::uint32_t)> value_of_;
  std::uint32_t last_rows_[kPostingsPerBlock];
};

class HeadTermsView final : public TermIndex {
 public:
  HeadTermsView(std::shared_ptr<const HeadTerms> head, std::uint32_t n_rows) : head_(std::move(head)), n_rows_(n_rows), n_valued_(head_->n_valued_),
        total_length_(head_->total_length_), has_positions_(head_->has_positions_) {}

  TermsKind kind() const override { return head_->kind_; }
  std::uint32_t n_rows() const override { return n_rows_; }
  std::uint32_t n_valued() const override { return n_valued_; }
  std::uint64_t total_length() const override { return total_length_; }
  void lengths(const std::uint32_t* rows, std::uint32_t n, std::uint32_t* out) const override {
    std::shared_lock lock(head_->mutex_);
    for (std::uint32_t i = 0; i < n; ++i) out[i] = head_->row(rows[i]).length;
  }
  bool has_positions() const override { return has_positions_; }
  bool has_negative() const override { return head_->has_negative_; }
  LengthNorm norm_at_build() const override { return {0, 0, 0}; }

  std::optional<TermInfo> find(Bytes name) const override {
    const HeadTerms::Term* term = term_of(view_of(name));
    if (!term) return std::nullopt;
    return info_of(*term);
  }

  void each_with_prefix(Bytes prefix, const std::function<bool(Bytes, const TermInfo&)>& visit) const override {
    std::vector<std::pair<std::string_view, const HeadTerms::Term*>> found;
    {
      std::shared_lock lock(head_->mutex_);
      for (const auto& [name, term] : head_->terms_)
        if (name.starts_with(view_of(prefix))) found.emplace_back(name, term.get());
    }
    std::ranges::sort(found);
    for (const auto& [name, term] : found) {
      const TermInfo info = info_of(*term);
      if (info.df && !visit({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()}, info)) return;
    }
  }

  std::unique_ptr<PostingCursor> postings(const TermInfo& info) const override {
    const auto* term = reinterpret_cast<const HeadTerms::Term*>(info.where);
    return std::make_unique<HeadCursor>(&term->first, n_rows_, term->name, info.bound, [this](std::uint32_t row) {
      std::shared_lock lock(head_->mutex_);
      return head_->row(row).value;
    });
  }
  std::size_t memory_bytes() const override { return head_->memory_bytes(); }

 private:
  const HeadTerms::Term* term_of(std::string_view name) const {
    std::shared_lock lock(head_->mutex_);
    const auto found = head_->terms_.find(name);
    return found == head_->terms_.end() ? nullptr : found->second.get();
  }

  /// Its df is counted: the list may have grown past this view.
  TermInfo info_of(const HeadTerms::Term& term) const {
    TermInfo info;
    info.where = reinterpret_cast<std::uintptr_t>(&term);
    info.bound = head_->kind_ == TermsKind::text ? 1 : term.bound.load();
    for (const HeadTerms::Chunk* chunk = &term.first; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
      const std::uint32_t count = chunk->count.load(std::memory_order_acquire);
      const std::uint32_t* end = chunk->rows.get() + count;
      const auto known = static_cast<std::uint32_t>(std::lower_bound(static_cast<const std::uint32_t*>(chunk->rows.get()), end, n_rows_) - chunk->rows.get());
      info.df += known;
      if (known < chunk->capacity) break;
    }
    return info;
  }

  std::shared_ptr<const HeadTerms> head_;
  std::uint32_t n_rows_, n_valued_;
  std::uint64_t total_length_;
  bool has_positions_;
};

std::shared_ptr<const TermIndex> HeadTerms::view(std::uint32_t n_rows) const { return std::make_shared<HeadTermsView>(shared_from_this(), n_rows); }

}  // namespace vicino
