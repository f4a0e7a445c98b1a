// Windows of 8,192 rows, one after the other; of each only what can matter is read.
//
// Pruning leaves nearly every block of a common word to be read: its postings are worth about the same, so no block can be passed over by its bound. Unpacked,
// adding up a posting takes half a nanosecond, and what is left to save are whole words: those that cannot lift a row to the limit by themselves are looked
// up for the rows that others found where that takes less, and left out where others found none. Where few postings were added, the sums are looked
// at through these once more; else all sums of the window are looked through.
#include "sparse/word_search.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/dispatch.h"
#include "sparse/shortlist.h"
#include "sparse/unpacked.h"

namespace vicino {

namespace {

static_assert(kUnpackedWindow <= WindowSums::kRows);

/// More lists than a query of words has; their tables would no longer stay in a near cache.
constexpr std::size_t kListsMax = 64;
/// Looking up a row takes what adding up so many postings does.
constexpr std::uint32_t kPostingsPerLookUp = 32;
/// Of fewer postings, looking at their rows takes less than looking through the window.
constexpr std::uint32_t kPostingsLookedThrough = 400;
constexpr std::uint32_t kWindowsPerCheck = 32;
/// Cache lines of the next window's postings that are asked for ahead.
constexpr std::uint32_t kLinesAhead = 4, kPostingsPerLine = 16;
/// So many candidates are offered before the limit is raised for the others.
constexpr std::size_t kCandidatesPerRaise = 64;

using ShareTable = std::array<std::uint16_t, UnpackedList::kCodes>;

/// What a thread keeps from query to query.
struct Memory {
  std::array<UnpackedList, kListsMax> lists;
  std::array<ShareTable, kListsMax> tables;
};

Memory& memory() {
  static thread_local const auto own = std::make_unique<Memory>();
  return *own;
}

/// Rounded up, and beyond what rounding elsewhere may give.
std::uint32_t to_units(float value) { return static_cast<std::uint32_t>(std::ceil(static_cast<double>(value) * 1.000002)) + 1; }

/// One list, and what its postings are worth.
class WordWalk {
 public:
  WordWalk(const FlatList& list, std::shared_ptr<const UnpackedList> kept, const UnpackedList& unpacked, const LengthNorm& norm, double units, ShareTable& table)
      : kept_(std::move(kept)), list_(unpacked), norm_(norm), weight_(list.weight), bound_(to_units(list.bound * static_cast<float>(list.weight * units))),
        share_(share_of(units)), table_(table) {
    make_table();
  }

  /// No posting is worth more.
  std::uint32_t bound() const { return bound_; }
  std::uint32_t count(std::uint32_t window) const { return list_.count(window); }

  /// Adds what the postings of a window are worth to its sums.
  void add(std::uint32_t window, std::uint16_t* sums) {
    const std::uint32_t end = list_.ends[window];
    const std::uint32_t* const postings = list_.postings.data();
    for (std::uint32_t line = 0; line < kLinesAhead; ++line) __builtin_prefetch(postings + end + kPostingsPerLine * line);
    for (std::uint32_t i = list_.begin(window); i < end; ++i) sums[UnpackedList::place(postings[i])] += table_[UnpackedList::code(postings[i])];
    each_exception(window, [&](std::uint32_t row, std::uint32_t share) { sums[row % kUnpackedWindow] += static_cast<std::uint16_t>(share); });
  }

  /// Adds them to the sums of the other lists, appends the rows that come to `wanted`, and forgets the sums of all its rows.
  void add_last(std::uint32_t window, std::uint32_t wanted, std::uint16_t* sums, std::vector<Candidate>& out) {
    each_exception(window, [&](std::uint32_t row, std::uint32_t share) { sums[row % kUnpackedWindow] += static_cast<std::uint16_t>(share); });
    const std::uint32_t first = window * kUnpackedWindow, end = list_.ends[window];
    const std::uint32_t* const postings = list_.postings.data();
    for (std::uint32_t line = 0; line < kLinesAhead; ++line) __builtin_prefetch(postings + end + kPostingsPerLine * line);
    for (std::uint32_t i = list_.begin(window); i < end; ++i) {
      std::uint16_t& sum = sums[UnpackedList::place(postings[i])];
      const std::uint32_t all = std::uint32_t{sum} + table_[UnpackedList::code(postings[i])];
      sum = 0;
      if (all >= wanted) out.push_back({first + UnpackedList::place(postings[i]), all});
    }
  }

