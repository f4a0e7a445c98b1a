#include "maxsim/search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <queue>

#include "maxsim/probe.h"
#include "maxsim/scorer.h"
#include "util/errors.h"
#include "util/top_k.h"

namespace vicino {

namespace {

constexpr std::uint64_t kTokensPerCheck = 1 << 14;  // half a millisecond of codes
constexpr std::size_t kCandidatesToPrune = 1 << 16;

/// Rows known only by bounds, until enough is known to leave most of them.
class Candidates {
 public:
  explicit Candidates(std::size_t k) : k_(k) {}

  struct Candidate {
    double upper;
    std::uint32_t source, row;
    friend bool operator<(const Candidate& a, const Candidate& b) {
      if (a.upper != b.upper) return a.upper < b.upper;
      return a.source != b.source ? a.source > b.source : a.row > b.row;
    }
  };

  /// A row whose score is at least `lower`; k of them are a floor that every answer reaches.
  void raise_floor(double lower) {
    if (lowers_.size() == k_ && lower <= lowers_.top()) return;
    if (lowers_.size() == k_) lowers_.pop();
    lowers_.push(lower);
  }
  void add(const MultiScorer::Estimate& estimate, std::uint32_t source, std::uint32_t row) {
    raise_floor(estimate.score - estimate.error);
    const double upper = estimate.score + estimate.error;
    if (upper < floor()) return;
    rows_.push_back({upper, source, row});
    if (rows_.size() >= prune_at_) prune();
  }
  /// All that may be in the answer, as a heap with the largest upper bound in front.
  std::vector<Candidate> take() && {
    prune();
    std::make_heap(rows_.begin(), rows_.end());
    return std::move(rows_);
  }

 private:
  double floor() const { return lowers_.size() == k_ ? lowers_.top() : -__builtin_inf(); }
  void prune() {
    std::erase_if(rows_, [limit = floor()](const Candidate& candidate) { return candidate.upper < limit; });
    prune_at_ = std::max(kCandidatesToPrune, 2 * rows_.size());
  }

  std::size_t k_, prune_at_ = kCandidatesToPrune;
  std::priority_queue<double, std::vector<double>, std::greater<>> lowers_;
  std::vector<Candidate> rows_;
};

class Search {
 public:
  Search(const MultiSpec& spec, std::span<const float> query, std::span<const MultiSource> sources, const MultiRequest& request,
         MultiStats& stats, const Cancel& cancel, const Kernels& table)
      : spec_(spec), sources_(sources), request_(request), stats_(stats), cancel_(cancel), table_(table), scorer_(spec, query, table),
        candidates_(request.k), nearest_(request.k) {}

  std::vector<MultiHit> run() {
    for (std::uint32_t s = 0; s < sources_.size(); ++s) visit_source(s);
    rescore();
    return take_hits();
  }

 private:
  void visit_source(std::uint32_t s) {
    const MultiSource& source = sources_[s];
    if (source.index && (source.index->n_rows() != source.rows || source.index->spec() != spec_))
      throw InvalidArgument("the multi index of source " + std::to_string(s) + " is of another column or another number of rows");
    if (!source.index) return for_each_allowed(source, [&](std::uint32_t row) { score(s, row); });
    if (!is_probed(source)) return for_each_allowed(source, [&](std::uint32_t row) { estimate(s, row); });
    for (const std::uint32_t row : probe(source, scorer_.query(), request_.probes, shortlist(source), stats_, table_, cancel_))
      estimate(s, row);
  }

  /// Few allowed rows are scored faster than they are looked for, and none is missed.
  bool is_probed(const MultiSource& source) const {
    if (request_.exact || !source.index->has_lists()) return false;
    if (!source.allowed) return true;
    std::uint64_t n_allowed = 0;
    for (std::uint32_t word = 0; word < (source.rows + 63) / 64; ++word) n_allowed += static_cast<std::uint64_t>(std::popcount(source.allowed[word]));
    return n_allowed > 2 * shortlist(source);
  }
  std::size_t shortlist(const MultiSource& source) const {
    if (request_.shortlist) return std::max<std::size_t>(request_.k, request_.shortlist);
    return std::max(32 * request_.k, std::clamp<std::size_t>(source.rows / 16, 4096, 65536));
  }

