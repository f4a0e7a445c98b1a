#include <algorithm>
#include <cfloat>
#include <cmath>
#include <iterator>
#include <optional>

#include "index/rescoring.h"
#include "ivf/ivf.h"
#include "ivf/kmeans.h"
#include "ivf/list_codes.h"
#include "ivf/probing.h"
#include "ivf/product_code.h"
#include "util/prefetch.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 16;
constexpr std::size_t kAskedAhead = 256;            // candidates whose rows are asked for before the first is read
constexpr std::size_t kTileBytes = 256 * 1024;      // of rows that all queries of a batch score before the next are read
constexpr std::size_t kListsAhead = 32;             // asked for before they are read

bool is_set(const std::uint64_t* bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

/// A row that was found by its code.
struct Candidate {
  float estimate, error;
  std::uint32_t row;
};

/// What a search needs besides the index; kept for the next one of the same thread.
struct SearchMemory {
  Probing probing;
  std::vector<float> distances;
  std::vector<std::uint32_t> entries, rows, positions;
  std::vector<Candidate> candidates;
  QueryState state;
  ProductQuery products;

  static SearchMemory& of_thread() {
    static thread_local SearchMemory memory;
    return memory;
  }
  float* distances_for(std::size_t count) {
    if (distances.size() < count) distances.resize(count);
    return distances.data();
  }
};

}  // namespace

/// One search of one index.
class IvfSearch {
 public:
  IvfSearch(const Ivf& ivf, const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort,
            TopK& nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row)
      : ivf_(ivf), query_(query), block_(block), allowed_(allowed), effort_(effort), nearest_(nearest), stats_(stats), cancel_(cancel),
        first_row_(first_row), memory_(SearchMemory::of_thread()), disk_(*ivf.reads_), times_(ivf.has_copies_ ? 2 : 1),
        limits_(times_ * kept()) {}

  /// scored: distances from the centroids if they are known.
  void run(std::span<const float> scored = {}) {
    memory_.probing.set_query(ivf_, query_);
    memory_.candidates.clear();
    if (ivf_.codes_) ivf_.codes_->ladder().prepare(static_cast<const float*>(query_.values()), memory_.state);
    if (ivf_.codes_) ivf_.codes_->ladder().prepare_scan(memory_.state);
    if (ivf_.products_) prepare_products();
    const auto expect = [&](std::span<const std::uint64_t> keys) {
      if (disk_.is_cold()) ivf_.read_lists_ahead(keys, block_);
    };
    memory_.probing.run(ivf_, std::max<std::size_t>(1, effort_.nprobe), times_ * nearest_.k(), scored, cancel_, expect,
                        [&](std::uint32_t list, std::uint32_t next) {
                          prefetch(next);
                          return scan(list);
                        });
    if (ivf_.kind_ != IvfKind::flat) rescore();
    else if (times_ > 1) offer_once();
  }

 private:
  /// How many of the nearest rows bound what is looked at.
  std::size_t kept() const {
    return effort_.rescore && ivf_.kind_ != IvfKind::flat ? std::min(effort_.rescore, ivf_.rows_.size()) : nearest_.k();
  }

  // ---- what is in them

  /// A list of product codes is so short a run that the processor has hardly seen it is one when it ends.
  void prefetch(std::uint32_t list) const {
    if (!ivf_.products_) return;
    const std::size_t first = ivf_.starts_[list], count = ivf_.starts_[list + 1] - first;
    prefetch_run(ivf_.rows_.data() + first, count * sizeof(std::uint32_t));
    ivf_.products_->prefetch(list, first, count);
  }

  /// Scans one list and returns how many allowed rows it has.
  std::size_t scan(std::uint32_t list) {
    const auto rows = ivf_.rows_of(list);
    const std::size_t begin = ivf_.starts_[list];
    auto& entries = memory_.entries;
    entries.clear();
    if (allowed_) {
      for (std::size_t i = 0; i < rows.size(); ++i)
        if (is_set(allowed_, rows[i])) entries.push_back(static_cast<std::uint32_t>(i));
      if (entries.empty()) return 0;
    }
    const std::size_t count = allowed_ ? entries.size() : rows.size();
    ++stats_.hops;
    stats_.rows_scored += count;
    if (ivf_.kind_ == IvfKind::flat) scan_rows(rows);
    else if (ivf_.codes_) scan_codes(begin, rows);
    else scan_products(list, begin, rows);
    return count;
  }

