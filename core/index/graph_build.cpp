// Builds the graph in seven steps: group duplicates, encode, partition, collect candidates, prune, add reverse links and prune again, repair.
// When the candidates show crowds of near copies, these are grouped as well and all but the first step done again, once.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include "index/build_space.h"
#include "index/candidates.h"
#include "index/copy_groups.h"
#include "index/graph.h"
#include "index/graph_layout.h"
#include "index/graph_network.h"
#include "index/growth.h"
#include "index/partition.h"
#include "index/prune.h"
#include "index/repair.h"
#include "index/usual_beam.h"
#include "util/errors.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kChunk = 131072;       // nodes whose candidates are held at a time, about a kibibyte each
constexpr std::size_t kBatch = 128;          // nodes per unit of parallel work
constexpr std::size_t kReverseCandidates = 96;
constexpr std::uint32_t kOverlap = 2;

void check_params(const GraphParams& params) {
  if (params.links < 2 || params.links > kGraphLinksMax)
    throw InvalidArgument("links must be between 2 and " + std::to_string(kGraphLinksMax) + ", got " + std::to_string(params.links));
  if (params.leaf < 64 || params.leaf > 4096) throw InvalidArgument("leaf must be between 64 and 4096, got " + std::to_string(params.leaf));
  if (params.replicates < 1 || params.per_leaf < 1)
    throw InvalidArgument("replicates and per_leaf must be at least 1, got " + std::to_string(params.replicates) + " and " +
                          std::to_string(params.per_leaf));
  if (!(params.alpha >= 1)) throw InvalidArgument("alpha must be at least 1, got " + std::to_string(params.alpha));
}

class Builder {
 public:
  Builder(BuildSpace& space, const GraphParams& params, unsigned threads, const Cancel& cancel, LinkTable links,
          std::atomic<std::uint64_t>* progress, std::uint64_t progress_total)
      : space_(space), params_(params), threads_(threads), cancel_(cancel), links_(links), progress_(progress), progress_total_(progress_total) {}

  /// Nodes whose candidates are mostly near copies of themselves, ascending.
  std::vector<std::uint32_t> link_nearest() { return link_nearest(partition()); }

  void finish() {
    link_back();
    Random random(params_.seed ^ 0x7265736375650000);  // "rescue": a stream of its own
    rescue(space_, links_, {random.next(), params_.alpha, threads_}, cancel_);
    raise_in_links(links_);
  }

  /// The node nearest to the mean, the dominant ones if the metric has such, and then nodes of two kinds, both drawn one from each of equal
  /// stretches of leaf order, so that they are spread out. For one half a stretch is a number of nodes: searches begin where the
  /// rows are. For the other it is a sum of squared distances to the nearest link: they begin wherever there is anything, since a walk
  /// through a clump of rows that are nearly the same does not find its way out to what lies apart. A node drawn twice costs a search nothing.
  std::vector<std::uint32_t> choose_entries(std::uint32_t count) const {
    std::vector<std::uint32_t> entries{space_.central_node()};
    const auto dominant = space_.dominant_nodes((count - 1) / 3);
    entries.insert(entries.end(), dominant.begin(), dominant.end());
    Random random(params_.seed ^ 0x656e747269657300);
    const std::uint64_t n = space_.size(), n_spread = count - entries.size(), n_even = n_spread / 2;
    for (std::uint64_t i = 0; i < n_even; ++i) {
      const std::uint64_t first = n * i / n_even, last = n * (i + 1) / n_even;
      entries.push_back(static_cast<std::uint32_t>(first + random.below(static_cast<std::uint32_t>(last - first))));
    }
    append_by_isolation(static_cast<std::size_t>(n_spread - n_even), entries);
    return entries;
  }

 private:
  void report(double fraction) const {
    if (progress_) progress_->store(static_cast<std::uint64_t>(fraction * static_cast<double>(progress_total_)));
  }

