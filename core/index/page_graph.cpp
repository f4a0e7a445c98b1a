// Writing, opening and checking the blocks. The walk is in page_search.cpp.
#include "index/page_graph.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "util/errors.h"
#include "util/read_ahead.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

constexpr char kPagesMagic[8] = {'V', 'I', 'C', 'P', 'A', 'G', 'E', 'S'};
constexpr std::uint32_t kPagesFormat = 1;
constexpr std::size_t kBlockMin = 64;
constexpr std::uint32_t kVerifiedAtOnce = 64;

struct PagesHeader {
  char magic[8];
  std::uint32_t format, nodes, links, block_bytes, code_stride, factor_bytes, row_bytes;
  std::uint32_t zero = 0;
  std::uint64_t size;
};
static_assert(sizeof(PagesHeader) == 48);

struct BlockHeader {
  std::uint32_t row, flags;
  float inverse_norm;
  std::uint32_t zero = 0;
};
static_assert(sizeof(BlockHeader) == BlockLayout::vector);

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("pages of a graph: " + message + "; rebuild the graph of this segment"); }

std::size_t rounded(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

void expect_equal(const char* what, std::uint64_t found, std::uint64_t expected) {
  if (found != expected) fail(std::string(what) + " are " + std::to_string(found) + ", the graph makes " + std::to_string(expected));
}

}  // namespace

BlockLayout::BlockLayout(std::uint32_t n_links, std::size_t code_stride, std::size_t factor_bytes, std::size_t row_bytes) {
  links = rounded(vector + row_bytes, 16);
  factors = links + std::size_t{4} * n_links;
  codes = rounded(factors + factor_bytes * n_links, 64);
  const std::size_t needed = codes + code_stride * n_links, rest = needed % kPageBytes;
  size = needed - rest + (rest ? std::max(kBlockMin, std::bit_ceil(rest)) : 0);
}

PageGraph PageGraph::open(Blob buffer, const Graph& graph) {
  PagesHeader header;
  if (buffer.size() < kPageBytes) fail("have " + std::to_string(buffer.size()) + " bytes, less than their first page");
  std::memcpy(&header, buffer.data(), sizeof header);
  if (std::memcmp(header.magic, kPagesMagic, sizeof header.magic)) fail("do not begin with VICPAGES");
  if (header.format > kPagesFormat)
    throw FormatError("pages of a graph: format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kPagesFormat) +
                      "; upgrade vicino");
  if (header.format == 0) fail("format 0 does not exist");
  if (graph.n_nodes() && !graph.has_codes()) fail("belong to a graph without codes");
  const std::size_t stride = graph.has_codes() ? graph.codes()->ladder().stride() : 0;
  const std::size_t factors = graph.has_codes() ? vicino::factor_bytes(graph.codes()->view().format) : 0;
  expect_equal("nodes", header.nodes, graph.n_nodes());
  expect_equal("links of a node", header.links, graph.n_links());
  expect_equal("bytes of a code", header.code_stride, stride);
  expect_equal("bytes of a code's factors", header.factor_bytes, factors);
  const BlockLayout layout(header.links, header.code_stride, header.factor_bytes, header.row_bytes);
  expect_equal("bytes of a block", header.block_bytes, layout.size);
  const std::uint64_t size = kPageBytes + std::uint64_t{header.nodes} * layout.size;
  expect_equal("bytes", header.size, size);
  expect_equal("bytes", buffer.size(), size);

  PageGraph pages;
  pages.blocks_ = buffer.data() + kPageBytes;
  pages.layout_ = layout;
  pages.row_bytes_ = header.row_bytes;
  pages.factor_bytes_ = factors;
  pages.buffer_ = std::move(buffer);
  if (pages.is_mapped()) {
    expect_random_reads(pages.buffer_.data(), pages.buffer_.size());
    expect_random_reads(graph.copies_part().data(), graph.copies_part().size());
  }
  return pages;
}

const CodeView& PageGraph::entry_codes(const Graph& graph) const {
  Entries& entries = *entries_;
  std::call_once(entries.once, [&] {
    const CodeView& all = graph.codes()->view();
    const std::size_t high = rounded(graph.n_entries() * graph.codes()->ladder().stride(), 64), factors = graph.n_entries() * factor_bytes_;
    entries.memory = allocate_rows(high + factors);
    std::memcpy(entries.memory.get(), all.high, graph.n_entries() * graph.codes()->ladder().stride());
    std::memcpy(entries.memory.get() + high, all.factors, factors);
    entries.view.rows = graph.n_entries();
    entries.view.format = all.format;
    entries.view.units = all.units;
    entries.view.high = entries.memory.get();
    entries.view.factors = entries.memory.get() + high;
    entries.size = high + factors;
    entries.is_there.store(true, std::memory_order_relaxed);
  });
  return entries.view;
}

