#include "shard/by_example.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "util/errors.h"

namespace vicino {

namespace {

constexpr std::size_t kRowsAtOnce = 1024;  // their distances to a few dozen examples stay in the second cache

float softened(float x) { return x / (1.0f + std::fabs(x)); }
float softened_to_one(float x) { return 0.5f * (softened(x) + 1.0f); }

/// Similarities of one row to all examples: `at(i)`.
struct Similarities {
  const float* distances;
  std::size_t stride, row;
  float base;
  float at(std::size_t example) const { return base - distances[example * stride + row]; }
};

float best_score(const ExampleRequest& request, const Similarities& to, std::size_t n) {
  float positive = -std::numeric_limits<float>::infinity(), negative = positive;
  for (std::size_t i = 0; i < n; ++i) {
    float& side = i < request.n_first ? positive : negative;
    side = std::max(side, to.at(i));
  }
  return positive > negative ? softened_to_one(positive) : -softened_to_one(negative);
}

float score_of(const ExampleRequest& request, const Similarities& to, std::size_t n) {
  float score = 0;
  switch (request.rule) {
    case ExampleRule::best: return best_score(request, to, n);
    case ExampleRule::sum:
      for (std::size_t i = 0; i < n; ++i) score += i < request.n_first ? to.at(i) : -to.at(i);
      return score;
    case ExampleRule::discover:
      for (const ExamplePair& pair : request.pairs) {
        const float positive = to.at(pair.positive), negative = to.at(pair.negative);
        score += positive > negative ? 1.0f : positive < negative ? -1.0f : 0.0f;
      }
      return score + softened_to_one(to.at(0));
    case ExampleRule::context:
      for (const ExamplePair& pair : request.pairs)
        score += softened(std::min(to.at(pair.positive) - to.at(pair.negative) - std::numeric_limits<float>::epsilon(), 0.0f));
      return score;
    case ExampleRule::feedback:
      score = request.weight * to.at(0);
      for (const ExamplePair& pair : request.pairs) score += pair.weight * (to.at(pair.positive) - to.at(pair.negative));
      return score;
  }
  return score;
}

void check(const ExampleRequest& request, std::size_t n_examples) {
  if (n_examples == 0) throw InvalidArgument("a search by example needs an example");
  if (request.k == 0) throw InvalidArgument("k must be at least 1, got 0");
  if (request.n_first > n_examples) throw InvalidArgument("there are fewer examples than positive ones");
  for (const ExamplePair& pair : request.pairs)
    if (pair.positive >= n_examples || pair.negative >= n_examples) throw InvalidArgument("a pair names an example that was not given");
}

}  // namespace

ExampleOutcome search_by_example(const Snapshot& snapshot, const ExampleRequest& request, std::span<const std::uint8_t> examples,
                                 std::size_t n_examples, const Matches* matches, const Cancel& cancel) {
  const ColumnSpec& column = request.column;
  check(request, n_examples);
  snapshot.expect_column(column);
  const std::size_t width = row_bytes(column.dtype == Dtype::float16 ? Dtype::float32 : column.dtype, column.dim);
  std::vector<PreparedQuery> prepared;
  prepared.reserve(n_examples);
  for (std::size_t i = 0; i < n_examples; ++i) prepared.emplace_back(column.metric, column.dtype, column.dim, examples.data() + i * width);

  ExampleOutcome outcome;
  TopK best(request.k);
  std::vector<std::uint32_t> rows;
  std::vector<float> distances(n_examples * kRowsAtOnce);
  const float base = column.metric == Metric::cosine ? 1.0f : 0.0f;
  for (std::size_t position = 0; position < snapshot.entries().size(); ++position) {
    const Rows& held = *snapshot.entries()[position].rows;
    const Bitmap* allowed = snapshot.allowed(position, matches);
    const Bitmap* presence = held.presence(column.slot);
    for (const Chunk& chunk : held.chunks(column.slot)) {
      for (std::uint32_t next = 0; next < chunk.block.rows;) {
        rows.clear();
        for (; next < chunk.block.rows && rows.size() < kRowsAtOnce; ++next) {
          const std::uint32_t row = chunk.first_row + next;
          if ((!allowed || allowed->test(row)) && (!presence || presence->test(row))) rows.push_back(next);
        }
        cancel.check();
        for (std::size_t i = 0; i < n_examples; ++i) {
          float* out = distances.data() + i * kRowsAtOnce;
          prepared[i].distances_at(chunk.block, rows, out);
          for (std::size_t r = 0; r < rows.size(); ++r) out[r] = public_distance(column.metric, out[r]);
        }
        for (std::size_t r = 0; r < rows.size(); ++r) {
          const float score = score_of(request, {distances.data(), kRowsAtOnce, r, base}, n_examples);
          best.offer({-score, static_cast<std::uint64_t>(locator(position, chunk.first_row + rows[r]))});
        }
        outcome.rows_scored += rows.size();
      }
    }
  }
  outcome.hits = std::move(best).take_sorted();
  return outcome;
}

}  // namespace vicino
