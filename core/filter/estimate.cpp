// Cardinality from field indexes alone. Bounds are exact arithmetic on sets; the guess treats parts as independent.
#include <algorithm>
#include <cmath>

#include "filter/evaluate.h"
#include "filter/field_index.h"

namespace vicino {

namespace {

using namespace filter;

class Estimation {
 public:
  explicit Estimation(const RowSource& source)
      : source_(source), n_(source.rows()), n_stale_(source.stale() ? source.stale()->count() : 0) {}

  Cardinality of(const Condition& condition) const {
    return std::visit([&](const auto& node) { return estimate(node); }, condition.node);
  }

 private:
  Cardinality unknown() const { return {0, n_ / 3, n_}; }

  Cardinality bounded(std::size_t low, double likely, std::size_t high) const {
    high = std::min(high, n_);
    low = std::min(low, high);
    return {low, std::clamp(static_cast<std::size_t>(std::llround(std::max(likely, 0.0))), low, high), high};
  }
  double share(std::size_t rows) const { return n_ == 0 ? 0 : static_cast<double>(rows) / static_cast<double>(n_); }

  Cardinality estimate(const And& all) const {
    Cardinality result{n_, n_, n_};
    double likely = 1;
    for (const Condition& part : all.parts) {
      const Cardinality one = of(part);
      result.low = result.low + one.low > n_ ? result.low + one.low - n_ : 0;
      result.high = std::min(result.high, one.high);
      likely *= share(one.likely);
    }
    return bounded(result.low, likely * static_cast<double>(n_), result.high);
  }

  Cardinality estimate(const Or& any) const {
    std::size_t low = 0;
    std::size_t high = 0;
    double none = 1;
    for (const Condition& part : any.parts) {
      const Cardinality one = of(part);
      low = std::max(low, one.low);
      high += one.high;
      none *= 1 - share(one.likely);
    }
    return bounded(low, (1 - none) * static_cast<double>(n_), high);
  }

  Cardinality estimate(const Not& negation) const {
    const Cardinality part = of(negation.part.front());
    return {n_ - part.high, n_ - part.likely, n_ - part.low};
  }

  Cardinality estimate(const AtLeast& at_least) const {
    if (at_least.n == 0) return {n_, n_, n_};
    if (at_least.n > at_least.parts.size()) return {0, 0, 0};
    // The chance of exactly i parts, part by part; each row that counts uses up n of the parts' rows.
    std::vector<double> chance{1};
    std::size_t rows = 0;
    for (const Condition& part : at_least.parts) {
      const Cardinality one = of(part);
      rows += one.high;
      const double p = share(one.likely);
      chance.push_back(0);
      for (std::size_t i = chance.size() - 1; i > 0; --i) chance[i] = chance[i] * (1 - p) + chance[i - 1] * p;
      chance[0] *= 1 - p;
    }
    double likely = 0;
    for (std::size_t i = static_cast<std::size_t>(at_least.n); i < chance.size(); ++i) likely += chance[i];
    return bounded(0, likely * static_cast<double>(n_), rows / static_cast<std::size_t>(at_least.n));
  }

  Cardinality estimate(const Leaf& leaf) const {
    const FieldIndex* index = source_.index(leaf.path.text());
    if (!index || !index->answers(leaf.test)) return unknown();
    const Cardinality known = index->estimate(leaf.test);
    // A stale row may have left the answer or joined it.
    return bounded(known.low - std::min(known.low, n_stale_), static_cast<double>(known.likely), known.high + n_stale_);
  }

  Cardinality estimate(const HasId& has_id) const {
    std::size_t found = 0;
    for (const std::string& id : has_id.ids) {
      const auto rows = source_.rows_of({reinterpret_cast<const std::uint8_t*>(id.data()), id.size()});
      // Without an id map each id is on at most one live row.
      if (!rows) return bounded(0, static_cast<double>(has_id.ids.size()), has_id.ids.size());
      found += rows->size();
    }
    return bounded(found, static_cast<double>(found), found);
  }

  Cardinality estimate(const HasVector&) const { return {0, n_, n_}; }

  Cardinality estimate(const Slice& slice) const { return bounded(0, static_cast<double>(n_) / slice.total, n_); }

  const RowSource& source_;
  std::size_t n_;
  std::size_t n_stale_;
};

}  // namespace

Cardinality estimate(const Condition& condition, const RowSource& source) { return Estimation(source).of(condition); }

}  // namespace vicino
