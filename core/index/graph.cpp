// Opening and checking the buffer of a graph. The walk is in graph_search.cpp.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "index/entry_groups.h"
#include "index/graph.h"
#include "index/graph_layout.h"
#include "index/packed_codes.h"
#include "util/errors.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

[[noreturn]] void fail(const std::string& message) { throw CorruptionError("graph: " + message + "; rebuild the graph of this segment"); }

// Distances of an ordinary row that double with every further neighbor grow at 1.
constexpr float kGrowthMax = 100;

bool is_set(std::span<const std::uint64_t> bits, std::uint32_t i) { return bits[i >> 6] >> (i & 63) & 1; }

GraphHeader header_of(const Blob& buffer) {
  if (buffer.size() < sizeof(GraphHeader))
    fail("has " + std::to_string(buffer.size()) + " bytes, less than its header of " + std::to_string(sizeof(GraphHeader)));
  if (reinterpret_cast<std::uintptr_t>(buffer.data()) % alignof(std::uint64_t)) fail("is not aligned to 8 bytes");
  GraphHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (std::memcmp(header.magic, kGraphMagic, sizeof header.magic)) fail("does not begin with VICGRAPH");
  if (header.format > kGraphFormat)
    throw FormatError("graph: format " + std::to_string(header.format) + ", this version reads up to " + std::to_string(kGraphFormat) +
                      "; upgrade vicino");
  if (header.format == 0) fail("format 0 does not exist");
  return header;
}

void check_header(const GraphHeader& header, std::size_t size, std::uint32_t n_rows) {
  if (header.format < kGraphFormat) fail("format " + std::to_string(header.format) + " is no longer walked");
  if (header.rows != n_rows) fail("is over " + std::to_string(header.rows) + " rows, the segment has " + std::to_string(n_rows));
  if (header.links < 2 || header.links > kGraphLinksMax) fail(std::to_string(header.links) + " links per node, expected 2 to " + std::to_string(kGraphLinksMax));
  if (header.link_factors > 4) fail(std::to_string(header.link_factors) + " bytes of factors beside a link, expected at most 4");
  if (header.nodes > header.rows || header.nodes > kGraphNodesMax || header.entries > header.nodes || (header.nodes && !header.entries) ||
      header.groups > header.nodes || header.duplicates > header.rows - header.nodes || header.duplicates < header.groups || header.codes > size)
    fail("counts of rows, nodes, entries and duplicates contradict each other");
  if (header.usual_beam > header.nodes)
    fail("a usual beam of " + std::to_string(header.usual_beam) + ", wider than its " + std::to_string(header.nodes) + " nodes");
  if (!(header.growth >= 0 && header.growth < kGrowthMax)) fail("the growth of its distances is no number from 0 to " + std::to_string(kGrowthMax));
}

}  // namespace

bool Graph::is_outdated(const Blob& buffer) { return header_of(buffer).format < kGraphFormat; }

Graph Graph::open(Blob buffer, std::uint32_t n_rows) {
  const GraphHeader header = header_of(buffer);
  check_header(header, buffer.size(), n_rows);
  const GraphLayout layout(header);
  if (header.size != layout.size || buffer.size() != layout.size)
    fail("has " + std::to_string(buffer.size()) + " bytes, its counts make " + std::to_string(layout.size));

  Graph graph;
  const auto part = [&](std::size_t offset, std::size_t count) {
    return std::span(reinterpret_cast<const std::uint32_t*>(buffer.data() + offset), count);
  };
  graph.n_rows_ = header.rows;
  graph.n_nodes_ = header.nodes;
  graph.n_links_ = header.links;
  graph.row_of_node_ = part(layout.row_of_node, header.nodes);
  graph.node_of_row_ = part(layout.node_of_row, header.rows);
  graph.link_stride_ = layout.link_stride;
  graph.link_blocks_ = {buffer.data() + layout.links, header.nodes * layout.link_stride};
  graph.n_entries_ = header.entries;
  graph.growth_ = header.growth;
  graph.usual_beam_ = header.usual_beam;
  graph.group_nodes_ = part(layout.group_nodes, header.groups);
  graph.group_starts_ = part(layout.group_starts, header.groups ? std::size_t{header.groups} + 1 : 0);
  graph.near_starts_ = part(layout.near_starts, header.groups);
  graph.duplicates_ = part(layout.duplicates, header.duplicates);
  if (header.groups)
    graph.has_group_ = {reinterpret_cast<const std::uint64_t*>(buffer.data() + layout.has_group), (std::size_t{header.nodes} + 63) / 64};
  graph.check_small_parts();
  graph.codes_bytes_ = {buffer.data() + layout.codes, header.codes};
  if (header.codes) graph.codes_ = GraphCodes::open(graph.codes_bytes_, header.nodes);
  if (header.link_factors != (graph.codes_ ? graph.codes_->packing().bytes : 0))
    fail(std::to_string(header.link_factors) + " bytes of factors beside a link, its codes have others");
  graph.buffer_ = std::move(buffer);
  return graph;
}