  /// Systematic sampling: the nodes in whose weight the midpoints of `count` equal parts of the total fall.
  void append_by_isolation(std::size_t count, std::vector<std::uint32_t>& entries) const {
    std::vector<float> weights(space_.size());
    for_each_batch(weights.size(), [&](Pruner&, std::size_t i) {
      const auto node = static_cast<std::uint32_t>(i);
      if (const auto links = links_[node]; !links.empty()) space_.distances_at(node, links.first(1), &weights[i]);
    });
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    if (!(total > 0)) return entries.resize(entries.size() + count, entries[0]);
    double sum = 0;
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double place = total * (static_cast<double>(i) + 0.5) / static_cast<double>(count);
      while (node + 1 < weights.size() && sum + weights[node] < place) sum += weights[node++];
      entries.push_back(node);
    }
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
    const std::vector<std::uint32_t> order = leaf_order(leaves, space_.size());
    std::vector<std::uint32_t> place(order.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    space_.reorder(order);
    for (std::uint32_t& member : leaves.members) member = place[member];
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf)
      std::sort(leaves.members.begin() + leaves.starts[leaf], leaves.members.begin() + leaves.starts[leaf + 1]);
  }

  std::vector<std::uint32_t> link_nearest(const std::vector<Leaves>& partitions) {
    const std::size_t n = space_.size();
    // With a single leaf there is one chance to take candidates, so it takes as many as a list keeps.
    const std::uint32_t per_leaf = partitions.size() == 1 ? Candidates::kKept : params_.per_leaf;
    std::vector<char> crowded(n);
    for (std::size_t start = 0; start < n; start += kChunk) {
      std::vector<std::uint32_t> nodes(std::min(kChunk, n - start));
      std::iota(nodes.begin(), nodes.end(), static_cast<std::uint32_t>(start));
      Candidates candidates(nodes.size());
      collect_candidates(space_, partitions, nodes, per_leaf, threads_, cancel_, candidates);
      for_each_batch(nodes.size(), [&](Pruner& pruner, std::size_t i) {
        const auto nearest = candidates.nearest(i);
        links_.set(nodes[i], pruner.select(nodes[i], nearest));
        crowded[nodes[i]] = is_crowded(space_, nodes[i], nearest);
      });
      report(0.2 + 0.55 * static_cast<double>(start + nodes.size()) / static_cast<double>(n));
    }
    std::vector<std::uint32_t> found;
    for (std::uint32_t node = 0; node < n; ++node)
      if (crowded[node]) found.push_back(node);
    return found;
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

/// Numbers the entries first and leaves the others in their order.
void put_first(std::vector<std::uint32_t> entries, const BuildSpace& space, Network& network) {
  constexpr std::uint32_t unset = 0xffffffff;
  std::vector<std::uint32_t> place(space.size(), unset), order;
  order.reserve(space.size());
  const auto take = [&](std::uint32_t node) {
    if (place[node] != unset) return;
    place[node] = static_cast<std::uint32_t>(order.size());
    order.push_back(node);
  };
  std::ranges::for_each(entries, take);
  network.n_entries = static_cast<std::uint32_t>(order.size());
  for (std::uint32_t node = 0; node < space.size(); ++node) take(node);

  const std::uint32_t stride = network.links_per_node;
  std::vector<std::uint32_t> links(network.links.size());
  for (std::size_t at = 0; at < links.size(); ++at) {
    const std::uint32_t to = network.links[order[at / stride] * std::size_t{stride} + at % stride];
    links[at] = to == LinkTable::kFree ? to : place[to];
  }
  network.links = std::move(links);
  for (const std::uint32_t node : order) network.rows.push_back(space.row(node));
}

Network build_network(const VectorBlock& block, Metric metric, const GraphParams& params, unsigned threads, const Cancel& cancel,
                      std::atomic<std::uint64_t>* progress, std::uint64_t progress_total, CopyGroups& groups) {
  Network network;
  network.links_per_node = params.links;
  for (bool copies_are_grouped = false;;) {
    const std::size_t n_nodes = groups.representatives.size();
    if (!n_nodes) return network;
    BuildSpace space(block, groups.representatives, metric, threads, cancel);
    network.links.assign(n_nodes * params.links, LinkTable::kFree);
    const LinkTable links(network.links, params.links);
    Builder builder(space, params, threads, cancel, links, progress, progress_total);
    const auto crowded = builder.link_nearest();
    if (!copies_are_grouped && group_near_copies(space, crowded, params.leaf, params.seed, threads, cancel, groups)) {
      copies_are_grouped = true;
      continue;
    }
    builder.finish();
    const auto entries = builder.choose_entries(n_entries_for(n_nodes));
    make_reachable(space, links, entries);
    put_first(entries, space, network);
    return network;
  }
}

/// The parts of a graph's buffer, written once each.
class Writer {
 public:
  Writer(std::uint32_t n_rows, const Network& network, const CopyGroups& groups) : network_(network) {
    std::memcpy(header_.magic, kGraphMagic, sizeof header_.magic);
    header_.format = kGraphFormat;
    header_.rows = n_rows;
    header_.nodes = static_cast<std::uint32_t>(network.rows.size());
    header_.links = network.links_per_node;
    header_.entries = network.n_entries;
    header_.duplicates = static_cast<std::uint32_t>(groups.copies.size());
    take_copies(groups.copies);
    for (std::size_t i = 0; i < copies_.size(); ++i) header_.groups += begins_group(i);
  }

  /// `codes`: as GraphCodes::build makes them.
  std::vector<std::uint8_t> write(std::span<const std::uint8_t> codes) && {
    header_.codes = codes.size();
    const auto opened = codes.empty() ? nullptr : GraphCodes::open(codes, header_.nodes);
    if (opened) header_.link_factors = opened->packing().bytes;
    const GraphLayout layout(header_);
    header_.size = layout.size;
    buffer_.resize(layout.size);
    std::memcpy(buffer_.data(), &header_, sizeof header_);
    std::ranges::copy(network_.rows, part<std::uint32_t>(layout.row_of_node));
    static_assert(LinkTable::kFree == Graph::kNone);
    for (std::uint32_t node = 0; node < header_.nodes; ++node) write_links(node, opened.get(), part<std::uint8_t>(layout.links + node * layout.link_stride));
    std::ranges::copy(codes, part<std::uint8_t>(layout.codes));
    write_nodes(part<std::uint32_t>(layout.node_of_row));
    write_groups(layout);
    return std::move(buffer_);
  }

 private:
  /// Copies by the nodes that stand for them instead of those nodes' rows.
  void take_copies(const std::vector<Copy>& copies) {
    if (copies.empty()) return;
    std::vector<std::uint32_t> node_of_row(header_.rows);
    for (std::uint32_t node = 0; node < network_.rows.size(); ++node) node_of_row[network_.rows[node]] = node;
    copies_ = copies;
    for (Copy& copy : copies_) copy.representative = node_of_row[copy.representative];
    std::ranges::sort(copies_);
  }

  bool begins_group(std::size_t i) const { return !i || copies_[i].representative != copies_[i - 1].representative; }
  template <class T>
  T* part(std::size_t offset) {
    return reinterpret_cast<T*>(buffer_.data() + offset);
  }

  void write_links(std::uint32_t node, const GraphCodes* codes, std::uint8_t* block) const {
    const auto links = std::span(network_.links).subspan(std::size_t{node} * header_.links, header_.links);
    std::memcpy(block, links.data(), links.size_bytes());
    if (!codes) return;
    std::uint8_t* factors = block + links.size_bytes();
    for (const std::uint32_t to : links) {
      const std::uint32_t packed = to == LinkTable::kFree ? 0 : codes->ladder().packed_factors(codes->view(), codes->packing(), to);
      std::memcpy(factors, &packed, header_.link_factors);
      factors += header_.link_factors;
    }
  }

  void write_nodes(std::uint32_t* node_of_row) const {
    std::fill_n(node_of_row, header_.rows, Graph::kNone);
    for (std::uint32_t node = 0; node < network_.rows.size(); ++node) node_of_row[network_.rows[node]] = node;
    for (const Copy& copy : copies_) node_of_row[copy.row] = copy.representative;
  }

  void write_groups(const GraphLayout& layout) {
    if (copies_.empty()) return;
    auto *group_nodes = part<std::uint32_t>(layout.group_nodes), *starts = part<std::uint32_t>(layout.group_starts);
    auto *duplicates = part<std::uint32_t>(layout.duplicates), *near_starts = part<std::uint32_t>(layout.near_starts);
    auto* has_group = part<std::uint64_t>(layout.has_group);
    std::size_t group = 0;
    for (std::uint32_t i = 0; i < copies_.size(); ++i) {
      const auto [node, is_near, duplicate] = copies_[i];
      duplicates[i] = duplicate;
      if (begins_group(i)) {
        group_nodes[group] = node;
        starts[group++] = i;
        has_group[node / 64] |= std::uint64_t{1} << (node % 64);
      }
      // Each copy that is the same moves the place where those that are not begin behind itself.
      if (begins_group(i) || !is_near) near_starts[group - 1] = is_near ? i : i + 1;
    }
    starts[group] = header_.duplicates;
  }

  const Network& network_;
  std::vector<Copy> copies_;
  GraphHeader header_{};
  std::vector<std::uint8_t> buffer_;
};

}  // namespace