  /// Appends the rows of a window whose sums are at least `wanted`, and forgets the sums of all its rows.
  void take(std::uint32_t window, std::uint32_t wanted, std::uint16_t* sums, std::vector<Candidate>& out) const {
    const std::uint32_t first = window * kUnpackedWindow, end = list_.ends[window];
    const std::uint32_t* const postings = list_.postings.data();
    for (std::uint32_t i = list_.begin(window); i < end; ++i) {
      std::uint16_t& sum = sums[UnpackedList::place(postings[i])];
      if (sum >= wanted) out.push_back({first + UnpackedList::place(postings[i]), sum});
      sum = 0;
    }
  }

  /// The same of a window in which this is the only list.
  void collect(std::uint32_t window, std::uint32_t wanted, std::vector<Candidate>& out) {
    const std::uint32_t first = window * kUnpackedWindow, end = list_.ends[window];
    const std::uint32_t* const postings = list_.postings.data();
    for (std::uint32_t i = list_.begin(window); i < end; ++i) {
      const std::uint32_t share = table_[UnpackedList::code(postings[i])];
      if (share >= wanted) out.push_back({first + UnpackedList::place(postings[i]), share});
    }
    each_exception(window, [&](std::uint32_t row, std::uint32_t share) {
      if (share >= wanted) out.push_back({row, share});
    });
  }

  /// Adds what a row is worth to each candidate, and drops those that stay below `wanted`.
  void look_up(std::vector<Candidate>& candidates, std::uint32_t wanted) const {
    std::size_t kept = 0;
    for (Candidate candidate : candidates) {
      if (candidate.score + bound_ < wanted) continue;
      if (const std::uint32_t* posting = list_.find(candidate.row)) candidate.score += share_at(candidate.row, *posting);
      candidates[kept] = candidate;
      kept += candidate.score >= wanted;
    }
    candidates.resize(kept);
  }

  /// Adds the exact shares, in units of which there are `scale` to a score of 1.
  void score(std::vector<Candidate>& candidates, double scale) const {
    constexpr std::size_t kAtOnce = 128;
    std::uint32_t frequencies[kAtOnce], lengths[kAtOnce], places[kAtOnce], shares[kAtOnce];
    const TextShare share = share_of(scale);
    std::size_t n = 0;
    const auto add_all = [&] {
      kernels_.text_shares(frequencies, lengths, n, share, shares);
      for (std::size_t i = 0; i < n; ++i) candidates[places[i]].score += shares[i];
      n = 0;
    };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const std::uint32_t* posting = list_.find(candidates[i].row);
      if (!posting) continue;
      const auto found = list_.of(candidates[i].row, *posting);
      frequencies[n] = found.frequency;
      lengths[n] = found.length;
      places[n++] = static_cast<std::uint32_t>(i);
      if (n == kAtOnce) add_all();
    }
    add_all();
  }

 private:
  TextShare share_of(double scale) const {
    return {static_cast<float>(weight_ * scale), norm_.k1 * (1 - norm_.b), norm_.k1 * norm_.b / norm_.average};
  }

  /// Of the frequencies and lengths that there are. What stands for an exception is worth nothing.
  void make_table() {
    std::uint32_t frequencies[UnpackedList::kLengths], lengths[UnpackedList::kLengths], shares[UnpackedList::kLengths];
    const std::uint32_t n = list_.length_max + 1;
    for (std::uint32_t i = 0; i < n; ++i) lengths[i] = i;
    for (std::uint32_t frequency = 1; frequency <= list_.frequency_max; ++frequency) {
      std::fill_n(frequencies, n, frequency);
      kernels_.text_shares(frequencies, lengths, n, share_, shares);
      std::uint16_t* const row = table_.data() + (frequency - 1) * UnpackedList::kLengths;
      for (std::uint32_t i = 0; i < n; ++i) row[i] = static_cast<std::uint16_t>(std::min<std::uint32_t>(shares[i], 0xffff));
    }
    table_[UnpackedList::kOther] = 0;
  }

