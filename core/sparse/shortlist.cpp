#include "sparse/shortlist.h"

#include <algorithm>
#include <functional>

#include "kernels/dispatch.h"

namespace vicino {

void Shortlist::offer(Candidate candidate) {
  if (candidate.score < limit_) return;
  candidates_.push_back(candidate);
  if (largest_.size() == k_) {
    if (candidate.score <= largest_.front()) return;
    std::ranges::pop_heap(largest_, std::greater());
    largest_.pop_back();
  }
  largest_.push_back(candidate.score);
  std::ranges::push_heap(largest_, std::greater());
}

void Shortlist::raise_limit() {
  if (largest_.size() == k_ && largest_.front() > slack_) limit_ = std::max(limit_, static_cast<std::uint32_t>(largest_.front() - slack_));
  if (candidates_.size() < full_) return;
  forget_others();
  full_ = std::max(full_, 2 * candidates_.size());
}

void Shortlist::forget_others() {
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.score < limit_; });
}

std::vector<Candidate> Shortlist::take() && {
  forget_others();
  return std::move(candidates_);
}

namespace {

struct Memory {
  alignas(64) std::uint16_t sums[WindowSums::kRows] = {};
  std::uint32_t places[WindowSums::kRows];
  std::uint16_t found[WindowSums::kRows];
};

Memory& memory() {
  static thread_local Memory memory;
  return memory;
}

}  // namespace

WindowSums::WindowSums() : sums_(memory().sums) {
  // Reading a damaged list may have ended the search before this one early.
  std::fill_n(sums_, kRows, std::uint16_t{0});
}

void WindowSums::take(std::uint32_t first, std::uint32_t at, std::uint32_t n, std::uint32_t wanted, const Bitmap* allowed, std::vector<Candidate>& out) {
  Memory& own = memory();
  const auto bound = static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, 0xffff));
  const std::uint64_t* words = allowed ? allowed->words() + first / 64 : nullptr;
  const std::size_t found = kernels().take_bounds(sums_ + at, (std::size_t{n} + 63) / 64 * 64, bound, words, own.places, own.found);
  for (std::size_t i = 0; i < found; ++i) out.push_back({first + own.places[i], own.found[i]});
}

}  // namespace vicino
