// Builds the graph in seven steps: group duplicates, encode, partition, collect candidates, prune, add reverse links and prune again, repair.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include "index/build_space.h"
#include "index/candidates.h"
#include "index/graph.h"
#include "index/graph_layout.h"
#include "index/partition.h"
#include "index/prune.h"
#include "index/repair.h"
#include "util/errors.h"
#include "util/hash.h"
#include "util/random.h"
#include "util/thread_pool.h"

namespace vicino {

namespace {

constexpr std::size_t kChunk = 32768;        // nodes whose candidates are held at a time, about a kibibyte each
constexpr std::size_t kBatch = 128;          // nodes per unit of parallel work
constexpr std::size_t kReverseCandidates = 96;
constexpr std::uint32_t kOverlap = 2;

/// Rows that are byte for byte the same. The first of a group stands for all in the graph.
struct DuplicateGroups {
  std::vector<std::uint32_t> representatives;  // one row per node, ascending
  std::vector<std::uint32_t> rows, starts, duplicates;
};

DuplicateGroups group_duplicates(const VectorBlock& block, std::span<const std::uint32_t> rows, const Cancel& cancel) {
  const std::size_t size = row_bytes(block.dtype, block.dim);
  struct Keyed {
    std::uint64_t hash;
    std::uint32_t row;
    bool operator<(const Keyed& other) const { return hash != other.hash ? hash < other.hash : row < other.row; }
  };
  std::vector<Keyed> keyed(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % kBatch == 0) cancel.check();
    keyed[i] = {hash_bytes({block.row(rows[i]), size}), rows[i]};
  }
  std::sort(keyed.begin(), keyed.end());

  // Inside a run of equal hashes rows ascend, so the first of each kind is its representative.
  DuplicateGroups groups;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;  // representative, duplicate
  for (std::size_t start = 0; start < keyed.size();) {
    std::vector<std::uint32_t> distinct;
    std::size_t end = start;
    for (; end < keyed.size() && keyed[end].hash == keyed[start].hash; ++end) {
      const std::uint32_t row = keyed[end].row;
      const auto same = std::ranges::find_if(distinct, [&](std::uint32_t other) { return !std::memcmp(block.row(row), block.row(other), size); });
      if (same == distinct.end()) distinct.push_back(row);
      else pairs.emplace_back(*same, row);
    }
    groups.representatives.insert(groups.representatives.end(), distinct.begin(), distinct.end());
    start = end;
  }
  std::ranges::sort(groups.representatives);
  std::ranges::sort(pairs);
  for (const auto& [representative, duplicate] : pairs) {
    if (groups.rows.empty() || groups.rows.back() != representative) {
      groups.rows.push_back(representative);
      groups.starts.push_back(static_cast<std::uint32_t>(groups.duplicates.size()));
    }
    groups.duplicates.push_back(duplicate);
  }
  if (!groups.rows.empty()) groups.starts.push_back(static_cast<std::uint32_t>(groups.duplicates.size()));
  return groups;
}

void check_arguments(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const GraphParams& params) {
  if (!is_allowed(metric, block.dtype))
    throw InvalidArgument(std::string("no graph for metric \"") + name_of(metric) + "\" over " + name_of(block.dtype) + " vectors");
  if (params.links < 2 || params.links > kGraphLinksMax)
    throw InvalidArgument("links must be between 2 and " + std::to_string(kGraphLinksMax) + ", got " + std::to_string(params.links));
  if (params.leaf < 64 || params.leaf > 4096) throw InvalidArgument("leaf must be between 64 and 4096, got " + std::to_string(params.leaf));
  if (params.replicates < 1 || params.per_leaf < 1)
    throw InvalidArgument("replicates and per_leaf must be at least 1, got " + std::to_string(params.replicates) + " and " +
                          std::to_string(params.per_leaf));
  if (!(params.alpha >= 1)) throw InvalidArgument("alpha must be at least 1, got " + std::to_string(params.alpha));
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] >= block.rows || (i && rows[i] <= rows[i - 1]))
      throw InvalidArgument("rows must ascend and be below " + std::to_string(block.rows) + ", got " + std::to_string(rows[i]) +
                            " at position " + std::to_string(i));
}

