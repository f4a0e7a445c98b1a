#include "sparse/unpacked.h"

#include <algorithm>
#include <mutex>
#include <new>

namespace vicino {

namespace {

/// Of more postings than one in so many, exceptions take longer than the packed list does.
constexpr std::uint32_t kPostingsPerException = 8;
/// About half of what all lists of short passages take.
constexpr std::size_t kBytesPerRow = 96, kBytesMin = std::size_t{4} << 20;
/// What is given up at once when there is no more room, so that this is seldom.
constexpr std::size_t kShareGivenUp = 8;
/// A list stays while so many others are asked for: unpacking it took as long as a few searches of the packed one.
constexpr std::uint64_t kStays = 4096;

}  // namespace

const std::uint32_t* UnpackedList::find(std::uint32_t row) const {
  const std::uint32_t window = row / kUnpackedWindow, wanted = row % kUnpackedWindow;
  const std::uint32_t *first = postings.data() + begin(window), *const last = postings.data() + ends[window];
  // Halves the range without a branch that could be guessed wrong.
  for (auto n = static_cast<std::size_t>(last - first); n > 1;) {
    const std::size_t half = n / 2;
    first += place(first[half - 1]) < wanted ? half : 0;
    n -= half;
  }
  return first != last && place(*first) == wanted ? first : nullptr;
}

UnpackedList::Exception UnpackedList::of(std::uint32_t row, std::uint32_t posting) const {
  const std::uint32_t found = code(posting);
  if (found != kOther) return {row, found / kLengths + 1, found % kLengths};
  return *std::ranges::lower_bound(exceptions, row, {}, &Exception::row);
}

std::size_t UnpackedList::memory_bytes() const {
  return sizeof *this + 4 * (ends.capacity() + postings.capacity()) + sizeof(Exception) * exceptions.capacity();
}

bool unpack(const TermIndex& index, const TermInfo& term, UnpackedList& out) {
  const std::uint8_t* const lengths = index.byte_lengths();
  const std::uint32_t n_windows = (index.n_rows() + kUnpackedWindow - 1) / kUnpackedWindow;
  out.ends.resize(n_windows);
  out.postings.resize(term.df);
  out.exceptions.clear();
  out.frequency_max = out.length_max = 0;
  const auto cursor = index.postings(term);
  PostingBlock block;
  std::uint32_t n = 0, window = 0;
  for (std::uint32_t first = 0; n < term.df && cursor->next(first, block); first = block.rows[block.count - 1] + 1) {
    for (std::uint32_t i = 0; i < block.count; ++i, ++n) {
      const std::uint32_t row = block.rows[i], frequency = block.tf[i], length = lengths[row];
      for (; window < row / kUnpackedWindow; ++window) out.ends[window] = n;
      std::uint32_t code = (frequency - 1) * UnpackedList::kLengths + length;
      if (frequency > UnpackedList::kFrequencies || length >= TermIndex::kByteLengths) {
        std::uint32_t full;
        index.lengths(&row, 1, &full);
        out.exceptions.push_back({row, frequency, full});
        code = UnpackedList::kOther;
      } else {
        out.frequency_max = std::max(out.frequency_max, frequency);
        out.length_max = std::max(out.length_max, length);
      }
      out.postings[n] = code << 16 | row % kUnpackedWindow;
    }
    if (out.exceptions.size() > kPostingsPerBlock + n / kPostingsPerException) return false;
  }
  out.postings.resize(n);
  for (; window < n_windows; ++window) out.ends[window] = n;
  return true;
}

UnpackedLists::UnpackedLists(std::uint32_t n_rows) : bytes_max_(std::max(kBytesMin, kBytesPerRow * n_rows)) {}

std::shared_ptr<const UnpackedList> UnpackedLists::get(const TermIndex& index, const TermInfo& term) {
  const std::uint64_t now = clock_.fetch_add(1, std::memory_order_relaxed);
  {
    std::shared_lock lock(mutex_);
    if (const auto found = kept_.find(term.postings.data()); found != kept_.end()) {
      found->second.asked.store(now, std::memory_order_relaxed);
      return found->second.list;
    }
  }
  if (now < full_until_.load(std::memory_order_relaxed) && bytes_ + std::size_t{4} * term.df > bytes_max_) return nullptr;
  try {
    auto made = std::make_shared<UnpackedList>();
    if (!unpack(index, term, *made)) made = nullptr;
    keep(term.postings.data(), made, now);
    return made;
  } catch (const std::bad_alloc&) {  // then the packed list serves as well, more slowly
    return nullptr;
  }
}

void UnpackedLists::keep(const std::uint8_t* where, std::shared_ptr<const UnpackedList> list, std::uint64_t now) {
  const std::size_t size = sizeof(Kept) + (list ? list->memory_bytes() : 0);
  std::unique_lock lock(mutex_);
  if (bytes_ + size > bytes_max_) make_room(size, now);
  if (bytes_ + size > bytes_max_) return;
  const auto [place, is_new] = kept_.try_emplace(where);
  if (!is_new) return;  // another search was faster
  place->second.list = std::move(list);
  place->second.asked = now;
  bytes_ += size;
}

/// Gives up lists that were not asked for lately, the longest time first.
void UnpackedLists::make_room(std::size_t size, std::uint64_t now) {
  std::vector<std::pair<std::uint64_t, const std::uint8_t*>> by_age;
  for (const auto& [where, kept] : kept_) by_age.emplace_back(kept.asked.load(std::memory_order_relaxed), where);
  std::ranges::sort(by_age);
  const std::size_t wanted = bytes_max_ - std::min(bytes_max_, std::max(size, bytes_max_ / kShareGivenUp));
  for (const auto& [asked, where] : by_age) {
    if (asked + kStays > now) full_until_.store(asked + kStays, std::memory_order_relaxed);
    if (asked + kStays > now || bytes_ <= wanted) return;
    const auto place = kept_.find(where);
    bytes_ -= sizeof(Kept) + (place->second.list ? place->second.list->memory_bytes() : 0);
    kept_.erase(place);
  }
}

}  // namespace vicino
