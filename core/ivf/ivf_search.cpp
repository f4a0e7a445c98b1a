#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>

#include "index/rescoring.h"
#include "ivf/ivf.h"
#include "ivf/kmeans.h"
#include "ivf/list_codes.h"
#include "ivf/product_code.h"

namespace vicino {

namespace {

constexpr std::size_t kRescoredAtOnce = 16;
constexpr std::size_t kBeamSlack = 32;  // of a walk over centroids, which meets some of the nearest late

bool is_set(const std::uint64_t* bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

/// A row that was found by its code.
struct Candidate {
  float estimate, error;
  std::uint32_t row;
};

/// What a search needs besides the index; kept for the next one of the same thread.
struct SearchMemory {
  std::vector<float> query;
  std::vector<std::int32_t> dots;
  std::vector<float> distances;
  std::vector<std::uint64_t> order;  // bits of a distance above the number of a list
  std::vector<std::uint8_t> probed;
  std::vector<std::uint32_t> entries, rows;
  std::vector<Candidate> candidates;
  Points query_point;
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
        first_row_(first_row), memory_(SearchMemory::of_thread()), times_(ivf.has_copies_ ? 2 : 1),
        limits_(times_ * kept()) {}

  void run() {
    memory_.query.resize(ivf_.space_.stride());
    ivf_.space_.fit_query(query_.values(), memory_.query.data());
    memory_.candidates.clear();
    if (ivf_.codes_) ivf_.codes_->ladder().prepare(static_cast<const float*>(query_.values()), memory_.state);
    if (ivf_.codes_) ivf_.codes_->ladder().prepare_scan(memory_.state);
    if (ivf_.products_) prepare_products();
    probe();
    if (ivf_.kind_ != IvfKind::flat) rescore();
    else if (times_ > 1) offer_once();
  }

 private:
  /// How many of the nearest rows bound what is looked at.
  std::size_t kept() const {
    return effort_.rescore && ivf_.kind_ != IvfKind::flat ? std::min(effort_.rescore, ivf_.rows_.size()) : nearest_.k();
  }

  // ---- which lists

  void probe() {
    const std::size_t wanted = std::max<std::size_t>(1, effort_.nprobe);
    std::size_t probed = 0, seen = 0;
    const auto take = [&](std::span<const std::uint64_t> keys) {
      for (const std::uint64_t key : keys) {
        if (probed >= wanted && seen >= times_ * nearest_.k()) return true;
        const auto list = static_cast<std::uint32_t>(key);
        if (!memory_.probed.empty() && std::exchange(memory_.probed[list], 1)) continue;
        cancel_.check();
        const std::size_t rows = scan(list);
        seen += rows;
        probed += rows > 0;
      }
      return probed >= wanted && seen >= times_ * nearest_.k();
    };
    memory_.probed.clear();
    if (ivf_.graph_ && wanted < ivf_.n_lists_ / 4) {
      walk_centroids(wanted);
      memory_.probed.assign(ivf_.n_lists_, 0);
      if (take(memory_.order)) return;
    }
    score_centroids();
    auto& order = memory_.order;
    // The order is found piece by piece: few searches go beyond the first.
    for (std::size_t sorted = 0, piece = wanted; sorted < order.size(); piece = sorted) {
      const auto begin = order.begin() + static_cast<std::ptrdiff_t>(sorted);
      const auto end = begin + static_cast<std::ptrdiff_t>(std::min(piece, order.size() - sorted));
      if (end != order.end()) std::nth_element(begin, end, order.end());
      std::sort(begin, end);
      if (take({begin, end})) return;
      sorted = static_cast<std::size_t>(end - order.begin());
    }
  }

  static std::uint64_t order_key(float distance, std::uint64_t list) {
    return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(distance)) << 32 | list;  // distances are not negative
  }

  void score_centroids() {
    const std::size_t n = ivf_.n_lists_;
    memory_.query_point.resize(1, ivf_.space_.stride());
    memory_.query_point.set(0, memory_.query.data(), 0);
    float* distances = memory_.distances_for(n);
    point_distances(memory_.query_point.view(), 0, 1, ivf_.centroids_, ivf_.space_.stride(), memory_.dots, distances);
    memory_.order.resize(n);
    for (std::size_t list = 0; list < n; ++list) memory_.order[list] = order_key(distances[list], list);
  }

  void walk_centroids(std::size_t wanted) {
    const std::uint32_t width = static_cast<std::uint32_t>(ivf_.values_.size() / ivf_.n_lists_);
    if (memory_.query.size() < width) memory_.query.resize(width);  // under dot the further coordinate of a query is 0
    const PreparedQuery query(Metric::l2, Dtype::float32, width, memory_.query.data());
    const VectorBlock block{reinterpret_cast<const std::uint8_t*>(ivf_.values_.data()), ivf_.n_lists_, width, Dtype::float32, nullptr};
    TopK found(wanted);
    SearchStats walked;
    ivf_.graph_->search(query, block, nullptr, 2 * wanted + kBeamSlack, found, walked, cancel_);
    memory_.order.clear();
    for (const Hit& hit : std::move(found).take_sorted()) memory_.order.push_back(order_key(hit.distance, hit.row));
  }

  // ---- what is in them

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
    products.vector = memory_.query;
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
    } else {
      for (std::size_t i = 0; i < rows.size(); ++i) consider({estimates[i], error, rows[i]});
    }
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
  std::size_t times_;  // how often a row may come
  TopK limits_;        // upper bounds of the nearest rows' distances; for kind flat with copies the distances themselves
};

void Ivf::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  check_block(block, query.metric());
  if (!n_lists_) return;
  cancel.check();
  IvfSearch(*this, query, block, allowed, effort, nearest, stats, cancel, first_row).run();
}

}  // namespace vicino