  void scan_rows(std::span<const std::uint32_t> rows) {
    if (allowed_) {
      memory_.rows.clear();
      for (const std::uint32_t i : memory_.entries) memory_.rows.push_back(rows[i]);
      rows = memory_.rows;
    }
    float* distances = memory_.distances_for(rows.size());
    const bool is_run = !rows.empty() && rows.back() - rows.front() + 1 == rows.size();  // rows ascend
    if (is_run) query_.distances(block_, rows.front(), static_cast<std::uint32_t>(rows.size()), distances);
    else query_.distances_at(block_, rows, distances);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (times_ == 1) {
        if (distances[i] <= nearest_.bound()) nearest_.offer({distances[i], first_row_ + rows[i]});
      } else if (distances[i] <= std::min(limits_.bound(), nearest_.bound())) {
        limits_.offer({distances[i], rows[i]});
      }
    }
  }

  /// By 1-bit codes first. Where few rows are allowed, a block of 32 would be scored for one of them.
  void scan_codes(std::size_t begin, std::span<const std::uint32_t> rows) {
    const Ladder& ladder = ivf_.codes_->ladder();
    const CodeView& view = ivf_.codes_->view();
    auto& chosen = memory_.rows;  // entries
    chosen.clear();
    if (allowed_ && memory_.entries.size() * kSparse < rows.size()) {
      for (const std::uint32_t i : memory_.entries) chosen.push_back(static_cast<std::uint32_t>(begin + i));
    } else {
      const std::size_t end = begin + rows.size();
      const float limit = threshold();
      for (std::size_t block = begin / kCodeBlockRows; block * kCodeBlockRows < end; ++block) {
        float estimates[kCodeBlockRows], errors[kCodeBlockRows];
        ladder.scan1(memory_.state, view.blocks + block * ladder.block_bytes(), estimates, errors);
        const std::size_t first = std::max(begin, block * kCodeBlockRows), last = std::min(end, (block + 1) * kCodeBlockRows);
        for (std::size_t entry = first; entry < last; ++entry) {
          const std::size_t i = entry % kCodeBlockRows;
          // "not above", for extreme rows have estimates that are no numbers.
          if (!(estimates[i] - errors[i] > limit) && (!allowed_ || is_set(allowed_, rows[entry - begin]))) chosen.push_back(static_cast<std::uint32_t>(entry));
        }
      }
    }
    float* estimates = memory_.distances_for(chosen.size());
    ladder.score4(memory_.state, view, chosen.data(), chosen.size(), estimates);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      consider({estimates[i], memory_.state.error_of(CodeLevel::bits4, ladder.scale_of(view, CodeLevel::bits4, chosen[i])), rows[chosen[i] - begin]});
  }

  // ---- product codes

  void prepare_products() {
    const ClusterSpace& space = ivf_.space_;
    ProductQuery& products = memory_.products;
    products.vector = memory_.probing.query();
    auto& v = products.vector;
    const float* mean = space.mean().data();
    float gain = 1, base;
    if (space.metric() == Metric::l2) {
      gain = space.unit() > 0 ? 1 / (space.unit() * space.unit()) : 0;
      base = kernels().sum_vectors(v.data(), v.data(), space.stride()).square;
    } else {
      // v = q, the mean put back.
      kernels().combine_vectors(v.data(), 1.0f, mean, 1.0f, space.stride(), v.data());
      base = -kernels().sum_vectors(v.data(), mean, space.stride()).product;
      if (space.metric() == Metric::dot) gain = length_of_query() / std::max(space.unit(), FLT_MIN);
    }
    gain = std::min(gain, FLT_MAX);
    ivf_.products_->prepare((space.metric() == Metric::cosine ? 1.0f : 0.0f) + gain * base, gain, products);
  }

  float length_of_query() const {
    float inverse;
    compute_inverse_norms({static_cast<const std::uint8_t*>(query_.values()), 1, block_.dim, Dtype::float32, nullptr}, &inverse);
    return inverse > 0 ? 1 / inverse : 0;
  }

  void scan_products(std::uint32_t list, std::size_t begin, std::span<const std::uint32_t> rows) {
    float* estimates = memory_.distances_for(rows.size());
    ivf_.products_->score(memory_.products, list, begin, rows.size(), estimates);
    const float error = memory_.products.error;
    if (allowed_) {
      for (const std::uint32_t i : memory_.entries) consider({estimates[i], error, rows[i]});
      return;
    }
    const float limit = threshold() + (effort_.rescore ? 0 : error);
    if (!(limit < FLT_MAX)) {
      for (std::size_t i = 0; i < rows.size(); ++i) consider({estimates[i], error, rows[i]});
      return;
    }
    // Nearly all rows are above.
    memory_.positions.resize(std::max(memory_.positions.size(), rows.size() + kCollectSlack));
    const std::size_t n = kernels().collect_at_most(estimates, rows.size(), limit, memory_.positions.data());
    for (std::size_t i = 0; i < n; ++i) consider({estimates[memory_.positions[i]], error, rows[memory_.positions[i]]});
  }

  // ---- candidates

  /// A row whose estimate, less its error, is above this will not be among the nearest.
  float threshold() const { return effort_.rescore ? limits_.bound() : std::min(limits_.bound(), nearest_.bound()); }

  void consider(Candidate candidate) {
    if (!(candidate.estimate < FLT_MAX)) candidate.estimate = FLT_MAX;  // damaged codes make anything, NaN included
    if (!(candidate.error < FLT_MAX)) candidate.error = FLT_MAX;
    const float error = effort_.rescore ? 0 : candidate.error;
    if (candidate.estimate - error > threshold()) return;
    memory_.candidates.push_back(candidate);
    limits_.offer({candidate.estimate + error, candidate.row});
  }

  /// Scores the candidates on the rows, nearest first.
  void rescore() {
    auto& candidates = memory_.candidates;
    const float limit = threshold();
    std::erase_if(candidates, [&](const Candidate& c) { return c.estimate - (effort_.rescore ? 0 : c.error) > limit; });
    const auto nearer = [](const Candidate& a, const Candidate& b) { return a.estimate != b.estimate ? a.estimate < b.estimate : a.row < b.row; };
    if (times_ > 1) {
      std::ranges::sort(candidates, [&](const Candidate& a, const Candidate& b) { return a.row != b.row ? a.row < b.row : nearer(a, b); });
      const auto twice = std::ranges::unique(candidates, {}, &Candidate::row);
      candidates.erase(twice.begin(), twice.end());
    }
    std::ranges::sort(candidates, nearer);
    if (effort_.rescore && candidates.size() > effort_.rescore) candidates.resize(effort_.rescore);
    if (effort_.estimates) {
      for (const Candidate& c : candidates) nearest_.offer({as_distance(query_.metric(), c.estimate), first_row_ + c.row});
      return;
    }
    if (disk_.is_cold())
      for (std::size_t i = 0; i < std::min(kAskedAhead, candidates.size()); ++i) read_ahead(block_.row(candidates[i].row), row_bytes(block_.dtype, block_.dim));
    auto& rows = memory_.rows;
    for (std::size_t start = 0; start < candidates.size(); start += kRescoredAtOnce) {
      rows.clear();
      for (std::size_t i = start; i < std::min(start + kRescoredAtOnce, candidates.size()); ++i)
        if (effort_.rescore || candidates[i].estimate - candidates[i].error <= nearest_.bound()) rows.push_back(candidates[i].row);
      float* distances = memory_.distances_for(rows.size());
      query_.distances_at(block_, rows, distances);
      stats_.rescored += rows.size();
      stats_.rows_scored += rows.size();
      for (std::size_t i = 0; i < rows.size(); ++i) nearest_.offer({distances[i], first_row_ + rows[i]});
    }
  }

  /// Of rows that lists hold twice, each once.
  void offer_once() {
    std::vector<Hit> hits = std::move(limits_).take_sorted();
    const auto twice = std::ranges::unique(hits);
    for (auto hit = hits.begin(); hit != twice.begin(); ++hit) nearest_.offer({hit->distance, first_row_ + hit->row});
  }

  static constexpr std::size_t kSparse = 4;

  const Ivf& ivf_;
  const PreparedQuery& query_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  const IvfEffort& effort_;
  TopK& nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::uint64_t first_row_;
  SearchMemory& memory_;
  ColdReads::Search disk_;
  std::size_t times_;  // how often a row may come
  TopK limits_;        // upper bounds of the nearest rows' distances; for kind flat with copies the distances themselves
};

