#include <algorithm>
#include <cfloat>
#include <cmath>
#include <memory>

#include "ivf/coded_shortlist.h"
#include "ivf/ivf.h"
#include "ivf/kmeans.h"
#include "ivf/list_batch.h"
#include "ivf/list_codes.h"
#include "ivf/probing.h"
#include "ivf/product_code.h"
#include "ivf/product_query.h"
#include "util/prefetch.h"

namespace vicino {

namespace {

bool is_set(const std::uint64_t* bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

/// What a search needs besides the index; kept for the next one of the same thread.
struct SearchMemory {
  Probing probing;
  std::vector<float> distances;
  std::vector<std::uint32_t> entries, rows, positions, wanted;
  CodedShortlist shortlist;
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
        first_row_(first_row), memory_(SearchMemory::of_thread()), shortlist_(memory_.shortlist), disk_(*ivf.reads_), times_(ivf.has_copies_ ? 2 : 1) {
    IvfEffort own = effort;
    if (ivf.kind_ == IvfKind::flat) own.rescore = 0;
    shortlist_.start(own, ivf.rows_.size(), times_, nearest);
  }

  /// scored: distances from the centroids if they are known.
  void run(std::span<const float> scored = {}) {
    memory_.probing.set_query(ivf_, query_);
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
    if (ivf_.kind_ != IvfKind::flat) shortlist_.rescore(query_, {block_, first_row_, disk_.is_cold()}, stats_);
    else if (times_ > 1) offer_once();
  }

 private:
  void prepare_products() {
    ProductQuery& products = memory_.products;
    products.vector = memory_.probing.query();
    const ProductFit fit = fit_products(ivf_.space_, query_, block_, products.vector);
    ivf_.products_->prepare(fit.base, fit.gain, products);
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
      } else if (distances[i] <= shortlist_.threshold()) {
        shortlist_.limits().offer({distances[i], rows[i]});
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
      const float limit = shortlist_.threshold();
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
      shortlist_.consider({estimates[i], memory_.state.error_of(CodeLevel::bits4, ladder.scale_of(view, CodeLevel::bits4, chosen[i])), rows[chosen[i] - begin]});
  }

  // ---- product codes

  void scan_products(std::uint32_t list, std::size_t begin, std::span<const std::uint32_t> rows) {
    if (ivf_.products_->has_blocks()) scan_blocks(list, begin, rows);
    else scan_bytes(list, begin, rows);
  }

  void scan_blocks(std::uint32_t list, std::size_t begin, std::span<const std::uint32_t> rows) {
    const auto* mean = reinterpret_cast<const std::uint8_t*>(ivf_.products_->mean_of(list).data());
    float product;
    kernels().dot[0](memory_.products.vector.data(), &mean, 1, block_.dim, &product);
    const ProductTerms& terms = memory_.products.terms;
    ProductScan scan = memory_.products.scan;
    scan.shift = terms.shift(product);
    scan.limit = shortlist_.limit(terms.error);
    if (allowed_) blocks_of_entries(begin, begin + rows.size(), memory_.entries, memory_.wanted);
    ivf_.products_->scan({&scan, 1}, begin, rows.size(), allowed_ ? memory_.wanted.data() : nullptr, [&](std::size_t, std::size_t entry, float estimate) {
      shortlist_.consider({estimate, terms.error, rows[entry - begin]});
      scan.limit = shortlist_.limit(terms.error);
    });
  }

  void scan_bytes(std::uint32_t list, std::size_t begin, std::span<const std::uint32_t> rows) {
    float* estimates = memory_.distances_for(rows.size());
    ivf_.products_->score(memory_.products, list, begin, rows.size(), estimates);
    const float error = memory_.products.terms.error;
    if (allowed_) {
      for (const std::uint32_t i : memory_.entries) shortlist_.consider({estimates[i], error, rows[i]});
      return;
    }
    const float limit = shortlist_.limit(error);
    if (!(limit < FLT_MAX)) {
      for (std::size_t i = 0; i < rows.size(); ++i) shortlist_.consider({estimates[i], error, rows[i]});
      return;
    }
    // Nearly all rows are above.
    memory_.positions.resize(std::max(memory_.positions.size(), rows.size() + kCollectSlack));
    const std::size_t n = kernels().collect_at_most(estimates, rows.size(), limit, memory_.positions.data());
    for (std::size_t i = 0; i < n; ++i) shortlist_.consider({estimates[memory_.positions[i]], error, rows[memory_.positions[i]]});
  }

  /// Of rows that lists hold twice, each once.
  void offer_once() {
    std::vector<Hit> hits = std::move(shortlist_.limits()).take_sorted();
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
  CodedShortlist& shortlist_;
  ColdReads::Search disk_;
  std::size_t times_;  // how often a row may come
};

void Ivf::search_batch(std::span<const PreparedQuery> queries, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort,
                       std::span<TopK> nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  if (queries.empty() || !n_lists_) return;
  check_block(block, queries[0].metric());
  Probing probing;
  const bool is_scored = !Probing::walks(*this, effort.nprobe) && queries.size() > 1;
  const auto scored_of = [&](std::size_t first, std::size_t count) {
    cancel.check();
    return is_scored ? probing.score(*this, queries.subspan(first, count)) : std::span<const float>();
  };
  const std::unique_ptr<IvfBatch> batch = queries.size() > 1 ? IvfBatch::of({*this, queries, block, allowed, effort, nearest, stats, cancel, first_row}) : nullptr;
  const std::size_t together = batch ? batch->together() : queries.size();
  for (std::size_t start = 0; start < queries.size(); start += together) {
    const std::size_t end = std::min(start + together, queries.size());
    for (std::size_t first = start; first < end; first += Probing::kTogether) {
      const std::size_t count = std::min(Probing::kTogether, end - first);
      const auto scored = scored_of(first, count);
      if (batch) batch->plan(first, count, scored, probing);
      for (std::size_t i = 0; i < (batch ? 0 : count); ++i) {
        const auto own = is_scored ? scored.subspan(i * n_lists_, n_lists_) : scored;
        IvfSearch(*this, queries[first + i], block, allowed, effort, nearest[first + i], stats, cancel, first_row).run(own);
      }
    }
    if (batch) batch->run();
  }
}

void Ivf::search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort, TopK& nearest,
                 SearchStats& stats, const Cancel& cancel, std::uint64_t first_row) const {
  check_block(block, query.metric());
  if (!n_lists_) return;
  cancel.check();
  IvfSearch(*this, query, block, allowed, effort, nearest, stats, cancel, first_row).run();
}

}  // namespace vicino