  template <class Visit>
  static void for_each_allowed(const MultiSource& source, Visit&& visit) {
    for (std::uint32_t row = 0; row < source.rows; ++row)
      if (!source.allowed || source.allowed[row / 64] >> (row % 64) & 1) visit(row);
  }

  void count_tokens_scored(std::uint64_t n) {
    ++stats_.rows_scored;
    stats_.tokens_scored += n;
    since_check_ += n;
    if (since_check_ < kTokensPerCheck) return;
    since_check_ = 0;
    cancel_.check();
  }

  void estimate(std::uint32_t s, std::uint32_t row) {
    const MultiIndex& index = *sources_[s].index;
    const std::uint32_t n = index.n_tokens_of(row);
    if (n == 0) return;
    candidates_.add(scorer_.estimate(index, row, sources_[s].value), s, row);
    count_tokens_scored(n);
  }

  void score(std::uint32_t s, std::uint32_t row) {
    const Bytes value = sources_[s].value(row);
    if (value.empty()) return;
    const std::uint32_t n = count_tokens(spec_, value, row);
    const float found = scorer_.score(value);
    candidates_.raise_floor(found);
    nearest_.offer({-found, key(s, row)});
    count_tokens_scored(n);
  }

  Bytes checked_value(std::uint32_t s, std::uint32_t row) const {
    const Bytes value = sources_[s].value(row);
    if (count_tokens(spec_, value, row) != sources_[s].index->n_tokens_of(row))
      throw CorruptionError("row " + std::to_string(row) + " has a multi-vector of " + std::to_string(value.size()) + " bytes, its index " +
                            std::to_string(sources_[s].index->n_tokens_of(row)) + " tokens");
    return value;
  }

  void rescore() {
    auto heap = std::move(candidates_).take();
    while (!heap.empty()) {
      const auto [upper, s, row] = heap.front();
      if (nearest_.full() && upper < -static_cast<double>(nearest_.bound())) break;
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
      nearest_.offer({-scorer_.score(checked_value(s, row)), key(s, row)});
      if (++stats_.rows_rescored % 64 == 0) cancel_.check();
    }
  }

  std::vector<MultiHit> take_hits() {
    std::vector<MultiHit> hits;
    for (const Hit& hit : std::move(nearest_).take_sorted()) {
      MultiHit& out = hits.emplace_back();
      out.source = static_cast<std::uint32_t>(hit.row >> 32);
      out.row = static_cast<std::uint32_t>(hit.row);
      out.score = scorer_.score(sources_[out.source].value(out.row));
      const auto tokens = scorer_.best_tokens();
      out.token = tokens[scorer_.leading_query_token()];
      if (request_.all_tokens) out.tokens.assign(tokens.begin(), tokens.end());
    }
    return hits;
  }

  static std::uint64_t key(std::uint32_t s, std::uint32_t row) { return std::uint64_t{s} << 32 | row; }

  MultiSpec spec_;
  std::span<const MultiSource> sources_;
  MultiRequest request_;
  MultiStats& stats_;
  const Cancel& cancel_;
  const Kernels& table_;
  MultiScorer scorer_;
  Candidates candidates_;
  TopK nearest_;
  std::uint64_t since_check_ = 0;
};

}  // namespace

std::vector<MultiHit> search_multi(const MultiSpec& spec, std::span<const float> query, std::span<const MultiSource> sources,
                                   const MultiRequest& request, MultiStats& stats, const Cancel& cancel, const Kernels& table) {
  if (request.k == 0) throw InvalidArgument("k must be at least 1, got 0");
  return Search(spec, query, sources, request, stats, cancel, table).run();
}

}  // namespace vicino
