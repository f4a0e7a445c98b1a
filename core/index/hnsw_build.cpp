// Builds a hierarchical graph: group duplicates, encode, number by layers, insert in batches, repair, write.
//
// Layers are drawn before anything is inserted, and nodes of higher layers come first: then every layer above a node is complete when the node
// is, node 0 is the entry throughout, and a layer is a prefix of the nodes. As layers are drawn without regard to the rows, that
// order is as random as any other. Distances are those of the space of the build (build_space.h), exact functions of integers: a row takes
// a quarter of the memory of its floats, and no order of work changes anything.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "index/build_space.h"
#include "index/candidates.h"
#include "index/copy_groups.h"
#include "index/graph_network.h"
#include "index/hnsw.h"
#include "index/hnsw_layout.h"
#include "index/partition.h"
#include "index/prune.h"
#include "index/repair.h"
#include "index/usual_beam.h"
#include "index/walk.h"
#include "util/errors.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::uint32_t kEfConstructMax = 10'000;
constexpr CarveParams kCarve{.leaf_max = 1024, .overlap = 2};
constexpr std::size_t kChunk = 32768;    // nodes whose candidates are held at a time, about a kibibyte each
constexpr std::size_t kUnit = 16;        // insertions per unit of parallel work
constexpr std::size_t kBatchShare = 50;  // a batch is at most this part of all nodes: those of one batch do not find each other

void check_params(const HnswParams& params) {
  if (params.m < 2 || params.m > kHnswLinksMax)
    throw InvalidArgument("m must be between 2 and " + std::to_string(kHnswLinksMax) + ", got " + std::to_string(params.m));
  if (params.ef_construct < params.m || params.ef_construct > kEfConstructMax)
    throw InvalidArgument("ef_construct must be between m, which is " + std::to_string(params.m) + ", and " +
                          std::to_string(kEfConstructMax) + ", got " + std::to_string(params.ef_construct));
}

/// Nodes of layer i + 1 of so many nodes. A node of one layer is of the next with probability 1 / m, which is what the paper's
/// floor(-ln(uniform) / ln(m)) draws, in whole numbers. A layer of a single node leads nowhere and is left out.
std::vector<std::uint32_t> draw_layers(std::uint32_t n_nodes, const HnswParams& params, std::vector<std::uint8_t>& layer_of_node) {
  Random random(params.seed ^ 0x6c61796572730000);  // "layers": a stream of its own
  std::vector<std::uint32_t> counts(kHnswLayersMax);
  layer_of_node.assign(n_nodes, 0);
  for (std::uint8_t& layer : layer_of_node)
    while (layer < kHnswLayersMax && random.below(params.m) == 0) ++counts[layer++];
  while (!counts.empty() && counts.back() < 2) counts.pop_back();
  for (std::uint8_t& layer : layer_of_node) layer = std::min(layer, static_cast<std::uint8_t>(counts.size()));
  return counts;
}

/// Links of all layers; layer 0 is the base.
class LayeredLinks {
 public:
  LayeredLinks(std::uint32_t n_nodes, std::vector<std::uint32_t> upper_counts, std::uint32_t m) : upper_counts_(std::move(upper_counts)) {
    base_.assign(std::size_t{n_nodes} * 2 * m, LinkTable::kFree);
    upper_.assign(std::accumulate(upper_counts_.begin(), upper_counts_.end(), std::size_t{0}) * m, LinkTable::kFree);
    tables_.emplace_back(base_, 2 * m);
    std::size_t start = 0;
    for (const std::uint32_t count : upper_counts_) {
      tables_.emplace_back(std::span(upper_).subspan(start, std::size_t{count} * m), m);
      start += std::size_t{count} * m;
    }
  }
  LayeredLinks(const LayeredLinks&) = delete;

