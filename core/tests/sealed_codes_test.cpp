// Codes of a sealed segment's rows: a share of what searches read, carried over from a head, given up while they are read, refused.
#include "shard/sealed_codes.h"

#include <cstring>

#include "tests/check.h"
#include "util/random.h"

namespace vicino {

namespace {

constexpr std::uint32_t kDim = 64, kRows = 10'000;
constexpr ColumnSpec kSpec{0, kDim, Dtype::float32, Metric::l2};

struct Vectors {
  std::vector<float> values = std::vector<float>(std::size_t{kRows} * kDim);
  explicit Vectors(std::uint64_t seed = 3) {
    Random random(seed);
    for (float& value : values) value = static_cast<float>(random.below(1000));
  }
  VectorBlock block() const { return {reinterpret_cast<const std::uint8_t*>(values.data()), kRows, kDim, Dtype::float32, nullptr}; }
};

std::uint32_t n_coded(const std::vector<Chunk>& chunks) {
  std::uint32_t n = 0;
  for (const Chunk& chunk : chunks) n += chunk.codes.rows;
  return n;
}

/// As a head tells them.
CodesSoFar so_far_of(const std::vector<Chunk>& chunks) {
  CodesSoFar taken;
  for (const Chunk& chunk : chunks)
    taken.chunks.push_back({{chunk.codes.owner, chunk.codes.ladder}, {std::const_pointer_cast<void>(chunk.codes.owner), const_cast<std::uint8_t*>(chunk.codes.blocks)}});
  taken.n_coded = n_coded(chunks);
  return taken;
}

/// The chunks hold all rows in order, and their codes are those of their rows.
void check_chunks(const std::vector<Chunk>& chunks, const VectorBlock& rows) {
  std::uint32_t covered = 0;
  for (const Chunk& chunk : chunks) {
    CHECK_EQUAL(chunk.first_row, covered);
    CHECK_EQUAL(chunk.first_row % 64, 0u);
    CHECK(chunk.block.data == rows.row(covered));
    CHECK(chunk.codes.rows <= chunk.block.rows);
    covered += chunk.block.rows;
    if (!chunk.codes.rows) continue;
    const Ladder& ladder = *chunk.codes.ladder;
    std::vector<std::uint8_t> block(ladder.block_bytes());
    for (std::uint32_t first = 0; first < chunk.codes.rows; first += kCodeBlockRows) {
      ladder.encode_block(chunk.block, first, ~0u, block.data());
      CHECK(std::memcmp(block.data(), chunk.codes.blocks + first / kCodeBlockRows * block.size(), block.size()) == 0);
    }
  }
  CHECK_EQUAL(covered, rows.rows);
}

}  // namespace

TEST(sealed_codes_are_made_for_a_share_of_the_rows_that_were_read) {
  const Vectors vectors;
  SealedCodes codes(kSpec, vectors.block(), nullptr, kRows);
  CHECK_EQUAL(codes.chunks().size(), 1u);
  CHECK_EQUAL(codes.memory_bytes(), 0u);
  codes.extend_after(500);  // of a block's worth less than one
  CHECK_EQUAL(n_coded(codes.chunks()), 0u);
  for (int search = 0; search < 20; ++search) {
    codes.extend_after(kRows);
    check_chunks(codes.chunks(), vectors.block());
  }
  CHECK_EQUAL(n_coded(codes.chunks()), kRows / 32 * 32);
  CHECK(codes.memory_bytes() >= kRows / 32 * (kDim * 4 + 256));
}

TEST(sealed_codes_go_on_from_those_of_their_head) {
  const Vectors vectors, others(4);
  SealedCodes head(kSpec, vectors.block(), nullptr, kRows);
  for (int search = 0; search < 20; ++search) head.extend_after(kRows);
  SealedCodes all(kSpec, vectors.block(), nullptr, kRows);
  all.take(head);
  const auto shared = all.chunks(), original = head.chunks();
  CHECK_EQUAL(n_coded(shared), n_coded(original));
  for (std::size_t i = 0; i < shared.size(); ++i) CHECK(shared[i].codes.blocks == original[i].codes.blocks);

  // From row 5,000 on the rows are others: their chunk and those behind it are coded anew, and the head's codes stay what they are.
  Vectors changed = vectors;
  std::copy(others.values.begin() + 5000 * kDim, others.values.end(), changed.values.begin() + 5000 * kDim);
  for (const std::uint32_t n_same : {0u, 100u, 5000u}) {
    SealedCodes some(kSpec, changed.block(), nullptr, kRows);
    some.take(so_far_of(original), n_same);
    CHECK(some.memory_bytes() > 0);
    check_chunks(some.chunks(), changed.block());
    some.finish(Cancel());
    check_chunks(some.chunks(), changed.block());
    CHECK_EQUAL(n_coded(some.chunks()), kRows / 32 * 32);
  }

  // The head had further rows, which were deleted before it was sealed: their codes stay behind.
  for (const std::uint32_t n_rows : {9999u, 9984u, 8192u, 8191u, 4097u, 4096u, 2048u}) {
    VectorBlock fewer = vectors.block();
    fewer.rows = n_rows;
    SealedCodes first(kSpec, fewer, nullptr, n_rows);
    first.take(so_far_of(original), n_rows);
    check_chunks(first.chunks(), fewer);
    CHECK_EQUAL(n_coded(first.chunks()), n_rows / 32 * 32);
  }
  check_chunks(original, vectors.block());
}

TEST(sealed_codes_that_are_given_up_stay_with_whoever_reads_them) {
  const Vectors vectors;
  SealedCodes codes(kSpec, vectors.block(), nullptr, kRows);
  for (int search = 0; search < 20; ++search) codes.extend_after(kRows);
  const auto read = codes.chunks();
  codes.give_up();
  CHECK_EQUAL(codes.memory_bytes(), 0u);
  CHECK_EQUAL(n_coded(codes.chunks()), 0u);
  check_chunks(read, vectors.block());
  for (int search = 0; search < 64; ++search) codes.extend_after(kRows);
  CHECK_EQUAL(n_coded(codes.chunks()), 0u);
  for (int search = 0; search < 20; ++search) codes.extend_after(kRows);
  CHECK_EQUAL(n_coded(codes.chunks()), kRows / 32 * 32);
}

TEST(sealed_codes_that_get_no_room_are_not_made) {
  const Vectors vectors;
  SealedCodes codes(kSpec, vectors.block(), nullptr, kRows);
  std::size_t asked = 0, counted = 0;
  codes.ask([&] {
    counted = codes.memory_bytes();
    return ++asked == 2;
  });
  for (int search = 0; search < 64; ++search) codes.extend_after(kRows);
  CHECK_EQUAL(asked, 1u);
  CHECK(counted > 0);  // so that two who ask at once are both seen
  CHECK_EQUAL(codes.memory_bytes(), 0u);
  for (int search = 0; search < 30; ++search) codes.extend_after(kRows);
  CHECK_EQUAL(asked, 2u);
  CHECK_EQUAL(n_coded(codes.chunks()), kRows / 32 * 32);
}

}  // namespace vicino