std::uint32_t n_entries_for(std::size_t n_nodes) { return static_cast<std::uint32_t>(std::ceil(std::sqrt(static_cast<double>(n_nodes)))); }

class Builder {
 public:
  Builder(BuildSpace& space, const GraphParams& params, unsigned threads, const Cancel& cancel, LinkTable links,
          std::atomic<std::uint64_t>* progress, std::uint64_t progress_total)
      : space_(space), params_(params), threads_(threads), cancel_(cancel), links_(links), progress_(progress), progress_total_(progress_total) {}

  void run() {
    {
      const auto partitions = partition();
      link_nearest(partitions);
    }
    link_back();
    Random random(params_.seed ^ 0x7265736375650000);  // "rescue": a stream of its own
    rescue(space_, links_, {random.next(), params_.alpha, threads_}, cancel_);
    raise_in_links(links_);
  }

  /// The node nearest to the mean, the dominant ones if the metric has such, then one random node of each of equal stretches: nodes lie
  /// in leaf order, so these are spread out. A node drawn twice costs a search nothing.
  std::vector<std::uint32_t> choose_entries(std::uint32_t count) const {
    std::vector<std::uint32_t> entries{space_.central_node()};
    const auto dominant = space_.dominant_nodes((count - 1) / 2);
    entries.insert(entries.end(), dominant.begin(), dominant.end());
    Random random(params_.seed ^ 0x656e747269657300);
    const std::uint64_t n = space_.size(), n_spread = count - entries.size();
    for (std::uint64_t i = 0; i < n_spread; ++i) {
      const std::uint64_t first = n * i / n_spread, last = n * (i + 1) / n_spread;
      entries.push_back(static_cast<std::uint32_t>(first + random.below(static_cast<std::uint32_t>(last - first))));
    }
    return entries;
  }

 private:
  void report(double fraction) const {
    if (progress_) progress_->store(static_cast<std::uint64_t>(fraction * static_cast<double>(progress_total_)));
  }

  Leaves partition_once(std::uint64_t replicate, std::span<const std::uint32_t> all) const {
    Random random(params_.seed + replicate * 0x9E3779B97F4A7C15);
    return carve(space_, all, {params_.leaf, kOverlap, random.next()}, threads_, cancel_);
  }