  const LinkTable& operator[](std::uint32_t layer) const { return tables_[layer]; }
  std::uint32_t top() const { return static_cast<std::uint32_t>(tables_.size()) - 1; }
  std::uint32_t layer_of(std::uint32_t node) const {
    std::uint32_t layer = 0;
    while (layer < top() && node < upper_counts_[layer]) ++layer;
    return layer;
  }
  std::span<const std::uint32_t> upper_counts() const { return upper_counts_; }
  std::span<const std::uint32_t> upper() const { return upper_; }
  std::vector<std::uint32_t> take_base() && { return std::move(base_); }

 private:
  std::vector<std::uint32_t> upper_counts_, base_, upper_;
  std::vector<LinkTable> tables_;
};

/// Finds what a node links to. What one thread inserts with.
class Seeker {
 public:
  Seeker(const BuildSpace& space, const LayeredLinks& links, const HnswParams& params)
      : space_(space), links_(links), params_(params), pruner_(space, 2 * params.m, 1) {}

  /// Gives a node its links on all its layers. No link leads to it yet. (Algorithm 1 of the paper, without the links back.)
  void link(std::uint32_t node) {
    space_.gather({&node, 1}, self_);
    const std::uint32_t highest = links_.layer_of(node);
    const std::uint32_t entry = 0;
    beginnings_.assign(1, walk_key(distances_to({&entry, 1})[0], entry));
    for (std::uint32_t layer = links_.top(); layer > highest; --layer) search(layer, 1);
    for (std::uint32_t layer = highest + 1; layer-- > 0;) {
      search(layer, params_.ef_construct);
      candidates_.clear();
      for (const WalkKey key : beginnings_) candidates_.push_back(candidate_key(walk_distance(key), node, walk_node(key)));
      std::ranges::sort(candidates_);
      links_[layer].set(node, pruner_.select(node, candidates_, params_.m));
    }
  }

  /// Links a node back to those that link to it, the nearest in different directions where there are too many.
  void link_back(std::uint32_t layer, std::uint32_t node, std::span<const std::uint32_t> sources) {
    const LinkTable& table = links_[layer];
    const auto own = table[node];
    others_.assign(own.begin(), own.end());
    others_.insert(others_.end(), sources.begin(), sources.end());
    if (others_.size() <= table.stride()) return table.set(node, others_);
    table.set(node, pruner_.select(node, pruner_.rank(node, others_, others_.size()), table.stride()));
  }

  /// Puts the links of a node in the order that a graph has them in.
  void sort_links(std::uint32_t layer, std::uint32_t node) {
    const auto own = links_[layer][node];
    others_.assign(own.begin(), own.end());
    const auto keys = pruner_.rank(node, others_, others_.size());
    for (std::size_t i = 0; i < keys.size(); ++i) own[i] = candidate_node(keys[i], node);
  }

 private:
  /// The `ef` nodes of a layer nearest to the node in hand, from those found last. (Algorithm 2.)
  void search(std::uint32_t layer, std::size_t ef) {
    pool_.reset(ef);
    met_.reset(space_.size());
    for (const WalkKey key : beginnings_) {
      met_.insert(walk_node(key));
      pool_.insert(key & ~WalkKey{1});
    }
    while (const WalkKey nearest = pool_.take_next()) {
      const std::size_t before = met_.size();
      const auto slots = links_[layer].slots(walk_node(nearest));
      met_.insert_links({.nodes = slots.data(), .count = slots.size()});
      const auto fresh = met_.part(before, met_.size());
      const float* distances = distances_to(fresh);
      for (std::size_t i = 0; i < fresh.size(); ++i) pool_.insert(walk_key(distances[i], fresh[i]));
    }
    beginnings_.assign(pool_.keys().begin(), pool_.keys().end());
  }

  /// Valid until the next call.
  const float* distances_to(std::span<const std::uint32_t> nodes) {
    if (distances_.size() < nodes.size()) distances_.resize(nodes.size());
    space_.gather(nodes, nodes_);
    space_.distances(self_, 0, 1, nodes_, dots_, distances_.data());
    return distances_.data();
  }