Graph Graph::in_memory() const {
  // Codes at even lines: a code of two lines then lies in one pair, which the hardware fetches together.
  constexpr std::size_t pair = 128;
  const auto rounded = [](std::size_t bytes) { return (bytes + pair - 1) / pair * pair; };
  const std::size_t before_codes = codes_ ? static_cast<std::size_t>(codes_->view().high - codes_bytes_.data()) % pair : 0;
  const std::size_t links = rounded(row_of_node_.size_bytes()), codes = rounded(links + link_blocks_.size()) + (pair - before_codes) % pair;
  const std::size_t size = codes + codes_bytes_.size();
  const std::shared_ptr<std::uint8_t[]> memory = allocate_rows(size);
  std::memcpy(memory.get(), row_of_node_.data(), row_of_node_.size_bytes());
  std::memcpy(memory.get() + links, link_blocks_.data(), link_blocks_.size());
  std::memcpy(memory.get() + codes, codes_bytes_.data(), codes_bytes_.size());

  Graph copy = *this;
  copy.row_of_node_ = {reinterpret_cast<const std::uint32_t*>(memory.get()), row_of_node_.size()};
  copy.link_blocks_ = {memory.get() + links, link_blocks_.size()};
  copy.codes_bytes_ = {memory.get() + codes, codes_bytes_.size()};
  if (codes_) {
    const std::shared_ptr<GraphCodes> codes = GraphCodes::open(copy.codes_bytes_, n_nodes_);
    codes->find_largest_scale();
    copy.codes_ = codes;
  }
  copy.memory_ = memory;
  copy.memory_bytes_ = size;
  if (codes_) copy.arrange_entries();
  return copy;
}

void Graph::arrange_entries() {
  if (EntryGroups::are_worthwhile(*codes_, n_entries_)) {
    entry_groups_ = std::make_shared<const EntryGroups>(*codes_, n_entries_);
    return;
  }
  std::vector<std::uint32_t> entries(n_entries_);
  std::iota(entries.begin(), entries.end(), 0u);
  packed_entries_ = PackedCodes::make(codes_, entries);
}

void Graph::check_small_parts() const {
  for (std::size_t i = 0; i < group_nodes_.size(); ++i) {
    if (group_nodes_[i] >= n_nodes_ || (i && group_nodes_[i] <= group_nodes_[i - 1])) fail("groups of duplicates do not ascend");
    if (group_starts_[i] >= group_starts_[i + 1]) fail("a group of duplicates is empty");
    if (near_starts_[i] < group_starts_[i] || near_starts_[i] > group_starts_[i + 1]) fail("near copies begin outside of their group");
  }
  if (!group_nodes_.empty() && (group_starts_.front() != 0 || group_starts_.back() != duplicates_.size())) fail("groups do not cover the duplicates");
  for (const std::uint32_t row : duplicates_)
    if (row >= n_rows_) fail("a duplicate is row " + std::to_string(row) + " of " + std::to_string(n_rows_));
}

std::size_t Graph::hot_bytes() const { return row_of_node_.size_bytes() + link_blocks_.size() + (codes_ ? codes_->hot_bytes() : 0); }

void Graph::refuse_row_of(std::uint32_t node) const {
  fail("node " + std::to_string(node) + " is row " + std::to_string(row_of_node_[node]) + " of " + std::to_string(n_rows_));
}