  std::vector<Leaves> partition() {
    const std::size_t n = space_.size();
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0u);
    std::vector<Leaves> partitions;
    partitions.push_back(partition_once(0, all));
    number_in_leaf_order(partitions[0]);
    // Below one leaf every partition is the same.
    for (std::uint32_t replicate = 1; n > params_.leaf && replicate < params_.replicates; ++replicate) {
      partitions.push_back(partition_once(replicate, all));
      report(0.2 * replicate / params_.replicates);
    }
    return partitions;
  }

  /// Neighbors then lie near each other in memory and share chunks, here and in the finished graph.
  void number_in_leaf_order(Leaves& leaves) {
    constexpr std::uint32_t unset = 0xffffffff;
    std::vector<std::uint32_t> place(space_.size(), unset), order;
    order.reserve(space_.size());
    for (const std::uint32_t node : leaves.members)
      if (place[node] == unset) {
        place[node] = static_cast<std::uint32_t>(order.size());
        order.push_back(node);
      }
    space_.reorder(order);
    for (std::uint32_t& member : leaves.members) member = place[member];
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf)
      std::sort(leaves.members.begin() + leaves.starts[leaf], leaves.members.begin() + leaves.starts[leaf + 1]);
  }

  void link_nearest(std::span<const Leaves> partitions) {
    const std::size_t n = space_.size();
    // With a single leaf there is one chance to take candidates, so it takes as many as a list keeps.
    const std::uint32_t per_leaf = partitions.size() == 1 ? Candidates::kKept : params_.per_leaf;
    for (std::size_t start = 0; start < n; start += kChunk) {
      std::vector<std::uint32_t> nodes(std::min(kChunk, n - start));
      std::iota(nodes.begin(), nodes.end(), static_cast<std::uint32_t>(start));
      Candidates candidates(nodes.size());
      collect_candidates(space_, partitions, nodes, per_leaf, threads_, cancel_, candidates);
      for_each_batch(nodes.size(), [&](Pruner& pruner, std::size_t i) {
        links_.set(nodes[i], pruner.select(nodes[i], candidates.nearest(i)));
      });
      report(0.2 + 0.55 * static_cast<double>(start + nodes.size()) / static_cast<double>(n));
    }
  }

  /// Every link is offered to its target as a link back; each node chooses anew among its own and those.
  void link_back() {
    const std::size_t n = space_.size();
    std::vector<std::uint32_t> starts(n + 1), sources;
    for (std::uint32_t node = 0; node < n; ++node)
      for (const std::uint32_t to : links_[node]) ++starts[to + 1];
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    sources.resize(starts[n]);
    // Filling moves each start to the next one's place, so afterwards the sources of node i begin at starts[i - 1].
    for (std::uint32_t node = 0; node < n; ++node)
      for (const std::uint32_t to : links_[node]) sources[starts[to]++] = node;
    std::atomic<std::size_t> done{0};
    for_each_batch(n, [&](Pruner& pruner, std::size_t i) {
      const auto node = static_cast<std::uint32_t>(i);
      const auto own = links_[node];
      std::vector<std::uint32_t> others(own.begin(), own.end());
      others.insert(others.end(), sources.begin() + (i ? starts[i - 1] : 0), sources.begin() + starts[i]);
      links_.set(node, pruner.select(node, pruner.rank(node, others, kReverseCandidates)));
      if (const std::size_t now = ++done; now % 4096 == 0) report(0.75 + 0.2 * static_cast<double>(now) / static_cast<double>(n));
    });
  }

  /// Calls body(pruner, i) for every i < count, each batch on one thread with a pruner of its own.
  template <class Body>
  void for_each_batch(std::size_t count, Body&& body) const {
    std::vector<Pruner> pruners(std::max(1u, threads_), Pruner(space_, params_.links, params_.alpha));
    parallel_for(threads_, (count + kBatch - 1) / kBatch, [&](std::size_t batch, std::size_t worker) {
      cancel_.check();
      for (std::size_t i = batch * kBatch; i < std::min(count, (batch + 1) * kBatch); ++i) body(pruners[worker], i);
    });
  }

  BuildSpace& space_;
  const GraphParams& params_;
  unsigned threads_;
  const Cancel& cancel_;
  LinkTable links_;
  std::atomic<std::uint64_t>* progress_;
  std::uint64_t progress_total_;
};

template <class T>
std::span<T> part_of(std::vector<std::uint8_t>& buffer, std::size_t offset, std::size_t count) {
  return {reinterpret_cast<T*>(buffer.data() + offset), count};
}

}  // namespace