void check_build_rows(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric) {
  if (!is_allowed(metric, block.dtype))
    throw InvalidArgument(std::string("no graph for metric \"") + name_of(metric) + "\" over " + name_of(block.dtype) + " vectors");
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] >= block.rows || (i && rows[i] <= rows[i - 1]))
      throw InvalidArgument("rows must ascend and be below " + std::to_string(block.rows) + ", got " + std::to_string(rows[i]) +
                            " at position " + std::to_string(i));
}

std::uint32_t n_entries_for(std::size_t n_nodes) {
  // Every search scores all of them, so at a million they were two thirds of its work: of 1,000,000 x 128 rows it scored 1,437 at a recall of 0.95
  // with 1,000 entries, 901 with 400 and the same beam. Clusters that lie far apart want many: 4,000 of them in 300,000 x 32 rows lost 3 points
  // at a beam of 64 with 400 instead of 548.
  constexpr double kEntriesMax = 500;
  return static_cast<std::uint32_t>(std::min(kEntriesMax, std::ceil(std::sqrt(static_cast<double>(n_nodes)))));
}

std::vector<std::uint8_t> write_graph(const VectorBlock& block, Metric metric, const Network& network, const CopyGroups& groups,
                                      NodeCodes codes, std::uint64_t seed, unsigned threads, const Cancel& cancel) {
  auto graph = Writer(block.rows, network, groups).write(GraphCodes::build(block, network.rows, metric, codes, seed, threads, cancel));
  write_growth(graph, block, metric, cancel);
  return graph;
}

