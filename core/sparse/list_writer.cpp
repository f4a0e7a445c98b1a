#include "sparse/list_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sparse/bit_packing.h"
#include "sparse/impacts.h"
#include "sparse/sealed_terms.h"
#include "sparse/text_value.h"
#include "util/byte_io.h"

namespace vicino {

namespace {

float weight_of(std::uint32_t payload) { return std::bit_cast<float>(payload); }

void append_in_runs(std::span<const std::uint32_t> numbers, std::string& out) {
  for (std::size_t first = 0; first < numbers.size(); first += kRunMax)
    append_run(numbers.subspan(first, std::min<std::size_t>(kRunMax, numbers.size() - first)), out);
}

/// The size of a part of a list, which readers take in 32 bits.
std::uint32_t size32(std::size_t size) {
  if (size > 0xffffffff) throw InvalidArgument("the list of one term takes more than 4 GiB; use smaller segments");
  return static_cast<std::uint32_t>(size);
}

}  // namespace

float ListWriter::bound_of(const TermList& list, const Part& part) const {
  float most = 0;
  for (std::size_t i = part.begin; i < part.end; ++i) {
    const auto tf = static_cast<float>(list.payloads[i]);
    most = std::max(most, kind_ == TermsKind::text ? tf / (tf + norm_(lengths_[list.rows[i]])) : std::fabs(weight_of(list.payloads[i])));
  }
  return most * 1.000001f;  // beyond what rounding elsewhere may give
}

void ListWriter::append_block(const TermList& list, const Part& part, std::uint32_t first_row, std::string& out) const {
  const std::size_t n = part.end - part.begin;
  std::uint32_t numbers[kPostingsPerBlock];
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t row = list.rows[part.begin + i];
    numbers[i] = row - first_row;
    first_row = row + 1;
  }
  append_run({numbers, n}, out);
  if (kind_ == TermsKind::sparse) {
    out.append(reinterpret_cast<const char*>(list.payloads.data() + part.begin), n * 4);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) numbers[i] = list.payloads[part.begin + i] - 1;
  append_run({numbers, n}, out);
}

/// The first position of each posting, then the distances of all others: they are of different sizes.
std::size_t ListWriter::append_positions(const TermList& list, const Part& part, std::string& out) const {
  std::size_t end = part.first_other;
  for (std::size_t i = part.begin; i < part.end; ++i) end += list.payloads[i] - 1;
  append_run(std::span(list.firsts).subspan(part.begin, part.size()), out);
  append_in_runs(std::span(list.others).subspan(part.first_other, end - part.first_other), out);
  return end;
}

void ListWriter::write_single(const TermList& list, std::string& out) const {
  const std::uint32_t row = list.rows[0], payload = list.payloads[0];
  if (kind_ == TermsKind::sparse) {
    append_varint(out, row);
    append_value(out, payload);
    return;
  }
  append_varint(out, row);
  append_varint(out, payload);
  if (!has_positions_) return;
  append_varint(out, list.firsts[0]);
  for (const std::uint32_t other : list.others) append_varint(out, other);
}

void ListWriter::write_short(const TermList& list, std::string& out) {
  const Part part{0, list.rows.size(), 0};
  const float bound = bound_of(list, part);
  if (kind_ == TermsKind::text) out.push_back(static_cast<char>(bound_code(bound, 1)));
  else append_value(out, bound);
  append_block(list, part, 0, out);
  if (has_positions_) append_positions(list, part, out);
}

void ListWriter::write_long(const TermList& list, std::string& postings, std::string& positions) {
  if (has_positions_) append_value(postings, std::uint64_t{positions.size()});
  last_rows_.clear();
  ends_.clear();
  ends_of_positions_.clear();
  bounds_.clear();
  bodies_.clear();
  bodies_of_positions_.clear();
  std::size_t first_other = 0;
  for (std::size_t begin = 0; begin < list.rows.size(); begin += kPostingsPerBlock) {
    const Part part{begin, std::min<std::size_t>(begin + kPostingsPerBlock, list.rows.size()), first_other};
    append_block(list, part, begin ? list.rows[begin - 1] + 1 : 0, bodies_);
    last_rows_.push_back(list.rows[part.end - 1]);
    ends_.push_back(size32(bodies_.size()));
    bounds_.push_back(bound_of(list, part));
    if (!has_positions_) continue;
    first_other = append_positions(list, part, bodies_of_positions_);
    ends_of_positions_.push_back(size32(bodies_of_positions_.size()));
  }
  const float whole = kind_ == TermsKind::text ? 1 : std::ranges::max(bounds_);
  if (kind_ == TermsKind::sparse) append_value(postings, whole);
  const auto append_all = [](std::string& out, const std::vector<std::uint32_t>& numbers) {
    out.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * 4);
  };
  append_all(postings, last_rows_);
  append_all(postings, ends_);
  for (const float bound : bounds_) postings.push_back(static_cast<char>(bound_code(bound, whole)));
  postings += bodies_;
  append_all(positions, ends_of_positions_);
  positions += bodies_of_positions_;
}

void ListWriter::write(const TermList& list, std::string& entry, std::string& postings, std::string& positions) {
  if (list.df() == 1) return write_single(list, entry);
  const std::size_t before = postings.size();
  if (list.df() < kPostingsPerBlock) write_short(list, postings);
  else write_long(list, postings, positions);
  append_varint(entry, size32(postings.size() - before));
}

}  // namespace vicino
