#include "shard/vector_index.h"

#include <algorithm>
#include <initializer_list>

#include "fields/unicode.h"
#include "storage/checksum.h"
#include "util/errors.h"

namespace vicino {

namespace {

/// The lists that a kind stands for. Throws InvalidArgument for a kind that there is not.
IvfParams lists_of(const VectorIndexParams& params) {
  IvfParams lists;
  const bool is_nested = params.kind == "ivf" || params.kind == "ivf_hnsw";
  if (params.kind == "ivf_flat" || (is_nested && params.codes == "none")) lists.kind = IvfKind::flat;
  else if (is_nested && params.codes == "pq") lists.kind = IvfKind::pq;
  else if (is_nested) lists.kind = IvfKind::coded;
  else if (params.kind == "ivf_pq") lists.kind = IvfKind::pq;
  else if (params.kind == "ivf_opq") lists.kind = IvfKind::opq;
  else throw InvalidArgument("there is no index of kind \"" + params.kind + "\"");
  lists.graph = params.kind == "ivf_hnsw" ? CentroidGraph::yes : CentroidGraph::automatic;
  lists.nlist = params.nlist;
  lists.subvectors = params.subvectors;
  lists.bits = params.bits;
  lists.copies = params.copies ? 1 : 0;
  lists.sample = params.sample;
  return lists;
}

// New rows more than this many times as far (squared) from their centroids as new rows of the same kind are, want centroids of their own, unless
// they are very few; and so do lists that are fewer than those wanted by more than this factor (docs/design/0009-ivf.md).
constexpr double kDriftMax = 1.08, kNewShareMin = 0.002, kListsRatioMax = 1.5;

bool keeps_centroids(const IvfParams& params, std::size_t rows, const Ivf& before) {
  const double wanted = params.nlist ? params.nlist : ivf_lists_for(rows);
  return wanted <= kListsRatioMax * before.nlist() && before.nlist() <= kListsRatioMax * wanted;
}

/// How much farther than the rows that `rows_per_list` were trained on new rows of the same kind are: a mean is near to those it is the mean of.
double usual_of_new_rows(double rows_per_list) { return (1 + 1 / rows_per_list) / (1 - 1 / rows_per_list); }

bool has_drifted(const ListPlan& plan, const std::function<bool(std::uint32_t)>& is_new) {
  const double rows_per_list = std::max(2.0, static_cast<double>(plan.training.rows) / static_cast<double>(plan.lists.size()));
  const double limit = kDriftMax * usual_of_new_rows(rows_per_list) * plan.training.distance;
  double total = 0;
  std::size_t n_new = 0;
  for (std::size_t i = 0; i < plan.lists.rows.size(); ++i) {
    if (!is_new(plan.lists.rows[i])) continue;
    total += plan.lists.distances[i];
    ++n_new;
  }
  return static_cast<double>(n_new) > kNewShareMin * static_cast<double>(plan.lists.rows.size()) &&
         total / static_cast<double>(n_new) > limit;
}

NodeCodes node_codes_of(const VectorIndexParams& params) {
  if (params.codes == "none") return NodeCodes::none;
  return params.codes == "8bit" ? NodeCodes::bits8 : NodeCodes::bits4;
}

GraphParams graph_of(const VectorIndexParams& params) {
  GraphParams graph;
  graph.codes = node_codes_of(params);
  return graph;
}

HnswParams hnsw_of(const VectorIndexParams& params) { return {params.m, params.ef_construct, 0, node_codes_of(params)}; }

CodeLevel level_of(const VectorIndexParams& params) {
  if (params.codes == "1bit") return CodeLevel::bits1;
  return params.codes == "8bit" ? CodeLevel::bits8 : CodeLevel::bits4;
}

/// Codes that a kind cannot have are no codes of a build.
void check_codes(const VectorIndexParams& params) {
  const auto is_one_of = [](const std::string& name, std::initializer_list<const char*> names) { return std::ranges::find(names, name) != names.end(); };
  const bool fits = params.kind == "flat"                            ? is_one_of(params.codes, {"1bit", "4bit", "8bit"})
                    : is_one_of(params.kind, {"graph", "hnsw"})      ? is_one_of(params.codes, {"auto", "4bit", "8bit", "none"})
                    : is_one_of(params.kind, {"ivf", "ivf_hnsw"})    ? is_one_of(params.codes, {"auto", "4bit", "pq", "none"})
                    : is_one_of(params.kind, {"ivf_pq", "ivf_opq"})  ? is_one_of(params.codes, {"auto", "pq"})
                    : params.kind == "ivf_flat"                      ? is_one_of(params.codes, {"auto", "none"})
                                                                     : true;  // of an unknown kind, which lists_of refuses
  if (!fits) throw InvalidArgument("an index of kind \"" + params.kind + "\" has no codes \"" + params.codes + "\"");
}

void check_layout(const VectorIndexParams& params) {
  if (params.layout == "memory") return;
  if (params.layout != "disk") throw InvalidArgument("an index is laid out for \"memory\" or \"disk\", not for \"" + params.layout + "\"");
  if (params.kind != "graph" || (params.codes != "auto" && params.codes != "4bit"))
    throw InvalidArgument("a graph with 4-bit codes can be laid out for disk, not an index of kind \"" + params.kind + "\" with codes \"" + params.codes + "\"");
}

}  // namespace

std::shared_ptr<const VectorIndex> VectorIndex::open(const Container& container, std::uint32_t n_rows) {
  const auto index = std::make_shared<VectorIndex>();
  if (auto lists = container.find("lists")) {
    index->lists_ = Ivf::open(std::move(*lists), n_rows);
  } else if (auto codes = container.find("codes")) {
    index->codes_ = FlatCodes::open(std::move(*codes), n_rows);
  } else if (auto hnsw = container.find("hnsw")) {
    if (Hnsw::is_outdated(*hnsw)) return nullptr;
    index->hnsw_ = Hnsw::open(std::move(*hnsw), n_rows);
    index->graph_ = std::make_unique<HeldGraph>(index->hnsw_->graph());
  } else {
    Blob graph = container.section("graph");
    if (Graph::is_outdated(graph)) return nullptr;
    index->graph_ = std::make_unique<HeldGraph>(Graph::open(std::move(graph), n_rows));
    if (auto pages = container.find("pages")) index->pages_ = PageGraph::open(std::move(*pages), index->graph_->graph());
  }
  if (const auto made = container.find("made")) {
    index->made_.assign(reinterpret_cast<const char*>(made->bytes().data()), made->bytes().size());
    if (!is_valid_utf8(index->made_))
      throw CorruptionError(container.name() + ": section \"made\" is no UTF-8 text; restore the folder from a snapshot or a copy");
    index->identity_ = std::uint64_t{crc32c(made->bytes())} << 32;
  }
  return index;
}

void VectorIndex::verify(const VectorBlock& block) const {
  if (hnsw_) hnsw_->verify();
  else if (graph_) graph_->graph().verify();
  if (pages_) pages_->verify(graph_->graph(), block);
  if (lists_) lists_->verify();
  if (codes_) codes_->verify();
}

const char* section_of(const VectorIndexParams& params) {
  if (params.kind == "flat") return "codes";
  if (params.kind == "graph") return "graph";
  return params.kind == "hnsw" ? "hnsw" : "lists";
}

void write_vector_index(const VectorIndexParams& params, const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric,
                        unsigned threads, const Cancel& cancel, PieceWriter& out) {
  check_codes(params);
  check_layout(params);
  if (params.layout == "disk") expect_pages_possible(metric, block.dtype, block.dim);
  if (params.kind == "flat") out.values(build_flat_codes(block, rows, metric, level_of(params), threads, cancel));
  else if (params.kind == "graph") out.values(build_graph(block, rows, metric, graph_of(params), threads, cancel, nullptr));
  else if (params.kind == "hnsw") out.values(build_hnsw(block, rows, metric, hnsw_of(params), threads, cancel, nullptr));
  else write_ivf(block, rows, metric, lists_of(params), threads, cancel, nullptr, nullptr, out);
}

ListPlan plan_vector_lists(const VectorIndexParams& params, const VectorRows& vectors, std::span<const std::uint32_t> rows, Metric metric,
                           unsigned threads, const Cancel& cancel, const ListsBefore& before) {
  const IvfParams lists = lists_of(params);
  if (before.lists && keeps_centroids(lists, rows.size(), *before.lists)) {
    ListPlan plan = plan_lists(vectors, rows, metric, lists, threads, cancel, nullptr, before.lists);
    if (!has_drifted(plan, before.is_new)) return plan;
  }
  return plan_lists(vectors, rows, metric, lists, threads, cancel, nullptr, nullptr);
}

void write_planned_lists(const VectorIndexParams& params, const VectorBlock& block, ListPlan plan, Metric metric, unsigned threads,
                         const Cancel& cancel, PieceWriter& out) {
  write_ivf(block, std::move(plan), metric, lists_of(params), threads, cancel, out);
}

std::size_t vector_index_build_bytes(const VectorIndexParams& params, std::size_t rows, std::uint32_t dim, Dtype dtype, Metric metric,
                                     unsigned threads) {
  check_codes(params);
  check_layout(params);
  if (params.kind == "flat") return flat_codes_build_bytes(rows, dim, dtype, level_of(params));
  // The graph that blocks are made of is held twice, in pieces and as a whole: links with factors, codes, and a few numbers a row.
  const std::size_t held = params.layout == "disk" ? 2 * rows * (std::size_t{320} + dim / 2) : 0;
  if (params.kind == "graph") return graph_build_bytes(rows, dim, dtype, graph_of(params), threads) + held;
  if (params.kind == "hnsw") return hnsw_build_bytes(rows, dim, dtype, hnsw_of(params), threads);
  return ivf_build_bytes(rows, dim, dtype, metric, lists_of(params), threads);
}

}  // namespace vicino