void PageGraph::check_block(const Graph& graph, const VectorBlock& block) const {
  graph.check_block(block);
  if (graph.n_nodes()) expect_equal("bytes of a vector", row_bytes_, row_bytes(block.dtype, block.dim));
}

void PageGraph::verify(const Graph& graph, const VectorBlock& block) const {
  check_block(graph, block);
  if (!graph.n_nodes()) return;
  const PageWriter writer(graph, block);
  std::vector<std::uint8_t> expected(std::max(kPageBytes, layout_.size * kVerifiedAtOnce));
  writer.write_header(expected.data());
  if (std::memcmp(expected.data(), buffer_.data(), kPageBytes)) fail("have a first page that is not theirs");
  for (std::uint32_t first = 0; first < graph.n_nodes(); first += kVerifiedAtOnce) {
    const std::uint32_t count = std::min(kVerifiedAtOnce, graph.n_nodes() - first);
    writer.write_blocks(first, count, expected.data());
    for (std::uint32_t i = 0; i < count; ++i)
      if (std::memcmp(expected.data() + i * layout_.size, block_of(first + i), layout_.size))
        fail("the block of node " + std::to_string(first + i) + " is not what graph and vectors make of it");
  }
}

PageWriter::PageWriter(const Graph& graph, const VectorBlock& block) : graph_(graph), block_(block) {
  graph.check_block(block);
  if (graph.n_nodes() && !graph.has_codes()) throw InvalidArgument("a graph without codes is not walked from disk");
  row_bytes_ = row_bytes(block.dtype, block.dim);
  factor_bytes_ = graph.has_codes() ? vicino::factor_bytes(graph.codes()->view().format) : 0;
  code_stride_ = graph.has_codes() ? graph.codes()->ladder().stride() : 0;
  layout_ = BlockLayout(graph.n_links(), code_stride_, factor_bytes_, row_bytes_);
}

void PageWriter::write_header(std::uint8_t* out) const {
  PagesHeader header{};
  std::memcpy(header.magic, kPagesMagic, sizeof header.magic);
  header.format = kPagesFormat;
  header.nodes = graph_.n_nodes();
  header.links = graph_.n_links();
  header.block_bytes = block_bytes();
  header.code_stride = static_cast<std::uint32_t>(code_stride_);
  header.factor_bytes = static_cast<std::uint32_t>(factor_bytes_);
  header.row_bytes = static_cast<std::uint32_t>(row_bytes_);
  header.size = kPageBytes + std::uint64_t{header.nodes} * layout_.size;
  std::memset(out, 0, kPageBytes);
  std::memcpy(out, &header, sizeof header);
}

void PageWriter::write_blocks(std::uint32_t first, std::uint32_t count, std::uint8_t* out) const {
  for (std::uint32_t i = 0; i < count; ++i) write_block(first + i, out + i * layout_.size);
}

void PageWriter::write_block(std::uint32_t node, std::uint8_t* out) const {
  std::memset(out, 0, layout_.size);
  const std::uint32_t row = graph_.row_of(node);
  const BlockHeader header{row, graph_.stands_for_several(node), block_.inverse_norms ? block_.inverse_norms[row] : 0};
  std::memcpy(out, &header, sizeof header);
  std::memcpy(out + BlockLayout::vector, block_.row(row), row_bytes_);
  const auto links = graph_.links_of(node);
  std::memset(out + layout_.links, 0xff, std::size_t{4} * graph_.n_links());  // Graph::kNone
  if (links.empty()) return;
  std::memcpy(out + layout_.links, links.data(), links.size_bytes());
  const CodeView& codes = graph_.codes()->view();
  for (std::size_t i = 0; i < links.size(); ++i) {
    std::memcpy(out + layout_.factors + i * factor_bytes_, codes.factors + links[i] * factor_bytes_, factor_bytes_);
    std::memcpy(out + layout_.codes + i * code_stride_, codes.high + links[i] * code_stride_, code_stride_);
  }
}

void expect_pages_possible(Metric metric, Dtype dtype, std::uint32_t dim) {
  if (GraphCodes::are_possible(metric, dtype, dim)) return;
  throw InvalidArgument(std::string("a graph on disk needs codes, which there are of float32 and float16 vectors of at least 64 dimensions under cosine, dot and l2; got ") +
                        name_of(dtype) + " vectors of " + std::to_string(dim) + " dimensions under " + name_of(metric));
}

}  // namespace vicino
