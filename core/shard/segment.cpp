#include "shard/segment.h"

#include "fields/document.h"
#include "util/byte_io.h"

namespace vicino {

std::shared_ptr<const Segment> Segment::open(std::uint64_t key, const Container& ids, const Container& fields, const std::vector<Container>& vectors,
                                             const std::vector<Container>& vector_indexes, const std::vector<Container>& indexes,
                                             const std::vector<Container>& values, const std::vector<Container>& terms,
                                             const std::vector<Container>& multis) {
  std::shared_ptr<Segment> segment(new Segment(key));
  segment->ids_ = IdMap::open(ids);
  segment->ids_container_ = ids;
  segment->set_fields(fields);
  for (const Container& container : vectors) segment->add_vectors(container);
  for (const Container& container : vector_indexes) segment->set_vector_index(container);
  for (const Container& container : indexes) segment->add_index(container);
  for (const Container& container : values) segment->add_values(container);
  for (const Container& container : terms) segment->set_terms(container);
  for (const Container& container : multis) segment->set_multi(container);
  return segment;
}

void Segment::set_fields(const Container& container) {
  const std::string& name = container.name();
  versions_ = typed_section<std::uint64_t>(container.section("versions").bytes(), size(), name + ", section versions");
  offsets_ = typed_section<std::uint64_t>(container.section("offsets").bytes(), std::size_t{size()} + 1, name + ", section offsets");
  documents_ = container.section("documents").bytes();
  fields_container_ = container;
}

void Segment::add_vectors(const Container& container) {
  const std::string& name = container.name();
  ByteReader meta(container.section("meta").bytes(), name + ", section meta");
  Column column;
  column.spec.slot = meta.read<std::uint32_t>();
  column.spec.dim = meta.read<std::uint32_t>();
  const auto dtype = meta.read<std::uint8_t>(), metric = meta.read<std::uint8_t>();
  const auto kept = meta.read<std::uint8_t>();
  meta.read<std::uint8_t>();
  const auto n = meta.read<std::uint32_t>();
  if (dtype > static_cast<std::uint8_t>(Dtype::binary) || metric > static_cast<std::uint8_t>(Metric::jaccard)) meta.fail("unknown dtype or metric");
  column.spec.dtype = static_cast<Dtype>(dtype);
  column.spec.metric = static_cast<Metric>(metric);
  if (!is_allowed(column.spec.metric, column.spec.dtype)) meta.fail("metric and dtype do not go together");
  if (kept > 1) throw FormatError(name + ": keeps rows in a form (" + std::to_string(kept) + ") that this version does not know; update vicino");
  if (kept && !is_float(column.spec.dtype)) meta.fail(std::string("coded rows of ") + name_of(column.spec.dtype) + " vectors");
  const Dtype stored = kept ? Dtype::coded : column.spec.dtype;
  if (column.spec.dim == 0 || column.spec.dim > 65536) meta.fail("dimension " + std::to_string(column.spec.dim) + " is out of range");
  if (n != size()) meta.fail("has " + std::to_string(n) + " rows, the segment has " + std::to_string(size()));
  const Bytes rows = container.section("rows").bytes();
  if (rows.size() != std::size_t{n} * row_bytes(stored, column.spec.dim)) meta.fail("section rows has a wrong size");
  column.block = {rows.data(), n, column.spec.dim, stored, nullptr};
  if (column.spec.metric == Metric::cosine)
    column.block.inverse_norms = typed_section<float>(container.section("norms").bytes(), n, name + ", section norms").data();
  if (const auto presence = container.find("presence")) {
    auto bitmap = std::make_shared<Bitmap>(n);
    const auto words = typed_section<std::uint64_t>(presence->bytes(), bitmap->n_words(), name + ", section presence");
    std::copy(words.begin(), words.end(), bitmap->words());
    bitmap->resize(n);  // clears bits past the end
    column.presence = bitmap;
  }
  scan_by_codes(column);
  column.containers.push_back(container);
  if (!columns_.emplace(column.spec.slot, column).second) meta.fail("a second vector file for slot " + std::to_string(column.spec.slot));
}

void Segment::scan_by_codes(Column& column) {
  const auto n_present = static_cast<std::uint32_t>(column.presence ? column.presence->count() : column.block.rows);
  if (RowCodes::pay(column.spec, n_present)) column.codes = std::make_shared<SealedCodes>(column.spec, column.block, column.presence, n_present);
}

void Segment::set_vector_index(const Container& container) {
  ByteReader meta(container.section("meta").bytes(), container.name() + ", section meta");
  const auto slot = meta.read<std::uint32_t>();
  const auto found = columns_.find(slot);
  if (found == columns_.end()) meta.fail("an index for slot " + std::to_string(slot) + ", which has no vectors here");
  // A graph of an older format stays unused until maintenance has built a new one; the column is scanned meanwhile.
  found->second.index = VectorIndex::open(container, size());
  if (found->second.index) found->second.codes = nullptr;
  found->second.containers.push_back(container);
}

/// The column that a container of values or terms says it is of.
Segment::Values& Segment::values_of(const Container& container) {
  const std::string what = container.name() + ", section meta";
  ByteReader meta(container.section("meta").bytes(), what);
  const auto slot = meta.read<std::uint32_t>(), dim = meta.read<std::uint32_t>();
  const auto kind = meta.read<std::uint8_t>(), dtype = meta.read<std::uint8_t>(), metric = meta.read<std::uint8_t>();
  meta.read<std::uint8_t>();
  const auto n = meta.read<std::uint32_t>();
  const ValueSpec spec = value_spec(slot, dim, kind, dtype, metric, what);
  if (n != size()) meta.fail("has " + std::to_string(n) + " rows, the segment has " + std::to_string(size()));
  if (columns_.contains(slot)) meta.fail("values for slot " + std::to_string(slot) + ", which has vectors here");
  Values& column = values_.try_emplace(slot, Values{spec, {}, {}, nullptr, nullptr, {}}).first->second;
  if (column.spec != spec) meta.fail("two files of slot " + std::to_string(slot) + " contradict each other");
  return column;
}

void Segment::add_values(const Container& container) {
  Values& column = values_of(container);
  if (column.offsets.size()) throw CorruptionError(container.name() + ": a second file of values for slot " + std::to_string(column.spec.slot));
  column.offsets = typed_section<std::uint64_t>(container.section("offsets").bytes(), std::size_t{size()} + 1, container.name() + ", section offsets");
  column.bytes = container.section("bytes").bytes();
  column.containers.push_back(container);
}

void Segment::set_terms(const Container& container) {
  Values& column = values_of(container);
  if (column.spec.kind == ValueKind::multi) throw CorruptionError(container.name() + ": terms of a multi-vector");
  column.terms = SealedTerms::open(container, column.spec.kind == ValueKind::text ? TermsKind::text : TermsKind::sparse, size());
  column.containers.push_back(container);
}

void Segment::set_multi(const Container& container) {
  Values& column = values_of(container);
  if (column.spec.kind != ValueKind::multi) throw CorruptionError(container.name() + ": a multi-vector's index over other values");
  column.multi = std::make_shared<MultiIndex>(MultiIndex::open(container.section("index"), multi_spec(column.spec), size(), container.name()));
  column.containers.push_back(container);
}

void Segment::add_index(const Container& container) {
  const Bytes path = container.section("path").bytes();
  auto index = std::make_shared<FieldIndex>(FieldIndex::open(container.section("index")));
  if (index->n_rows() != size())
    throw CorruptionError(container.name() + ": covers " + std::to_string(index->n_rows()) + " rows, the segment has " + std::to_string(size()));
  indexes_.insert_or_assign(std::string(reinterpret_cast<const char*>(path.data()), path.size()), Index{container, std::move(index)});
}

std::shared_ptr<const Segment> Segment::with_fields(const Container& fields) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->set_fields(fields);
  copy->indexes_.clear();  // they described the old documents
  return copy;
}