std::uint32_t Graph::node_of(std::uint32_t row) const {
  const std::uint32_t node = node_of_row_[row];
  if (node >= n_nodes_ && node != kNone) fail("row " + std::to_string(row) + " is node " + std::to_string(node) + " of " + std::to_string(n_nodes_));
  return node;
}

std::span<const std::uint32_t> Graph::links_of(std::uint32_t node) const {
  const auto slots = link_slots(node);
  std::size_t used = 0;
  for (; used < slots.size() && slots[used] != kNone; ++used)
    if (slots[used] >= n_nodes_) fail("node " + std::to_string(node) + " links to node " + std::to_string(slots[used]) + " of " + std::to_string(n_nodes_));
  return slots.first(used);
}

Graph::Copies Graph::copies_of(std::uint32_t node) const {
  if (has_group_.empty() || !is_set(has_group_, node)) return {};
  const auto found = std::ranges::lower_bound(group_nodes_, node);
  if (found == group_nodes_.end() || *found != node) fail("node " + std::to_string(node) + " is marked as a group of duplicates but is none");
  const auto group = static_cast<std::size_t>(found - group_nodes_.begin());
  const std::uint32_t start = group_starts_[group], near = near_starts_[group], end = group_starts_[group + 1];
  return {duplicates_.subspan(start, near - start), duplicates_.subspan(near, end - near)};
}

Bytes Graph::copies_part() const {
  if (has_group_.empty()) return {};
  const auto* first = reinterpret_cast<const std::uint8_t*>(group_nodes_.data());
  return {first, reinterpret_cast<const std::uint8_t*>(has_group_.data() + has_group_.size())};
}

void Graph::check_link_factors() const {
  const PackedFactors& packing = codes_->packing();
  for (std::uint32_t node = 0; node < n_nodes_; ++node) {
    const auto links = links_of(node);
    for (std::size_t i = 0; i < links.size(); ++i) {
      const std::uint32_t expected = codes_->ladder().packed_factors(codes_->view(), packing, links[i]);
      if (std::memcmp(&expected, link_factors(node) + i * packing.bytes, packing.bytes))
        fail("node " + std::to_string(node) + " has other factors beside its link to node " + std::to_string(links[i]) + " than that node");
    }
  }
}

void Graph::verify() const {
  std::vector<bool> taken(n_rows_);
  for (std::uint32_t node = 0; node < n_nodes_; ++node) {
    const std::uint32_t row = row_of(node);
    if (taken[row]) fail("row " + std::to_string(row) + " is two nodes");
    if (node_of_row_[row] != node) fail("row " + std::to_string(row) + " is said to be node " + std::to_string(node_of_row_[row]) + ", which it is not");
    taken[row] = true;
  }
  for (const std::uint32_t row : duplicates_) {
    if (taken[row]) fail("row " + std::to_string(row) + " is a node and a duplicate, or twice a duplicate");
    taken[row] = true;
  }
  for (const std::uint32_t node : group_nodes_) {
    if (!is_set(has_group_, node)) fail("a group of duplicates is not marked as one");
    const auto [same, near] = copies_of(node);
    for (const auto rows : {same, near})
      for (const std::uint32_t row : rows)
        if (node_of_row_[row] != node) fail("duplicate row " + std::to_string(row) + " is said to be node " + std::to_string(node_of_row_[row]));
  }
  for (std::uint32_t row = 0; row < n_rows_; ++row)
    if (!taken[row] && node_of_row_[row] != kNone) fail("row " + std::to_string(row) + " is said to be a node but is none");
  if (!n_nodes_) return;
  if (codes_) check_link_factors();

  std::vector<bool> reached(n_nodes_);
  std::vector<std::uint32_t> queue{0};
  reached[0] = true;
  for (std::size_t i = 0; i < queue.size(); ++i)
    for (const std::uint32_t node : links_of(queue[i]))
      if (!reached[node]) {
        reached[node] = true;
        queue.push_back(node);
      }
  if (queue.size() != n_nodes_)
    fail(std::to_string(n_nodes_ - queue.size()) + " of " + std::to_string(n_nodes_) + " nodes cannot be reached from the first");
}

}  // namespace vicino