  std::uint32_t share_of(const UnpackedList::Exception& exception) const {
    std::uint32_t share;
    kernels_.text_shares(&exception.frequency, &exception.length, 1, share_, &share);
    return share;
  }

  std::uint32_t share_at(std::uint32_t row, std::uint32_t posting) const {
    const std::uint32_t code = UnpackedList::code(posting);
    return code == UnpackedList::kOther ? share_of(list_.of(row, posting)) : table_[code];
  }

  template <class Visit>
  void each_exception(std::uint32_t window, Visit&& visit) {
    const auto& all = list_.exceptions;
    if (next_ == all.size()) return;
    const std::uint32_t first = window * kUnpackedWindow;
    while (next_ < all.size() && all[next_].row < first) ++next_;  // of windows that were left out
    for (; next_ < all.size() && all[next_].row - first < kUnpackedWindow; ++next_) visit(all[next_].row, share_of(all[next_]));
  }

  const Kernels& kernels_ = kernels();
  std::shared_ptr<const UnpackedList> kept_;
  const UnpackedList& list_;
  const LengthNorm& norm_;
  double weight_;
  std::uint32_t bound_;
  TextShare share_;
  ShareTable& table_;
  std::size_t next_ = 0;  // exception
};

/// The search of one entry.
class WordSearch {
 public:
  WordSearch(const SparseEntry& entry, std::vector<WordWalk>& walks, Shortlist& shortlist, SparseStats& stats)
      : entry_(entry), shortlist_(shortlist), stats_(stats) {
    for (WordWalk& walk : walks) order_.push_back(&walk);
    std::ranges::stable_sort(order_, {}, &WordWalk::bound);
    part();
  }

  void run(const Cancel& cancel) {
    const std::uint32_t n_windows = (entry_.n_rows + kUnpackedWindow - 1) / kUnpackedWindow;
    for (std::uint32_t window = 0; window < n_windows && n_rest_ < order_.size(); ++window) {
      if (window % kWindowsPerCheck == 0) cancel.check();
      search(window);
    }
  }

 private:
  /// The lists that together cannot lift a row to the limit come first; the others begin at n_rest_.
  void part() {
    limit_ = shortlist_.limit();
    n_rest_ = 0;
    rest_ = 0;
    while (n_rest_ < order_.size() && rest_ + order_[n_rest_]->bound() < limit_) rest_ += order_[n_rest_++]->bound();
  }

  void search(std::uint32_t window) {
    std::uint32_t n_rest = 0, n = 0;
    for (std::size_t i = 0; i < n_rest_; ++i) n_rest += order_[i]->count(window);
    for (std::size_t i = n_rest_; i < order_.size(); ++i) n += order_[i]->count(window);
    if (n == 0) return;
    const bool looks_up = n_rest > kPostingsPerLookUp * n;
    const std::size_t from = looks_up ? n_rest_ : 0;
    const std::uint32_t wanted = looks_up && limit_ > rest_ ? static_cast<std::uint32_t>(limit_ - rest_) : looks_up ? 1 : limit_;
    stats_.postings += n += looks_up ? 0 : n_rest;
    find(window, from, n, wanted);
    if (entry_.allowed) std::erase_if(candidates_, [&](const Candidate& candidate) { return !entry_.allowed->test(candidate.row); });
    if (looks_up) look_up();
    offer();
  }

