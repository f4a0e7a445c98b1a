#include "sparse/impacts.h"

#include <algorithm>
#include <cmath>

#include "util/byte_io.h"

namespace vicino {

namespace {

constexpr std::uint32_t kPostingsPerWindow = 4;

bool has_impacts(std::uint32_t df, std::uint32_t n_windows) {
  return df >= kPostingsPerBlock && df >= std::uint64_t{kPostingsPerWindow} * n_windows;
}

std::size_t list_bytes(std::uint32_t df, std::uint32_t n_windows) {
  const std::size_t size = std::size_t{4} * n_windows + std::size_t{3} * df;
  return (size + 3) / 4 * 4;
}

}  // namespace

std::uint8_t bound_code(float bound, float whole) {
  if (!(whole > 0)) return 0;
  return static_cast<std::uint8_t>(std::min(255.0, std::ceil(static_cast<double>(bound) / whole * 255)));
}

std::optional<float> ImpactList::weight(std::uint32_t row, const std::string& what) const {
  const std::uint32_t window = row / kImpactWindow;
  const auto place = static_cast<std::uint16_t>(row % kImpactWindow);
  const std::uint16_t *found = places + begin(window), *const last = places + ends[window];
  // A binary search without branches: where a row lies cannot be foreseen, and half of them would be taken wrongly.
  for (std::size_t left = ends[window] - begin(window); left > 1;) {
    const std::size_t half = left / 2;
    found += found[half - 1] < place ? half : 0;
    left -= half;
  }
  found += found < last && *found < place;
  if (found == last || *found != place) return std::nullopt;
  const auto at = static_cast<std::uint32_t>(found - places), block = at / kPostingsPerBlock;
  const std::size_t count = std::min(kPostingsPerBlock, df - block * kPostingsPerBlock);
  const Bytes body = postings.body(block);
  if (body.size() < 4 * count) throw CorruptionError(what + ": a block of weights has " + std::to_string(body.size()) + " bytes; restore the folder from a snapshot or a copy");
  float weight;
  std::memcpy(&weight, body.data() + body.size() - 4 * (count - at % kPostingsPerBlock), 4);
  return weight;
}

Impacts::Impacts(Bytes section, Bytes postings, std::uint32_t n_rows, const std::string& name)
    : section_(section), postings_(postings), n_windows_((n_rows + kImpactWindow - 1) / kImpactWindow), name_(name) {
  ByteReader in(section, name);
  const auto n = in.read<std::uint64_t>();
  if (n > in.remaining() / sizeof(Place)) in.fail("has " + std::to_string(section.size()) + " bytes, too few for " + std::to_string(n) + " lists");
  places_ = typed_section<Place>(in.take(n * sizeof(Place)), n, name);
}

std::optional<ImpactList> Impacts::find(const TermInfo& term) const {
  if (!has_impacts(term.df, n_windows_)) return std::nullopt;
  const auto fail = [&](const std::string& why) { throw CorruptionError(name_ + ": " + why + "; restore the folder from a snapshot or a copy"); };
  const auto offset = static_cast<std::uint64_t>(term.postings.data() - postings_.data());
  const auto place = std::ranges::lower_bound(places_, offset, {}, &Place::postings);
  if (place == places_.end() || place->postings != offset) fail("the list of a term is missing");
  const std::uint64_t begin = place->impacts;
  if (begin % 4 || begin > section_.size() || list_bytes(term.df, n_windows_) > section_.size() - begin) fail("the list of a term is out of bounds");
  ImpactList list;
  list.df = term.df;
  list.ends = {reinterpret_cast<const std::uint32_t*>(section_.data() + begin), n_windows_};
  if (!std::ranges::is_sorted(list.ends) || list.ends.back() != term.df) fail("the windows of a list do not ascend to its end");
  list.places = reinterpret_cast<const std::uint16_t*>(list.ends.data() + n_windows_);
  list.codes = reinterpret_cast<const std::uint8_t*>(list.places + term.df);
  list.postings = SealedList(term.postings, term.df, TermsKind::sparse, false);
  return list;
}

void ImpactsWriter::add(std::uint64_t postings_offset, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> payloads) {
  const auto df = static_cast<std::uint32_t>(rows.size());
  if (!has_impacts(df, n_windows_)) return;
  const std::size_t begin = lists_.size();
  places_.insert(places_.end(), {postings_offset, begin});
  std::uint32_t end = 0;
  for (std::uint32_t window = 0; window < n_windows_; ++window) {
    end = static_cast<std::uint32_t>(std::upper_bound(rows.begin() + end, rows.end(), window * kImpactWindow + (kImpactWindow - 1)) - rows.begin());
    append_value(lists_, end);
  }
  for (const std::uint32_t row : rows) append_value(lists_, static_cast<std::uint16_t>(row % kImpactWindow));
  float whole = 0;
  for (const std::uint32_t payload : payloads) whole = std::max(whole, std::bit_cast<float>(payload));
  whole *= 1.000001f;  // as the bound of the list is written
  for (const std::uint32_t payload : payloads) lists_.push_back(static_cast<char>(bound_code(std::bit_cast<float>(payload), whole)));
  lists_.resize(begin + list_bytes(df, n_windows_));
}

std::string ImpactsWriter::finish() && {
  if (places_.empty()) return {};
  std::string section;
  const std::uint64_t first = 8 + 8 * places_.size();
  section.reserve(first + lists_.size());
  append_value(section, std::uint64_t{places_.size() / 2});
  for (std::size_t i = 0; i < places_.size(); ++i) append_value(section, places_[i] + (i % 2 ? first : 0));
  section += lists_;
  return section;
}

}  // namespace vicino