  const BuildSpace& space_;
  const LayeredLinks& links_;
  const HnswParams& params_;
  Pruner pruner_;
  WalkPool pool_;
  MetNodes met_;
  Panel self_, nodes_;
  std::vector<WalkKey> beginnings_;
  std::vector<CandidateKey> candidates_;
  std::vector<std::uint32_t> others_;
  std::vector<std::int32_t> dots_;
  std::vector<float> distances_;
};

class Inserter {
 public:
  Inserter(const BuildSpace& space, const LayeredLinks& links, const HnswParams& params, unsigned threads, const Cancel& cancel)
      : space_(space), links_(links), params_(params), threads_(threads), cancel_(cancel), seekers_(std::max(1u, threads), Seeker(space, links, params)) {}

  /// report(n): so many nodes are inserted.
  template <class Report>
  void insert_all(Report&& report) {
    std::vector<std::uint32_t> order = draw_order();
    const std::size_t n = order.size(), largest = std::max<std::size_t>(1, n / kBatchShare);
    for (std::size_t first = 1; first < n;) {
      const auto batch = std::span(order).subspan(first, std::min({first, largest, n - first}));
      insert(batch);
      first += batch.size();
      report(first);
    }
    for (std::uint32_t layer = 0; layer <= links_.top(); ++layer)
      for_each(links_[layer].n_nodes(), 16 * kUnit, [&](Seeker& seeker, std::size_t node) { seeker.sort_links(layer, static_cast<std::uint32_t>(node)); });
  }

 private:
  struct Link {
    std::uint32_t layer, to, from;
    auto operator<=>(const Link&) const = default;
  };

