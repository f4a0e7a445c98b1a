// Inverted lists over the rows of one sealed segment, in one self-contained buffer: rows near each other share a list, and a search scans
// the `nprobe` lists nearest to the query. Built many times faster than a graph, with a few bytes per row beside the rows themselves, and
// read in long runs, which is what disks and small memories want.
//
// What a list holds decides what a scan costs:
//   flat    row numbers; the rows themselves are scored
//   coded   the nested code (codes/ladder.h): blocks of 1-bit codes first, then 4-bit codes of the rows whose bound leaves a chance
//   pq      product codes of what the centroid leaves of a row (product_code.h), 4 bits by table lookups in registers, or 8 bits
//   opq     the same after a rotation trained to lose least
// What codes leave over is scored on the rows, as far as the error of the code leaves a chance, or a fixed number of them.
//
// With thousands of lists their centroids are nodes of a graph (index/graph.h), which finds the nearest of them ("IVF-HNSW"). A row may be
// in a second list, where its neighbors behind a border look for it.
//
//   header 128   ivf_layout.h
//   mean         f32 * dim               of the cluster space
//   centroids    i8 * lists * stride     codes of the cluster space
//   norms, scales, extras, sums          4 bytes * lists each
//   values       f32 * lists * width     centroids as floats; only with a graph over them
//   starts       u64 * (lists + 1)       list i is entries starts[i] .. starts[i + 1]
//   rows         u32 * entries           rows of each list, ascending
//   graph        over the centroids, or nothing
//   codes        list_codes.h or product_code.h, or nothing
// Each part starts at a multiple of 64. Small parts are checked when the buffer is opened, rows as they are read.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/graph.h"
#include "ivf/cluster_space.h"
#include "kernels/vectors.h"
#include "util/blob.h"
#include "util/cancel.h"
#include "util/piece_writer.h"
#include "util/read_ahead.h"
#include "util/top_k.h"

namespace vicino {

enum class IvfKind : std::uint8_t { flat, coded, pq, opq };
const char* name_of(IvfKind kind);
/// Whether lists of such rows can be of another kind than flat.
constexpr bool can_have_codes(Metric metric, Dtype dtype) { return is_float(dtype) && metric != Metric::l1; }

/// Whether the centroids have a graph over them.
enum class CentroidGraph : std::uint8_t { automatic, no, yes };

struct IvfParams {
  IvfKind kind = IvfKind::flat;
  std::uint32_t nlist = 0;  // 0: ivf_lists_for
  CentroidGraph graph = CentroidGraph::automatic;
  std::uint32_t subvectors = 0;  // pq and opq; 0: two dimensions each at 4 bits, eight at 8 bits
  std::uint32_t bits = 4;        // of a subvector: 4 or 8
  std::uint32_t copies = 0;      // 1: rows at a border are in a second list
  std::uint64_t seed = 0;
  std::uint32_t sample = 64;  // rows a list that centroids are trained on
};

/// Of centroids when they were trained: mean squared distance of a row from the nearest, and how many rows there were; 0 unknown.
struct ListTraining {
  float distance = 0;
  std::uint32_t rows = 0;
};

struct IvfEffort {
  std::size_t nprobe = 1;
  /// Rows scored exactly after a scan over codes; 0: as many as the error bound of the codes asks for.
  std::size_t rescore = 0;
  /// None is: distances are what the codes say, of the `rescore` nearest.
  bool estimates = false;
};

class Ivf;

/// Lists for so many rows when nobody says: about 4 sqrt(n).
std::uint32_t ivf_lists_for(std::size_t rows);

/// Builds the lists of `rows` (ascending rows of the block that have a vector). The same rows, order and parameters give the same bytes
/// for any number of threads. `trained`, if given, lends its centroids instead of training anew: for rows much like those it was built from.
/// Lists hold at most four times the mean number of rows: larger ones are cut, so that there may be more than asked for.
/// progress, if given, rises to rows.size(). Throws Cancelled; InvalidArgument for a kind that does not go with the rows or the metric.
std::vector<std::uint8_t> build_ivf(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params,
                                    unsigned threads, const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained = nullptr);

/// The same bytes handed on piece by piece.
void write_ivf(const VectorBlock& block, std::span<const std::uint32_t> rows, Metric metric, const IvfParams& params, unsigned threads,
               const Cancel& cancel, std::atomic<std::uint64_t>* progress, const Ivf* trained, PieceWriter& out);

/// Upper bound of the memory that writing an index allocates; the block and what is written are not in it.
std::size_t ivf_build_bytes(std::size_t rows, std::uint32_t dim, Dtype dtype, Metric metric, const IvfParams& params, unsigned threads);

struct Centroids;
class ListCodes;
class ProductCodes;

class Ivf {
 public:
  Ivf() = default;
  /// Throws CorruptionError unless the buffer is an index over a segment of n_rows rows, FormatError when it is of a newer format.
  static Ivf open(Blob buffer, std::uint32_t n_rows);

