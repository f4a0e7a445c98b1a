#include "shard/rewrite.h"

#include <algorithm>
#include <numeric>

#include "kernels/coded_rows.h"
#include "shard/head.h"
#include "shard/segment.h"
#include "util/byte_io.h"

namespace vicino {

Rewrite::Rewrite(std::shared_ptr<const Snapshot> snapshot, std::vector<std::size_t> inputs, bool keep_rows)
    : snapshot_(std::move(snapshot)), inputs_(std::move(inputs)) {
  for (const std::size_t position : inputs_) {
    const Entry& entry = snapshot_->entries().at(position);
    std::vector<std::uint32_t> mapping(entry.rows->size(), kDropped);
    sources_.reserve(sources_.size() + (keep_rows ? entry.rows->size() : entry.n_live));
    for (std::uint32_t row = 0; row < entry.rows->size(); ++row) {
      if (entry.is_dead(row) && !keep_rows) continue;
      mapping[row] = static_cast<std::uint32_t>(sources_.size());
      sources_.push_back(locator(position, row));
    }
    mapping_.push_back(std::move(mapping));
  }
}

void Rewrite::order_by_lists(const ColumnSpec& column, const VectorIndexParams& params, bool coded, unsigned threads, const Cancel& cancel) {
  snapshot_->expect_column(column);
  std::vector<std::uint32_t> rows, order;
  for (std::uint32_t row = 0; row < n_rows(); ++row) (snapshot_->vector(column.slot, sources_[row]) ? rows : order).push_back(row);
  const Dtype stored = coded ? Dtype::coded : column.dtype;
  const VectorRows vectors(column.dim, stored, [&](std::uint32_t row) -> StoredRow {
    const Locator at = sources_[row];
    const bool is_coded = snapshot_->entries()[static_cast<std::size_t>(at >> 32)].rows->is_coded(column.slot);
    return {snapshot_->vector(column.slot, at), is_coded ? Dtype::coded : column.dtype};
  });
  plan_ = plan_vector_lists(params, vectors, rows, column.metric, threads, cancel, lists_before(column, stored));
  order.insert(order.begin(), plan_->lists.rows.begin(), plan_->lists.rows.end());
  std::iota(plan_->lists.rows.begin(), plan_->lists.rows.end(), 0u);
  reorder(order);
}

ListsBefore Rewrite::lists_before(const ColumnSpec& column, Dtype stored) const {
  ListsBefore found;
  std::size_t largest = 0;
  std::uint32_t most = 0;
  for (const std::size_t input : inputs_) {
    const Entry& entry = snapshot_->entries()[input];
    const VectorIndex* index = entry.rows->vector_index(column.slot);
    if (!index || !index->lists() || index->lists()->space().dtype() != stored || entry.n_live <= most) continue;
    found.lists = index->lists();
    largest = input;
    most = entry.n_live;
  }
  found.is_new = [this, largest](std::uint32_t row) { return static_cast<std::size_t>(sources_[row] >> 32) != largest; };
  return found;
}

/// order[i]: the present row that is to be row i.
void Rewrite::reorder(const std::vector<std::uint32_t>& order) {
  std::vector<Locator> sources(sources_.size());
  std::vector<std::uint32_t> place(sources_.size());
  for (std::uint32_t row = 0; row < order.size(); ++row) {
    sources[row] = sources_[order[row]];
    place[order[row]] = row;
  }
  sources_ = std::move(sources);
  for (auto& rows : mapping_)
    for (std::uint32_t& row : rows)
      if (row != kDropped) row = place[row];
}

void Rewrite::write_lists(const Segment& written, const ColumnSpec& column, const VectorIndexParams& params, unsigned threads,
                          const Cancel& cancel, PieceWriter& out) {
  const auto chunks = written.chunks(column.slot);
  if (!plan_ || chunks.empty() || written.size() != n_rows())
    throw InvalidArgument("write_lists: the rows were not ordered by lists, or the segment is not what was written of them");
  ListPlan plan = std::move(*plan_);
  plan_.reset();
  write_planned_lists(params, chunks[0].block, std::move(plan), column.metric, threads, cancel, out);
}

void Rewrite::carry_codes(const Segment& written, std::span<const std::uint32_t> slots) const {
  if (inputs_.size() != 1 || written.size() != n_rows()) throw InvalidArgument("carry_codes: the segment was not written of one head");
  const auto* head = dynamic_cast<const HeadView*>(snapshot_->entries()[inputs_[0]].rows.get());
  if (!head) throw InvalidArgument("carry_codes: what was rewritten is no head");
  std::uint32_t n_same = 0;
  while (n_same < n_rows() && mapping_[0][n_same] == n_same) ++n_same;
  for (const std::uint32_t slot : slots)
    if (SealedCodes* codes = written.codes(slot)) codes->take(head->codes(slot), n_same);
}

std::size_t Rewrite::working_bytes(std::size_t slice_bytes) const {
  // A row's source and mapping, and of the sections that are made whole the largest, twice: as made and as handed over.
  constexpr std::size_t per_row = 64;
  std::size_t id_bytes = 0, slice = slice_bytes;
  for (const Locator at : sources_) {
    id_bytes += snapshot_->id(at).size();
    slice = std::max(slice, document(at).size());
  }
  return sources_.size() * per_row + 2 * id_bytes + 3 * slice;
}

IdMap::Image Rewrite::ids() const {
  std::vector<Bytes> ids;
  ids.reserve(sources_.size());
  for (const Locator at : sources_) ids.push_back(snapshot_->id(at));
  return IdMap::build(ids);
}

Bytes Rewrite::document(Locator at) const {
  const Entry& entry = snapshot_->entries()[static_cast<std::size_t>(at >> 32)];
  return entry.is_dead(static_cast<std::uint32_t>(at)) ? Bytes{} : snapshot_->document(at);  // deleted text does not travel
}

std::string Rewrite::versions() const {
  std::string out;
  out.reserve(sources_.size() * sizeof(std::uint64_t));
  for (const Locator at : sources_) append_value(out, snapshot_->version(at));
  return out;
}

std::string Rewrite::document_offsets() const {
  std::string out;
  out.reserve((sources_.size() + 1) * sizeof(std::uint64_t));
  std::uint64_t end = 0;
  append_value(out, end);
  for (const Locator at : sources_) append_value(out, end += document(at).size());
  return out;
}

std::string Rewrite::documents(std::uint32_t first, std::uint32_t count) const {
  std::string out;
  for (std::uint32_t row = first; row < first + count; ++row) append_bytes(out, document(sources_.at(row)));
  return out;
}

bool Rewrite::has_column(const ColumnSpec& column) const {
  return std::ranges::any_of(sources_, [&](Locator at) { return snapshot_->vector(column.slot, at) != nullptr; });
}

std::string Rewrite::column_meta(const ColumnSpec& column, bool coded) const {
  std::string out;
  append_value(out, column.slot);
  append_value(out, column.dim);
  append_value(out, static_cast<std::uint8_t>(column.dtype));
  append_value(out, static_cast<std::uint8_t>(column.metric));
  append_value(out, static_cast<std::uint8_t>(coded));
  append_value(out, std::uint8_t{0});
  append_value(out, n_rows());
  return out;
}

/// Absent vectors stay the zeros they are.
void Rewrite::code_vector(const ColumnSpec& column, Locator at, std::uint8_t* out) const {
  const Rows& rows = *snapshot_->entries()[static_cast<std::size_t>(at >> 32)].rows;
  const std::uint8_t* vector = rows.vector(column.slot, static_cast<std::uint32_t>(at));
  if (!vector) return;
  if (rows.is_coded(column.slot)) {
    std::memcpy(out, vector, coded_row_bytes(column.dim));
    return;
  }
  std::vector<float> values(column.dim);
  read_row(column.dtype, vector, column.dim, values.data());
  encode_coded_row(values.data(), column.dim, out);
}

std::string Rewrite::vectors(const ColumnSpec& column, std::uint32_t first, std::uint32_t count, bool coded) const {
  snapshot_->expect_column(column);
  if (coded && !is_float(column.dtype)) throw InvalidArgument(std::string(name_of(column.dtype)) + " vectors are compact as they are and not coded");
  const std::size_t width = row_bytes(coded ? Dtype::coded : column.dtype, column.dim);
  std::string out(count * width, '\0');
  for (std::uint32_t i = 0; i < count; ++i) {
    auto* row = reinterpret_cast<std::uint8_t*>(out.data()) + i * width;
    if (coded) code_vector(column, sources_.at(first + i), row);
    else snapshot_->read_vector(column, sources_.at(first + i), row);
  }
  return out;
}

std::string Rewrite::norms(const ColumnSpec& column, std::uint32_t first, std::uint32_t count, bool coded) const {
  const std::string rows = vectors(column, first, count, coded);
  const Dtype stored = coded ? Dtype::coded : column.dtype;
  std::vector<float> norms(count);
  compute_inverse_norms({reinterpret_cast<const std::uint8_t*>(rows.data()), count, column.dim, stored, nullptr}, norms.data());
  return {reinterpret_cast<const char*>(norms.data()), norms.size() * sizeof(float)};
}

std::string Rewrite::presence(const ColumnSpec& column) const {
  Bitmap present(n_rows());
  for (std::uint32_t row = 0; row < n_rows(); ++row)
    if (snapshot_->vector(column.slot, sources_[row])) present.set(row);
  if (present.count() == n_rows()) return {};
  return {reinterpret_cast<const char*>(present.words()), present.n_words() * sizeof(std::uint64_t)};
}

Bytes Rewrite::value(const ValueSpec& column, Locator at) const {
  const Entry& entry = snapshot_->entries()[static_cast<std::size_t>(at >> 32)];
  const auto row = static_cast<std::uint32_t>(at);
  return entry.is_dead(row) ? Bytes{} : entry.rows->value(column.slot, row);
}

bool Rewrite::has_values(const ValueSpec& column) const {
  snapshot_->expect_values(column);
  if (column.kind == ValueKind::text)
    return std::ranges::all_of(inputs_, [&](std::size_t input) { return snapshot_->entries()[input].rows->covers(column.slot); });
  return std::ranges::any_of(sources_, [&](Locator at) { return !value(column, at).empty(); });
}

std::string Rewrite::value_meta(const ValueSpec& column) const {
  std::string out;
  append_value(out, column.slot);
  append_value(out, column.dim);
  append_value(out, static_cast<std::uint8_t>(column.kind));
  append_value(out, static_cast<std::uint8_t>(column.dtype));
  append_value(out, static_cast<std::uint8_t>(column.metric));
  append_value(out, std::uint8_t{0});
  append_value(out, n_rows());
  return out;
}

std::string Rewrite::value_offsets(const ValueSpec& column) const {
  std::string out;
  out.reserve((sources_.size() + 1) * sizeof(std::uint64_t));
  std::uint64_t end = 0;
  append_value(out, end);
  for (const Locator at : sources_) append_value(out, end += value(column, at).size());
  return out;
}

std::string Rewrite::values(const ValueSpec& column, std::uint32_t first, std::uint32_t count) const {
  std::string out;
  for (std::uint32_t row = first; row < first + count; ++row) append_bytes(out, value(column, sources_.at(row)));
  return out;
}

TermsBuilder::Image Rewrite::terms(const ValueSpec& column, const Cancel& cancel) const {
  TermsBuilder builder(column.kind == ValueKind::text ? TermsKind::text : TermsKind::sparse, n_rows());
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    cancel.check();
    const Entry& entry = snapshot_->entries()[inputs_[input]];
    if (const TermIndex* index = entry.rows->terms(column.slot)) builder.add(*index, mapping_[input]);
  }
  return builder.finish(cancel);
}

std::vector<std::uint8_t> Rewrite::multi_index(const ValueSpec& column, unsigned threads, const Cancel& cancel) const {
  return build_multi_index(multi_spec(column), n_rows(), [&](std::uint32_t row) { return value(column, sources_[row]); }, {}, threads, cancel);
}

std::size_t Rewrite::terms_bytes(const ValueSpec& column) const {
  std::size_t bytes = 0;
  if (column.kind == ValueKind::multi) {
    std::uint64_t size = 0;
    for (const Locator at : sources_) size += value(column, at).size();
    return 2 * multi_build_bytes(multi_spec(column), n_rows(), size / row_bytes(column.dtype, column.dim), {}, 1);
  }
  for (const std::size_t input : inputs_)
    if (const TermIndex* index = snapshot_->entries()[input].rows->terms(column.slot)) bytes += TermsBuilder::working_bytes(*index);
  return bytes;
}

}  // namespace vicino