  /// Node 0, then the others of the top layer in a random order, then those of the next.
  std::vector<std::uint32_t> draw_order() const {
    Random random(params_.seed ^ 0x6f72646572000000);
    std::vector<std::uint32_t> order(space_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::uint32_t first = 1;
    for (std::uint32_t layer = links_.top() + 1; layer-- > 0;) {
      const std::uint32_t end = links_[layer].n_nodes();
      for (std::uint32_t i = first; i + 1 < end; ++i) std::swap(order[i], order[i + random.below(end - i)]);
      first = end;
    }
    return order;
  }

  void insert(std::span<std::uint32_t> batch) {
    // Numbers of neighbors lie near each other, so a thread that goes by numbers finds what it needs in its caches.
    std::ranges::sort(batch);
    for_each(batch.size(), kUnit, [&](Seeker& seeker, std::size_t i) { seeker.link(batch[i]); });

    std::vector<Link> back;
    for (const std::uint32_t node : batch)
      for (std::uint32_t layer = 0; layer <= links_.layer_of(node); ++layer)
        for (const std::uint32_t to : links_[layer][node]) back.push_back({layer, to, node});
    std::ranges::sort(back);
    std::vector<std::uint32_t> sources, starts;
    for (std::uint32_t i = 0; i < back.size(); ++i) {
      sources.push_back(back[i].from);
      if (!i || back[i].to != back[i - 1].to || back[i].layer != back[i - 1].layer) starts.push_back(i);
    }
    starts.push_back(static_cast<std::uint32_t>(back.size()));
    for_each(starts.size() - 1, kUnit, [&](Seeker& seeker, std::size_t i) {
      seeker.link_back(back[starts[i]].layer, back[starts[i]].to, std::span(sources).subspan(starts[i], starts[i + 1] - starts[i]));
    });
  }

  /// Calls body(seeker, i) for every i < count, each unit on one thread.
  template <class Body>
  void for_each(std::size_t count, std::size_t unit, Body&& body) {
    parallel_for(threads_, (count + unit - 1) / unit, [&](std::size_t index, std::size_t worker) {
      cancel_.check();
      for (std::size_t i = index * unit; i < std::min(count, (index + 1) * unit); ++i) body(seekers_[worker], i);
    });
  }

  const BuildSpace& space_;
  const LayeredLinks& links_;
  const HnswParams& params_;
  unsigned threads_;
  const Cancel& cancel_;
  std::vector<Seeker> seekers_;
};

/// Nodes whose neighbors are mostly near copies of themselves, ascending.
std::vector<std::uint32_t> find_crowded(const BuildSpace& space, const Leaves& leaves, unsigned threads, const Cancel& cancel) {
  std::vector<std::uint32_t> crowded;
  for (std::uint32_t start = 0; start < space.size(); start += kChunk) {
    std::vector<std::uint32_t> nodes(std::min<std::size_t>(kChunk, space.size() - start));
    std::iota(nodes.begin(), nodes.end(), start);
    Candidates candidates(nodes.size());
    collect_candidates(space, {&leaves, 1}, nodes, Candidates::kKept, threads, cancel, candidates);
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (is_crowded(space, nodes[i], candidates.nearest(i))) crowded.push_back(nodes[i]);
  }
  return crowded;
}

/// Numbers nodes by their layers, highest first, and within a layer so that neighbors lie near each other.
void number(BuildSpace& space, const Leaves& leaves, const std::vector<std::uint8_t>& layer_of_node) {
  std::vector<std::uint32_t> order = leaf_order(leaves, space.size());
  std::ranges::stable_sort(order, std::greater<>{}, [&](std::uint32_t node) { return layer_of_node[node]; });
  space.reorder(order);
}

/// What an index holds besides its base.
struct Upper {
  std::vector<std::uint32_t> counts, links;
};

Network link_nodes(const BuildSpace& space, const HnswParams& params, const std::vector<std::uint32_t>& counts, unsigned threads, const Cancel& cancel,
                   std::atomic<std::uint64_t>* progress, std::uint64_t progress_total, Upper& upper) {
  LayeredLinks links(space.size(), counts, params.m);
  Inserter(space, links, params, threads, cancel).insert_all([&](std::size_t inserted) {
    if (progress) progress->store(progress_total * inserted / space.size() * 95 / 100);
  });
  Network network;
  // Whoever walks the base by itself begins at a sample of all nodes, since the first ones are those of the upper layers, drawn at random.
  network.n_entries = n_entries_for(space.size());
  std::vector<std::uint32_t> entries(network.n_entries);
  std::iota(entries.begin(), entries.end(), 0u);
  make_reachable(space, links[0], entries);
  for (std::uint32_t node = 0; node < space.size(); ++node) network.rows.push_back(space.row(node));
  upper = {counts, {links.upper().begin(), links.upper().end()}};
  network.links_per_node = 2 * params.m;
  network.links = std::move(links).take_base();
  return network;
}

Network build_network(const VectorBlock& block, Metric metric, const HnswParams& params, unsigned threads, const Cancel& cancel,
                      std::atomic<std::uint64_t>* progress, std::uint64_t progress_total, CopyGroups& groups, Upper& upper) {
  for (bool copies_are_grouped = false;;) {
    if (groups.representatives.empty()) return {.rows = {}, .links = {}, .links_per_node = 2 * params.m, .n_entries = 0};
    BuildSpace space(block, groups.representatives, metric, threads, cancel);
    std::vector<std::uint32_t> all(space.size());
    std::iota(all.begin(), all.end(), 0u);
    CarveParams carving = kCarve;
    carving.seed = params.seed;
    const Leaves leaves = carve(space, all, carving, threads, cancel);
    if (!copies_are_grouped &&
        group_near_copies(space, find_crowded(space, leaves, threads, cancel), kCarve.leaf_max, params.seed, threads, cancel, groups)) {
      copies_are_grouped = true;
      continue;
    }
    std::vector<std::uint8_t> layer_of_node;
    const auto counts = draw_layers(space.size(), params, layer_of_node);
    number(space, leaves, layer_of_node);
    return link_nodes(space, params, counts, threads, cancel, progress, progress_total, upper);
  }
}

std::vector<std::uint8_t> write(std::uint32_t n_rows, std::uint32_t m, const Upper& upper, std::vector<std::uint8_t> graph) {
  HnswHeader header{};
  std::memcpy(header.magic, kHnswMagic, sizeof header.magic);
  header.format = kHnswFormat;
  header.rows = n_rows;
  header.m = m;
  header.layers = static_cast<std::uint32_t>(upper.counts.size());
  header.graph = graph.size();
  const HnswLayout layout(header, upper.links.size() / m);
  header.size = layout.size;
  std::vector<std::uint8_t> buffer(layout.size);
  std::memcpy(buffer.data(), &header, sizeof header);
  static_assert(LinkTable::kFree == UpperLayers::kNone);
  std::ranges::copy(upper.counts, reinterpret_cast<std::uint32_t*>(buffer.data() + layout.counts));
  std::ranges::copy(upper.links, reinterpret_cast<std::uint32_t*>(buffer.data() + layout.upper_links));
  std::ranges::copy(graph, buffer.data() + layout.graph);
  return buffer;
}

}  // namespace