  /// Offers `nearest` allowed rows near the query, as first_row + row; bit i of `allowed` is row i, null allows all. Lists without an
  /// allowed row are passed over and do not count; while fewer than k allowed rows were seen, further lists are scanned.
  /// Adds to `stats`, whose hops are lists here. Safe to call from many threads. Throws Cancelled, and CorruptionError for a damaged list.
  void search(const PreparedQuery& query, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort, TopK& nearest,
              SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0) const;

  /// The same for many queries, nearest[i] for queries[i]. Rows of a list that several of them probe are read from memory once.
  void search_batch(std::span<const PreparedQuery> queries, const VectorBlock& block, const std::uint64_t* allowed, const IvfEffort& effort,
                    std::span<TopK> nearest, SearchStats& stats, const Cancel& cancel, std::uint64_t first_row = 0) const;

  /// Reads and checks every byte: rows in range, every row at most once in a list and in at most two. Throws CorruptionError.
  void verify() const;

  IvfKind kind() const { return kind_; }
  /// Whether `search_batch` reads lists once for many queries, so that large batches are faster than small ones.
  bool shares_lists() const;
  std::uint32_t n_rows() const { return n_rows_; }
  std::uint32_t nlist() const { return n_lists_; }
  /// Rows in lists, those in two lists twice.
  std::size_t n_entries() const { return rows_.size(); }
  bool has_centroid_graph() const { return graph_ != nullptr; }
  std::size_t size_bytes() const { return buffer_.size(); }
  /// What scans read, the rows apart.
  std::size_t hot_bytes() const;

  /// How unequal lists are: a row's list is so many times larger than the mean list, on average over rows; 1 when all are equal.
  double imbalance() const;
  /// Mean squared distance of a row from the centroid of its list, in the cluster space (unit vectors for cosine, else rows over the
  /// largest norm): as it was when the centroids were trained, and of the rows that are in the lists now.
  const ListTraining& training() const { return training_; }
  double mean_distance() const { return mean_distance_; }
  /// Lists to probe for a recall of 0.95 at 10, measured on rows of its own when it was built; 0 where they were too few to tell.
  std::uint32_t nprobe() const { return nprobe_; }
  const ClusterSpace& space() const { return space_; }
  /// The centroids as floats, to about a hundredth of their largest coordinate.
  Centroids centroids() const;

 private:
  friend class IvfSearch;
  friend class IvfBatch;
  friend class Probing;
  std::span<const std::uint32_t> rows_of(std::uint32_t list) const;
  /// Asks for what a scan of these lists, the lower halves of the keys, is about to read.
  void read_lists_ahead(std::span<const std::uint64_t> keys, const VectorBlock& block) const;
  void read_rows_ahead(std::uint32_t list, const VectorBlock& block) const;
  void check_block(const VectorBlock& block, Metric metric) const;
  void check_small_parts() const;

  Blob buffer_;
  IvfKind kind_ = IvfKind::flat;
  std::uint32_t n_rows_ = 0, n_lists_ = 0;
  bool has_copies_ = false;
  std::uint32_t nprobe_ = 0;
  ListTraining training_;
  float mean_distance_ = 0;
  ClusterSpace space_;
  PointView centroids_;
  std::span<const float> values_;
  std::span<const std::uint64_t> starts_;
  std::span<const std::uint32_t> rows_;
  std::shared_ptr<const Graph> graph_;       // over the centroids; null: all are scored
  std::shared_ptr<const ListCodes> codes_;   // of kind coded
  std::shared_ptr<const ProductCodes> products_;  // of kinds pq and opq
  std::shared_ptr<ColdReads> reads_ = std::make_shared<ColdReads>();
};

}  // namespace vicino