std::shared_ptr<const Segment> Segment::with_vector_index(const Container& index) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->set_vector_index(index);
  return copy;
}

std::shared_ptr<const Segment> Segment::without_vector_index(std::uint32_t slot) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  if (const auto found = copy->columns_.find(slot); found != copy->columns_.end()) {
    found->second.index = nullptr;
    if (!found->second.codes) scan_by_codes(found->second);
  }
  return copy;
}

std::shared_ptr<const Segment> Segment::with_terms(const Container& terms) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->set_terms(terms);
  return copy;
}

std::shared_ptr<const Segment> Segment::with_index(const Container& index) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->add_index(index);
  return copy;
}

std::shared_ptr<const Segment> Segment::without_indexes(const std::string& path) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->indexes_.erase(path);
  return copy;
}

std::shared_ptr<const Segment> Segment::without_column(std::uint32_t slot) const {
  std::shared_ptr<Segment> copy(new Segment(*this));
  copy->columns_.erase(slot);
  copy->values_.erase(slot);
  return copy;
}

void Segment::verify() const {
  ids_container_.verify();
  ids_.verify();
  fields_container_.verify();
  for (std::uint32_t row = 0; row < size(); ++row) validate_document(document(row));
  for (const auto& [slot, column] : columns_) {
    for (const Container& container : column.containers) container.verify();
    if (column.index) column.index->verify(column.block);
  }
  for (const auto& [path, index] : indexes_) index.container.verify();
  for (const auto& [slot, column] : values_) {
    for (const Container& container : column.containers) container.verify();
    if (column.terms) column.terms->verify();
    if (column.multi) column.multi->verify();
    for (std::uint32_t row = 0; row < size(); ++row) check_value(column.spec, value(slot, row), column.containers.front().name());
  }
}