std::vector<std::uint8_t> build_hnsw(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const HnswParams& params,
                                     unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress) {
  check_build_rows(block, rows, metric);
  check_params(params);
  CopyGroups groups = group_equal_rows(block, rows, cancel);
  Upper upper;
  const Network network = build_network(block, metric, params, threads, cancel, progress, rows.size(), groups, upper);
  auto built = write(block.rows, params.m, upper, write_graph(block, metric, network, groups, params.codes, params.seed, threads, cancel));
  const Hnsw index = Hnsw::open(Blob(built, nullptr), block.rows);  // of the same bytes
  write_usual_beam(std::span(built).last(index.graph().size_bytes()), block, metric, &index.upper_layers(), threads, cancel);
  if (progress) progress->store(rows.size());
  return built;
}

std::size_t hnsw_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, const HnswParams& params, unsigned threads) {
  const std::size_t code = BuildSpace::bytes_per_node(dim, dtype), workers = std::max(1u, threads), m = params.m;
  const std::size_t base = rows * 8 * m, upper = rows * 8 + (std::size_t{64} << 10);  // rows / (m - 1) nodes in the mean, 4 m bytes each
  const std::size_t result = rows * (16 + 64) + 2 * base + upper + 4096;
  const std::size_t grouping = rows * (16 + 4 + 2 * 12), groups = rows * (4 + 2 * 12);
  const std::size_t encoding = rows * 8;
  // Members of the partition, and while it is made: choices, buckets twice, members.
  const std::size_t leaves = rows * 4 * kCarve.overlap * 5 + rows * 12, chunk = std::min(rows, kChunk);
  const std::size_t collecting = leaves + chunk * (Candidates::bytes_per_node() + 4);
  const std::size_t batch = std::max<std::size_t>(1, rows / kBatchShare) * m * 2;
  const std::size_t inserting = base + upper + rows * 5 + batch * (12 + 4 + 4) * 2 + workers * (rows / 8 + 4 * std::min<std::size_t>(rows, 1 << 20));
  const std::size_t repairing = base + upper + rows * 8;
  const std::size_t scratch = workers * (std::size_t{kCarve.leaf_max} * (code + 24) + leaf_scratch_bytes(kCarve.leaf_max) +
                                         2 * (std::size_t{params.ef_construct} + 512) * (code + 64) + 16 * std::size_t{dim}) +
                              40 * 8 * std::size_t{dim};
  const std::size_t building = groups + rows * code + std::max({encoding, collecting, inserting, repairing}) + scratch;
  const std::size_t codes = is_float(dtype) ? GraphCodes::build_bytes(rows, dim, dtype, params.codes) : 0;
  const std::size_t writing = groups + base + upper + rows * 8 + 2 * result + codes;
  return std::max({grouping, building, writing}) + (std::size_t{1} << 20);
}

}  // namespace vicino