/// Many searches of flat lists, list by list: the rows of one are in the cache while all queries that probe it score them.
class IvfBatch {
 public:
  IvfBatch(const Ivf& ivf, std::span<const PreparedQuery> queries, const VectorBlock& block, const std::uint64_t* allowed, std::span<TopK> nearest,
           SearchStats& stats, const Cancel& cancel, std::uint64_t first_row)
      : ivf_(ivf), queries_(queries), block_(block), allowed_(allowed), nearest_(nearest), stats_(stats), cancel_(cancel), first_row_(first_row),
        disk_(*ivf.reads_), counts_(allowed ? ivf.n_lists_ : 0, kUnknown) {}

  /// Lists of query `i`; to be called for all of them, in any order.
  void plan(std::size_t i, std::size_t nprobe, std::span<const float> scored, Probing& probing) {
    if (scored.empty()) probing.set_query(ivf_, queries_[i]);
    probing.run(ivf_, std::max<std::size_t>(1, nprobe), nearest_[i].k(), scored, cancel_, [](auto) {}, [&](std::uint32_t list, std::uint32_t) {
      const std::size_t count = count_of(list);
      if (count) visits_.push_back(std::uint64_t{list} << 32 | i);
      stats_.rows_scored += count;
      stats_.hops += count > 0;
      return count;
    });
  }