Bytes Segment::document(std::uint32_t row) const {
  const std::uint64_t begin = offsets_[row], end = offsets_[row + 1];
  if (begin > end || end > documents_.size())
    throw CorruptionError(fields_container_.name() + ": the document of row " + std::to_string(row) + " is out of bounds");
  return documents_.subspan(begin, end - begin);
}

std::vector<ColumnSpec> Segment::columns() const {
  std::vector<ColumnSpec> specs;
  for (const auto& [slot, column] : columns_) specs.push_back(column.spec);
  return specs;
}

std::vector<Chunk> Segment::chunks(std::uint32_t slot) const {
  const auto found = columns_.find(slot);
  if (found == columns_.end()) return {};
  return {{found->second.block, 0}};
}

std::vector<Chunk> Segment::coded_chunks(std::uint32_t slot) const {
  const SealedCodes* found = codes(slot);
  return found ? found->chunks() : chunks(slot);
}

void Segment::code_rows(std::uint32_t slot, std::uint64_t n_read) const {
  if (SealedCodes* found = codes(slot)) found->extend_after(n_read);
}

SealedCodes* Segment::codes(std::uint32_t slot) const {
  const auto found = columns_.find(slot);
  return found == columns_.end() ? nullptr : found->second.codes.get();
}

void Segment::ask_for_codes(const HasRoom& has_room) const {
  for (const auto& [slot, column] : columns_)
    if (column.codes) column.codes->ask(has_room);
}

void Segment::give_up_codes(std::optional<std::uint32_t> slot) const {
  for (const auto& [number, column] : columns_)
    if (column.codes && number == slot.value_or(number)) column.codes->give_up();
}

void Segment::take_codes(const Segment& before) const {
  for (const auto& [slot, column] : columns_)
    if (const SealedCodes* found = before.codes(slot); found && column.codes) column.codes->take(*found);
}

void Segment::finish_codes(const Cancel& cancel) const {
  for (const auto& [slot, column] : columns_)
    if (column.codes) column.codes->finish(cancel);
}

const Bitmap* Segment::presence(std::uint32_t slot) const {
  const auto found = columns_.find(slot);
  return found == columns_.end() ? nullptr : found->second.presence.get();
}

bool Segment::is_coded(std::uint32_t slot) const {
  const auto found = columns_.find(slot);
  return found != columns_.end() && found->second.block.dtype == Dtype::coded;
}

const std::uint8_t* Segment::vector(std::uint32_t slot, std::uint32_t row) const {
  const auto found = columns_.find(slot);
  if (found == columns_.end() || (found->second.presence && !found->second.presence->test(row))) return nullptr;
  return found->second.block.row(row);
}

std::vector<ValueSpec> Segment::values() const {
  std::vector<ValueSpec> specs;
  for (const auto& [slot, column] : values_) specs.push_back(column.spec);
  return specs;
}

Bytes Segment::value(std::uint32_t slot, std::uint32_t row) const {
  const auto found = values_.find(slot);
  if (found == values_.end() || found->second.offsets.empty()) return {};
  const Values& column = found->second;
  const std::uint64_t begin = column.offsets[row], end = column.offsets[row + 1];
  if (begin > end || end > column.bytes.size())
    throw CorruptionError(column.containers.front().name() + ": the value of row " + std::to_string(row) + " is out of bounds");
  return column.bytes.subspan(begin, end - begin);
}

const TermIndex* Segment::terms(std::uint32_t slot) const {
  const auto found = values_.find(slot);
  return found == values_.end() ? nullptr : found->second.terms.get();
}

const MultiIndex* Segment::multi_index(std::uint32_t slot) const {
  const auto found = values_.find(slot);
  return found == values_.end() ? nullptr : found->second.multi.get();
}

const VectorIndex* Segment::vector_index(std::uint32_t slot) const {
  const auto found = columns_.find(slot);
  return found == columns_.end() ? nullptr : found->second.index.get();
}

void Segment::keep_graphs_in_memory() const {
  for (const auto& [slot, column] : columns_)
    if (column.index) column.index->keep_in_memory();
  for (const auto& [slot, column] : values_)
    if (column.terms) column.terms->keep_in_memory();
}

const FieldIndex* Segment::index(std::string_view path) const {
  const auto found = indexes_.find(path);
  return found == indexes_.end() ? nullptr : found->second.index.get();
}

std::size_t Segment::memory_bytes() const {
  std::size_t bytes = sizeof(Segment);
  for (const auto& [slot, column] : columns_) bytes += (column.presence ? column.presence->n_words() * 8 : 0) + (column.index ? column.index->memory_bytes() : 0) +
             (column.codes ? column.codes->memory_bytes() : 0);
  for (const auto& [slot, column] : values_) bytes += column.terms ? column.terms->memory_bytes() : 0;
  return bytes;
}

}  // namespace vicino
