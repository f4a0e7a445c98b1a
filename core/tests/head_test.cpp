// Head: rows that never move while it grows through all chunk sizes, and views that keep showing what they showed.
#include "shard/head.h"

#include "tests/check.h"
#include "util/hash.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr ColumnSpec kEvery{0, 3, Dtype::uint8, Metric::l2};
constexpr ColumnSpec kSome{5, 2, Dtype::float32, Metric::cosine};

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// `n` records; record i has id number i % n_ids. The odd ones have the second vector, when `with_second`.
struct Batch {
  std::string ids, documents, every;
  std::vector<float> some;
  UpsertBatch batch;

  Batch(std::uint32_t first, std::uint32_t n, std::uint32_t n_ids, bool with_second) {
    batch.ids.offsets = batch.documents.offsets = {0};
    VectorColumn second{kSome, std::vector<std::uint64_t>((n + 63) / 64), {}};
    for (std::uint32_t i = 0; i < n; ++i) {
      ids += "id" + std::to_string((first + i) % n_ids);
      documents += std::to_string(first + i);
      batch.ids.offsets.push_back(static_cast<std::uint32_t>(ids.size()));
      batch.documents.offsets.push_back(static_cast<std::uint32_t>(documents.size()));
      every += std::string(3, static_cast<char>(first + i));
      some.insert(some.end(), {static_cast<float>(first + i), 1.0f});
      if ((first + i) % 2) second.presence[i / 64] |= std::uint64_t{1} << (i % 64);
    }
    batch.ids.data = bytes_of(ids);
    batch.documents.data = bytes_of(documents);
    batch.columns.push_back({kEvery, {}, bytes_of(every)});
    second.rows = {reinterpret_cast<const std::uint8_t*>(some.data()), some.size() * sizeof(float)};
    if (with_second) batch.columns.push_back(second);
  }
};

/// second_from: first row of the first batch that came with the second vector.
void check_view(const Rows& view, std::uint32_t n, std::uint32_t n_ids, std::uint32_t second_from) {
  CHECK_EQUAL(view.size(), n);
  std::uint32_t covered = 0;
  for (const Chunk& chunk : view.chunks(kEvery.slot)) {
    CHECK_EQUAL(chunk.first_row, covered);
    CHECK_EQUAL(chunk.first_row % 64, 0u);
    for (std::uint32_t i = 0; i < chunk.block.rows; ++i) CHECK(chunk.block.row(i) == view.vector(kEvery.slot, covered + i));
    covered += chunk.block.rows;
  }
  CHECK_EQUAL(covered, n);
  for (std::uint32_t row = 0; row < n; ++row) {
    const std::string number = std::to_string(row), id = "id" + std::to_string(row % n_ids);
    CHECK(std::ranges::equal(view.document(row), bytes_of(number)));
    CHECK(std::ranges::equal(view.id(row), bytes_of(id)));
    CHECK_EQUAL(view.vector(kEvery.slot, row)[2], static_cast<std::uint8_t>(row));
    const std::uint8_t* second = view.vector(kSome.slot, row);
    CHECK_EQUAL(second != nullptr, row >= second_from && row % 2 == 1);
    if (second) {
      float value;
      std::memcpy(&value, second, sizeof value);
      CHECK_EQUAL(value, static_cast<float>(row));
    }
  }
  for (std::uint32_t number = 0; number < n_ids + 3; ++number) {
    const std::string id = "id" + std::to_string(number);
    const auto found = view.find(bytes_of(id), hash_bytes(bytes_of(id)));
    const std::uint32_t last = number < n_ids && number < n ? number + (n - 1 - number) / n_ids * n_ids : ~0u;
    CHECK_EQUAL(found.value_or(~0u), last);
  }
}

}  // namespace

TEST(head_grows_through_all_chunks_while_views_stay_as_they_were) {
  constexpr std::uint32_t n_ids = 500;
  constexpr std::uint32_t steps[] = {1, 62, 1, 1, 63, 200, 3000, 769, 1, 4096, 100, 0, 5000};
  const auto head = std::make_shared<Head>(1);
  std::vector<std::pair<std::uint32_t, std::shared_ptr<const HeadView>>> views;
  std::uint32_t n = 0, second_from = ~0u;
  std::uint64_t version = 0;
  for (const std::uint32_t step : steps) {
    const bool with_second = n >= 64;
    if (with_second && second_from == ~0u) second_from = n;
    const Batch batch(n, step, n_ids, with_second);
    head->append(batch.batch, ++version);
    n += step;
    views.emplace_back(n, head->view());
    check_view(*views.back().second, n, n_ids, second_from);
  }
  for (const auto& [size, view] : views) check_view(*view, size, n_ids, second_from);
}

TEST(head_codes_whole_blocks_and_views_keep_how_far_they_reached) {
  constexpr ColumnSpec spec{2, 64, Dtype::float32, Metric::l2};
  constexpr std::uint32_t steps[] = {2000, 47, 1, 31, 40, 3000, 5000};
  Random random(3);
  const auto head = std::make_shared<Head>(1);
  std::vector<std::shared_ptr<const HeadView>> views;
  std::uint32_t n = 0;
  for (const std::uint32_t step : steps) {
    std::vector<float> rows(step * std::size_t{64});
    for (float& value : rows) value = static_cast<float>(random.below(1000));
    std::vector<std::uint32_t> none(step + 1);
    UpsertBatch batch;
    std::string ids;
    batch.ids.offsets = {0};
    for (std::uint32_t i = 0; i < step; ++i) {
      ids += std::to_string(n + i);
      batch.ids.offsets.push_back(static_cast<std::uint32_t>(ids.size()));
    }
    batch.ids.data = bytes_of(ids);
    batch.documents.offsets = none;
    // Every 64th row has no vector.
    VectorColumn column{spec, std::vector<std::uint64_t>((step + 63) / 64, ~std::uint64_t{1}), {}};
    column.rows = {reinterpret_cast<const std::uint8_t*>(rows.data()), rows.size() * sizeof(float)};
    batch.columns.push_back(column);
    head->append(batch, 1);
    n += step;
    views.push_back(head->view());
  }
  for (const auto& view : views) {
    const bool is_coded = view->size() > 2048 + 2048 / 60;  // so many rows for 2,048 vectors
    for (const Chunk& chunk : view->chunks(spec.slot)) {
      const std::uint32_t coded = is_coded ? chunk.block.rows / 32 * 32 : 0;
      CHECK_EQUAL(chunk.codes.rows, coded);
      if (!coded) continue;
      const Ladder& ladder = *chunk.codes.ladder;
      std::vector<std::uint8_t> block(ladder.block_bytes());
      for (std::uint32_t first = 0; first < coded; first += 32) {
        std::uint32_t present = 0;
        for (std::uint32_t i = 0; i < 32; ++i) present |= static_cast<std::uint32_t>(view->vector(spec.slot, chunk.first_row + first + i) != nullptr) << i;
        ladder.encode_block(chunk.block, first, present, block.data());
        CHECK(std::memcmp(block.data(), chunk.codes.blocks + first / 32 * block.size(), block.size()) == 0);
      }
    }
  }
}

TEST(head_refuses_a_slot_that_comes_with_another_shape) {
  const auto head = std::make_shared<Head>(1);
  Batch batch(0, 3, 9, true);
  head->append(batch.batch, 1);
  batch.batch.columns[1].spec.dim = 4;
  bool refused = false;
  try {
    head->expect_shapes(batch.batch);
  } catch (const InvalidArgument&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace vicino