  void run() {
    std::ranges::sort(visits_);
    std::vector<std::uint64_t> lists;
    for (const std::uint64_t visit : visits_)
      if (lists.empty() || lists.back() != visit >> 32) lists.push_back(visit >> 32);
    auto begin = visits_.begin();
    for (std::size_t i = 0; i < lists.size(); ++i) {
      if (disk_.is_cold() && i % kListsAhead == 0) ivf_.read_lists_ahead(std::span(lists).subspan(i, std::min(kListsAhead, lists.size() - i)), block_);
      const auto end = std::ranges::upper_bound(begin, visits_.end(), lists[i] << 32 | 0xffffffff);
      scan(static_cast<std::uint32_t>(lists[i]), {begin, end});
      begin = end;
    }
  }

 private:
  static constexpr std::uint32_t kUnknown = ~std::uint32_t{0};

  /// Allowed rows of a list.
  std::size_t count_of(std::uint32_t list) {
    if (!allowed_) return ivf_.starts_[list + 1] - ivf_.starts_[list];
    if (counts_[list] == kUnknown) {
      counts_[list] = 0;
      for (const std::uint32_t row : ivf_.rows_of(list)) counts_[list] += is_set(allowed_, row);
    }
    return counts_[list];
  }

  void scan(std::uint32_t list, std::span<const std::uint64_t> visits) {
    auto rows = ivf_.rows_of(list);
    if (allowed_) {
      chosen_.clear();
      std::ranges::copy_if(rows, std::back_inserter(chosen_), [&](std::uint32_t row) { return is_set(allowed_, row); });
      rows = chosen_;
    }
    const std::size_t tile = std::max<std::size_t>(16, kTileBytes / row_bytes(block_.dtype, block_.dim));
    for (std::size_t first = 0; first < rows.size(); first += tile) {
      const auto part = rows.subspan(first, std::min(tile, rows.size() - first));
      distances_.resize(std::max(distances_.size(), part.size()));
      for (const std::uint64_t visit : visits) {
        cancel_.check();
        score(static_cast<std::uint32_t>(visit), part);
      }
    }
  }

  void score(std::size_t query, std::span<const std::uint32_t> rows) {
    const bool is_run = rows.back() - rows.front() + 1 == rows.size();  // rows ascend
    if (is_run) queries_[query].distances(block_, rows.front(), static_cast<std::uint32_t>(rows.size()), distances_.data());
    else queries_[query].distances_at(block_, rows, distances_.data());
    TopK& nearest = nearest_[query];
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (distances_[i] <= nearest.bound()) nearest.offer({distances_[i], first_row_ + rows[i]});
  }

  const Ivf& ivf_;
  std::span<const PreparedQuery> queries_;
  const VectorBlock& block_;
  const std::uint64_t* allowed_;
  std::span<TopK> nearest_;
  SearchStats& stats_;
  const Cancel& cancel_;
  std::uint64_t first_row_;
  ColdReads::Search disk_;
  std::vector<std::uint32_t> counts_;  // allowed rows of lists, as far as they were counted
  std::vector<std::uint64_t> visits_;  // a list above a query
  std::vector<std::uint32_t> chosen_;
  std::vector<float> distances_;
};

void Ivf::search_batch(std::span<const PreparedQuery> queries, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort,
                       std::span<TopK> nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  if (queries.empty() || !n_lists_) return;
  check_block(block, queries[0].metric());
  Probing probing;
  const bool is_scored = !Probing::walks(*this, effort.nprobe) && queries.size() > 1;
  std::optional<IvfBatch> batch;
  if (kind_ == IvfKind::flat && !has_copies_ && queries.size() > 1) batch.emplace(*this, queries, block, allowed, nearest, stats, cancel, first_row);
  for (std::size_t first = 0; first < queries.size(); first += Probing::kTogether) {
    cancel.check();
    const auto group = queries.subspan(first, std::min(Probing::kTogether, queries.size() - first));
    const auto scored = is_scored ? probing.score(*this, group) : std::span<const float>();
    for (std::size_t i = 0; i < group.size(); ++i) {
      const auto own = is_scored ? scored.subspan(i * n_lists_, n_lists_) : scored;
      if (batch) batch->plan(first + i, effort.nprobe, own, probing);
      else IvfSearch(*this, group[i], block, allowed, effort, nearest[first + i], stats, cancel, first_row).run(own);
    }
  }
  if (batch) batch->run();
}

void Ivf::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  check_block(block, query.metric());
  if (!n_lists_) return;
  cancel.check();
  IvfSearch(*this, query, block, allowed, effort, nearest, stats, cancel, first_row).run();
}

}  // namespace vicino