std::vector<std::uint8_t> build_graph(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const GraphParams& params,
                                      unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress) {
  check_arguments(block, rows, metric, params);
  const DuplicateGroups groups = group_duplicates(block, rows, cancel);
  const auto n_nodes = static_cast<std::uint32_t>(groups.representatives.size());

  GraphHeader header{};
  std::memcpy(header.magic, kGraphMagic, sizeof header.magic);
  header.format = kGraphFormat;
  header.rows = block.rows;
  header.nodes = n_nodes;
  header.links = params.links;
  header.entries = n_entries_for(n_nodes);
  header.groups = static_cast<std::uint32_t>(groups.rows.size());
  header.duplicates = static_cast<std::uint32_t>(groups.duplicates.size());
  const GraphLayout layout(header);
  header.size = layout.size;
  std::vector<std::uint8_t> buffer(layout.size);
  std::memcpy(buffer.data(), &header, sizeof header);

  const auto node_of_row = part_of<std::uint32_t>(buffer, layout.node_of_row, block.rows);
  std::ranges::fill(node_of_row, Graph::kNone);
  std::ranges::copy(groups.rows, part_of<std::uint32_t>(buffer, layout.group_rows, header.groups).begin());
  std::ranges::copy(groups.starts, part_of<std::uint32_t>(buffer, layout.group_starts, groups.starts.size()).begin());
  std::ranges::copy(groups.duplicates, part_of<std::uint32_t>(buffer, layout.duplicates, header.duplicates).begin());
  if (header.groups) {
    const auto has_group = part_of<std::uint64_t>(buffer, layout.has_group, (std::size_t{block.rows} + 63) / 64);
    for (const std::uint32_t row : groups.rows) has_group[row / 64] |= std::uint64_t{1} << (row % 64);
  }

  if (n_nodes) {
    BuildSpace space(block, groups.representatives, metric, threads, cancel);
    // The links are made where they will stay, first as nodes, at the end as rows.
    const auto slots = part_of<std::uint32_t>(buffer, layout.links, std::size_t{n_nodes} * params.links);
    const LinkTable links(slots, params.links);
    Builder builder(space, params, threads, cancel, links, progress, rows.size());
    builder.run();
    const auto entries = builder.choose_entries(header.entries);
    make_reachable(space, links, entries);
    static_assert(LinkTable::kFree == Graph::kNone);
    for (std::uint32_t& slot : slots)
      if (slot != LinkTable::kFree) slot = space.row(slot);
    std::ranges::transform(entries, part_of<std::uint32_t>(buffer, layout.entries, entries.size()).begin(),
                           [&](std::uint32_t node) { return space.row(node); });
    for (std::uint32_t node = 0; node < n_nodes; ++node) node_of_row[space.row(node)] = node;
  }
  if (progress) progress->store(rows.size());
  return buffer;
}

std::size_t graph_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, const GraphParams& params, unsigned threads) {
  const std::size_t code = BuildSpace::bytes_per_node(dim, dtype), workers = std::max(1u, threads);
  const std::size_t result = rows * (4 + 4 * std::size_t{params.links} + 4) + 4096;
  const std::size_t grouping = rows * (16 + 4 + 2 * 16);  // keys, representatives, pairs in a vector that doubles
  const std::size_t encoding = rows * 8;
  const std::size_t chunk = std::min(rows, kChunk);
  // Members of all partitions (a node in `overlap` leaves of each), and one partition in the making: choices, buckets twice, members.
  const std::size_t leaves = rows * 4 * kOverlap * (params.replicates + 4) + rows * 12;
  const std::size_t collecting = leaves + chunk * (Candidates::bytes_per_node() + 4);
  const std::size_t linking_back = rows * (4 + 4 * std::size_t{params.links});
  // The rescue may in the worst case take every node: its partitions, and as many candidates as a chunk.
  const std::size_t repairing = rows * 4 * (kOverlap * 10 + 4) + chunk * (Candidates::bytes_per_node() + 4);
  const std::size_t scratch = workers * (std::size_t{params.leaf} * (code + 24) + 32 * 8 * std::size_t{params.leaf} + 512 * (code + 24) + 16 * std::size_t{dim}) +
                              40 * 8 * std::size_t{dim};
  const std::size_t most = std::max({encoding, collecting, linking_back, repairing});
  return result + std::max(grouping, rows * 4 + rows * code + most + scratch) + (std::size_t{1} << 20);
}

}  // namespace vicino