std::vector<std::uint8_t> build_graph(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const GraphParams& params,
                                      unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress) {
  check_build_rows(block, rows, metric);
  check_params(params);
  CopyGroups groups = group_equal_rows(block, rows, cancel);
  const Network network = build_network(block, metric, params, threads, cancel, progress, rows.size(), groups);
  auto graph = write_graph(block, metric, network, groups, params.codes, params.seed, threads, cancel);
  write_usual_beam(graph, block, metric, nullptr, threads, cancel);
  if (progress) progress->store(rows.size());
  return graph;
}

std::size_t graph_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, const GraphParams& params, unsigned threads) {
  const std::size_t code = BuildSpace::bytes_per_node(dim, dtype), workers = std::max(1u, threads);
  const std::size_t links = rows * 4 * std::size_t{params.links}, result = rows * (4 + 4 + 4 + 4 + 64) + 2 * links + 4096;
  const std::size_t grouping = rows * (16 + 4 + 2 * 12);  // keys, representatives, copies in a vector that doubles
  const std::size_t groups = rows * (4 + 2 * 12);
  const std::size_t encoding = rows * 8;
  const std::size_t chunk = std::min(rows, kChunk);
  // Members of all partitions (a node in `overlap` leaves of each), and one partition in the making: choices, buckets twice, members.
  const std::size_t leaves = rows * 4 * kOverlap * (params.replicates + 4) + rows * 12;
  const std::size_t collecting = leaves + chunk * (Candidates::bytes_per_node() + 4);
  const std::size_t linking_back = rows * (4 + 4 * std::size_t{params.links});
  // The rescue may in the worst case take every node: its partitions, and as many candidates as a chunk.
  const std::size_t repairing = rows * 4 * (kOverlap * 10 + 4) + chunk * (Candidates::bytes_per_node() + 4);
  const std::size_t scratch = workers * (leaf_scratch_bytes(params.leaf) + std::size_t{params.leaf} * (code + 24) + 512 * (code + 24) + 16 * std::size_t{dim}) +
                              40 * 8 * std::size_t{dim};
  const std::size_t most = std::max({encoding, collecting, linking_back, repairing});
  // Codes are gone when the result is written beside the links, their nodes' rows and the entries.
  const std::size_t building = groups + links + rows * code + std::max(most, links + rows * 12) + scratch;
  const std::size_t writing = groups + links + rows * 12 + result + GraphCodes::build_bytes(rows, dim, dtype, params.codes);
  return std::max({grouping, building, writing}) + (std::size_t{1} << 20);
}

}  // namespace vicino