  /// The rows of a window for which the lists from `from` on, n postings, come to `wanted`.
  void find(std::uint32_t window, std::size_t from, std::uint32_t n, std::uint32_t wanted) {
    candidates_.clear();
    added_.clear();
    for (std::size_t i = from; i < order_.size(); ++i)
      if (order_[i]->count(window)) added_.push_back(order_[i]);
    if (added_.size() == 1) return added_[0]->collect(window, wanted, candidates_);
    if (n < kPostingsLookedThrough) {
      // The longest list comes last and is read but once.
      std::ranges::swap(*std::ranges::max_element(added_, {}, [&](const WordWalk* walk) { return walk->count(window); }), added_.back());
      const auto others = std::span(added_).first(added_.size() - 1);
      for (WordWalk* walk : others) walk->add(window, sums_.begin());
      added_.back()->add_last(window, wanted, sums_.begin(), candidates_);
      for (const WordWalk* walk : others) walk->take(window, wanted, sums_.begin(), candidates_);
    } else {
      for (WordWalk* walk : added_) walk->add(window, sums_.begin());
      sums_.take(window * kUnpackedWindow, 0, std::min(kUnpackedWindow, entry_.n_rows - window * kUnpackedWindow), wanted, nullptr, candidates_);
    }
  }

  void look_up() {
    std::uint64_t left = rest_;
    for (std::size_t i = n_rest_; i-- > 0;) {
      left -= order_[i]->bound();
      order_[i]->look_up(candidates_, limit_ > left ? static_cast<std::uint32_t>(limit_ - left) : 0);
    }
  }

  void offer() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      shortlist_.offer(candidates_[i]);
      if ((i + 1) % kCandidatesPerRaise == 0) shortlist_.raise_limit();
    }
    if (candidates_.empty()) return;
    shortlist_.raise_limit();
    if (shortlist_.limit() != limit_) part();
  }

  const SparseEntry& entry_;
  Shortlist& shortlist_;
  SparseStats& stats_;
  std::vector<WordWalk*> order_, added_;  // by bound, the least first
  std::size_t n_rest_ = 0;
  std::uint64_t rest_ = 0;  // what the first n_rest_ can be worth
  std::uint32_t limit_ = 0;
  WindowSums sums_;
  std::vector<Candidate> candidates_;
};

/// Units of score for sums of 16 bits.
double units_of(std::span<const FlatList> lists) {
  double most = 0;
  for (const FlatList& list : lists) most += static_cast<double>(list.weight) * list.bound;
  // A list's bound in these units is at most two more than it is, and a little for rounding.
  return (kLargestRoundedSum - 4 * static_cast<double>(lists.size())) / (most * 1.00001);
}

}  // namespace

bool offer_best_words(const SparseEntry& entry, std::span<const FlatList> lists, const LengthNorm& norm, double scale, BestRows& best, SparseStats& stats,
                      const Cancel& cancel) {
  UnpackedLists* const kept = lists[0].index->unpacked_lists();
  if (!kept || lists.size() > kListsMax || !can_unpack(*lists[0].index)) return false;
  Memory& own = memory();
  const double units = units_of(lists);
  std::vector<WordWalk> walks;
  walks.reserve(lists.size());
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const TermInfo& term = lists[i].info;
    std::shared_ptr<const UnpackedList> held;
    if (term.df >= UnpackedLists::kShortest) {
      held = kept->get(*lists[i].index, term);
      if (!held) return false;
    } else if (!unpack(*lists[i].index, term, own.lists[i])) {
      return false;
    }
    const UnpackedList& list = held ? *held : own.lists[i];
    walks.emplace_back(lists[i], std::move(held), list, norm, units, own.tables[i]);
  }
  const auto n = static_cast<double>(lists.size());
  // A share is rounded by at most a half, or up to one. So a row among the best falls short of the k-th largest sum by less than two a list, and one
  // whose score is not below the threshold by less than one.
  Shortlist shortlist(best.k(), 2 * n, (best.threshold() - n) * units / scale - n);
  WordSearch(entry, walks, shortlist, stats).run(cancel);
  std::vector<Candidate> candidates = std::move(shortlist).take();
  stats.candidates += candidates.size();
  for (Candidate& candidate : candidates) candidate.score = 0;
  for (const WordWalk& walk : walks) walk.score(candidates, scale);
  for (const Candidate& candidate : candidates) best.offer(candidate.score, entry.first_row + candidate.row);
  return true;
}

}  // namespace vicino
