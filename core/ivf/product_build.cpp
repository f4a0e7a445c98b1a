// Making product codes: codewords by k-means, the measured error of the estimates, and then codes of all entries, piece by piece.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ivf/product_code.h"
#include "ivf/product_layout.h"
#include "ivf/rotation.h"
#include "util/errors.h"
#include "util/random.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr std::size_t kSamplePerCodeword = 128, kSampleMin = 4096;
constexpr int kRounds = 10, kRoundsWhileTurning = 3;
constexpr std::uint32_t kRotationDimsMax = 4096;
constexpr std::size_t kEntriesPerTask = 512, kEntriesPerPiece = 32768;  // whole blocks of 32
constexpr float kStretchMax = 4;  // codes that lose more than three quarters of a row say nothing
constexpr std::size_t kNoiseQueries = 64, kNoisePairs = 256;

using Source = ProductCodes::Source;

/// The mean of each list's rows, `stride` floats each.
std::vector<float> means_of(const Source& source, unsigned threads, const Cancel& cancel) {
  const std::size_t stride = source.space.stride(), n = source.starts.size() - 1;
  std::vector<float> means(n * stride);
  parallel_for(threads, n, [&](std::size_t list, std::size_t) {
    cancel.check();
    std::vector<float> row(stride);
    float* mean = means.data() + list * stride;
    const float share = 1 / static_cast<float>(source.starts[list + 1] - source.starts[list]);
    for (std::size_t entry = source.starts[list]; entry < source.starts[list + 1]; ++entry) {
      source.space.fit(source.vectors, source.entries[entry], row.data());
      kernels().combine_vectors(mean, 1.0f, row.data(), share, stride, mean);
    }
  });
  return means;
}

/// Reads what the mean of its list leaves of an entry.
class Remainders {
 public:
  Remainders(const Source& source, const std::vector<float>& means) : source_(source), means_(means), stride_(source.space.stride()) {}

  /// `out` has `stride` floats. |c + r|^2 as well, unless `square` is null.
  void read(std::size_t entry, float* out, float* square) {
    source_.space.fit(source_.vectors, source_.entries[entry], out);
    if (square) *square = kernels().sum_vectors(out, out, stride_).square;
    kernels().combine_vectors(out, 1.0f, means_.data() + list_of(entry) * stride_, -1.0f, stride_, out);
  }
  std::size_t list_of(std::size_t entry) {
    // Entries are read in order, mostly.
    if (entry < source_.starts[list_] || entry >= source_.starts[list_ + 1])
      list_ = static_cast<std::size_t>(std::ranges::upper_bound(source_.starts, entry) - source_.starts.begin()) - 1;
    return list_;
  }

 private:
  const Source& source_;
  const std::vector<float>& means_;
  std::size_t stride_, list_ = 0;
};

/// k-means of one subvector of some rows, `width` floats each. Starts from the codebook if it has one.
void train_codebook(const ProductShape& shape, const std::vector<float>& points, float* codebook, bool is_trained, int rounds, Random& random) {
  const std::size_t n = shape.codewords(), width = shape.width(), count = points.size() / width;
  const auto set_to_point = [&](std::size_t c, std::size_t point) {
    for (std::size_t j = 0; j < width; ++j) codebook[j * n + c] = points[point * width + j];
  };
  if (!is_trained)
    for (std::size_t c = 0; c < n; ++c) {
      const std::size_t begin = count * c / n, end = std::max(begin + 1, count * (c + 1) / n);
      set_to_point(c, std::min(begin + random.below(static_cast<std::uint32_t>(end - begin)), count - 1));
    }
  std::vector<double> sums(n * width);
  std::vector<std::uint32_t> members(n);
  for (int round = 0; round < rounds; ++round) {
    std::ranges::fill(sums, 0.0);
    std::ranges::fill(members, 0u);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t c = kernels().nearest_codeword(points.data() + i * width, codebook, width, n);
      ++members[c];
      for (std::size_t j = 0; j < width; ++j) sums[c * width + j] += points[i * width + j];
    }
    for (std::size_t c = 0; c < n; ++c) {
      if (!members[c]) set_to_point(c, random.below(static_cast<std::uint32_t>(count)));
      else
        for (std::size_t j = 0; j < width; ++j) codebook[j * n + c] = static_cast<float>(sums[c * width + j] / members[c]);
    }
  }
}

class Codebook {
 public:
  Codebook(const ProductShape& shape, std::uint64_t seed) : shape_(shape), seed_(seed), values_(shape.codebook_size()) {}

  /// Trains on rows of `row_size` floats.
  void train(const std::vector<float>& rows, std::size_t row_size, int rounds, unsigned threads, const Cancel& cancel) {
    const std::size_t width = shape_.width(), count = rows.size() / row_size;
    parallel_for(threads, shape_.subvectors, [&](std::size_t s, std::size_t) {
      cancel.check();
      std::vector<float> points(count * width);
      const std::size_t held = held_of(s);
      for (std::size_t i = 0; i < count; ++i) std::copy_n(rows.data() + i * row_size + s * width, held, points.data() + i * width);
      Random random(seed_ + s + 1);
      train_codebook(shape_, points, of(s), is_trained_, rounds, random);
    });
    is_trained_ = true;
  }
  /// Codeword of each subvector of one row; the row has room for padded_dim floats.
  void encode(const float* row, std::uint8_t* codes) const {
    for (std::size_t s = 0; s < shape_.subvectors; ++s)
      codes[s] = static_cast<std::uint8_t>(kernels().nearest_codeword(row + s * shape_.width(), values_.data() + s * shape_.width() * shape_.codewords(),
                                                                      shape_.width(), shape_.codewords()));
  }
  void decode(const std::uint8_t* codes, float* row) const {
    const std::size_t n = shape_.codewords(), width = shape_.width();
    for (std::size_t s = 0; s < shape_.subvectors; ++s)
      for (std::size_t j = 0; j < held_of(s); ++j) row[s * width + j] = values_[(s * width + j) * n + codes[s]];
  }
  const std::vector<float>& values() const { return values_; }

 private:
  float* of(std::size_t s) { return values_.data() + s * shape_.width() * shape_.codewords(); }
  /// Dimensions of a subvector that rows have.
  std::size_t held_of(std::size_t s) const {
    const std::size_t begin = s * shape_.width();
    return begin < shape_.dim ? std::min<std::size_t>(shape_.width(), shape_.dim - begin) : 0;
  }

  ProductShape shape_;
  std::uint64_t seed_;
  std::vector<float> values_;
  bool is_trained_ = false;
};

/// Writes the 4-bit codes of one entry into its block, whose bytes were zero.
void put_in_block(const std::uint8_t* codes, std::size_t subvectors, std::size_t place, std::uint8_t* block) {
  const std::size_t byte = 2 * (place % 8) + place / 8 % 2;
  for (std::size_t s = 0; s < subvectors; ++s) block[s * 16 + byte] |= static_cast<std::uint8_t>(place < 16 ? codes[s] : codes[s] << 4);
}

/// Entries of the lists by their places: some, or all in order.
struct Chosen {
  std::span<const std::uint32_t> places;  // empty: all
  std::size_t count;
  std::size_t operator[](std::size_t i) const { return places.empty() ? i : places[i]; }
};

/// Trained codewords, and the entries that they are to code.
class ProductBuilder final : public PlannedCodes {
 public:
  ProductBuilder(const Source& source, const IvfParams& params, unsigned threads, const Cancel& cancel)
      : source_(source), has_rotation_(params.kind == IvfKind::opq), seed_(params.seed), threads_(threads), cancel_(cancel),
        row_size_(source.space.stride()), means_(means_of(source, threads, cancel)),
        shape_(product_shape_for(has_rotation_ ? static_cast<std::uint32_t>(row_size_) : source.vectors.dim, params.subvectors, params.bits)),
        codebook_(shape_, params.seed) {
    train();
    noise_ = measure_noise();
  }

  std::size_t size() const override {
    return ProductLayout(header_of(source_.entries.size(), n_lists()), shape_, source_.vectors.dim).size;
  }
  void write(PieceWriter& out) override { write_of({{}, source_.entries.size()}, means_, out); }

 private:
  void train() {
    const std::size_t wanted = std::max(kSampleMin, kSamplePerCodeword * shape_.codewords());
    const std::size_t n = std::min(source_.entries.size(), has_rotation_ ? std::max<std::size_t>(wanted, 4 * row_size_) : wanted);
    std::vector<float> sample(n * row_size_);
    Remainders remainders(source_, means_);
    for (std::size_t i = 0; i < n; ++i) {
      if (i % 256 == 0) cancel_.check();
      remainders.read(source_.entries.size() * i / n, sample.data() + i * row_size_, nullptr);
    }
    if (has_rotation_) {
      const auto recode = [&](const std::vector<float>& turned) {
        codebook_.train(turned, row_size_, kRoundsWhileTurning, threads_, cancel_);
        return recoded(turned);
      };
      rotation_ = train_rotation(sample, static_cast<std::uint32_t>(row_size_), shape_.width(), recode, seed_, threads_, cancel_);
      sample = turn_rows(rotation_, static_cast<std::uint32_t>(row_size_), sample, threads_, cancel_);
    }
    codebook_.train(sample, row_size_, kRounds, threads_, cancel_);
    measure_stretch(sample, recoded(sample));
  }

  void measure_stretch(const std::vector<float>& rows, const std::vector<float>& coded) {
    double whole = 0, along = 0;
    for (std::size_t i = 0; i < rows.size(); i += row_size_) {
      const VectorSums sums = kernels().sum_vectors(rows.data() + i, coded.data() + i, row_size_);
      whole += sums.square;
      along += sums.product;
    }
    const auto stretch = static_cast<float>(whole / along);
    stretch_ = stretch >= 1 && stretch < kStretchMax ? stretch : 1;
  }

  std::vector<float> recoded(const std::vector<float>& rows) const {
    std::vector<float> out(rows.size());
    parallel_for(threads_, (rows.size() / row_size_ + kEntriesPerTask - 1) / kEntriesPerTask, [&](std::size_t task, std::size_t) {
      std::vector<float> row(std::max(row_size_, shape_.padded_dim()));
      std::vector<std::uint8_t> codes(shape_.subvectors);
      for (std::size_t i = task * kEntriesPerTask; i < std::min(rows.size() / row_size_, (task + 1) * kEntriesPerTask); ++i) {
        std::copy_n(rows.data() + i * row_size_, row_size_, row.data());
        codebook_.encode(row.data(), codes.data());
        codebook_.decode(codes.data(), out.data() + i * row_size_);
      }
    });
    return out;
  }

  bool has_squares() const { return source_.space.metric() == Metric::l2; }
  std::size_t n_lists() const { return source_.starts.size() - 1; }
  ProductHeader header_of(std::size_t entries, std::size_t lists) const {
    return {shape_.dim, shape_.subvectors, shape_.bits, has_rotation_, has_squares(), noise_, stretch_, 0, entries, lists};
  }

  /// Codes of some entries as an index of their own, with lists of these means, `row_size_` floats each.
  void write_of(const Chosen& chosen, const std::vector<float>& means, PieceWriter& out) const {
    const std::size_t start = out.size(), lists = means.size() / row_size_;
    const ProductHeader header = header_of(chosen.count, lists);
    const ProductLayout layout(header, shape_, source_.vectors.dim);
    out.value(header);
    for (std::size_t list = 0; list < lists; ++list) out.values(std::span(means).subspan(list * row_size_, source_.vectors.dim));
    out.pad_to(start + layout.codebook);
    out.values(codebook_.values());
    out.pad_to(start + layout.rotation);
    out.values(rotation_);
    out.pad_to(start + layout.squares);
    if (header.has_squares) write_squares(chosen, out);
    out.pad_to(start + layout.codes);
    write_codes(chosen, out);
    out.pad_to(start + layout.size);
  }

  /// Calls work(first, end) for parts of a piece of at most kEntriesPerPiece entries.
  template <class Work>
  void in_parts(std::size_t first, std::size_t count, Work&& work) const {
    parallel_for(threads_, (count + kEntriesPerTask - 1) / kEntriesPerTask, [&](std::size_t task, std::size_t) {
      cancel_.check();
      const std::size_t begin = first + task * kEntriesPerTask;
      work(begin, std::min(begin + kEntriesPerTask, first + count));
    });
  }

  void write_squares(const Chosen& chosen, PieceWriter& out) const {
    std::vector<float> squares;
    for (std::size_t first = 0; first < chosen.count; first += kEntriesPerPiece) {
      squares.resize(std::min(kEntriesPerPiece, chosen.count - first));
      in_parts(first, squares.size(), [&](std::size_t begin, std::size_t end) {
        std::vector<float> row(row_size_);
        for (std::size_t i = begin; i < end; ++i) {
          source_.space.fit(source_.vectors, source_.entries[chosen[i]], row.data());
          squares[i - first] = kernels().sum_vectors(row.data(), row.data(), row_size_).square;
        }
      });
      out.values(squares);
    }
  }

  void write_codes(const Chosen& chosen, PieceWriter& out) const {
    std::vector<std::uint8_t> codes;
    for (std::size_t first = 0; first < chosen.count; first += kEntriesPerPiece) {
      const std::size_t count = std::min(kEntriesPerPiece, chosen.count - first);
      codes.assign(shape_.code_bytes(count), 0);
      in_parts(first, count, [&](std::size_t begin, std::size_t end) { encode(chosen, begin, end, first, codes.data()); });
      out.values(codes);
    }
  }

  /// Codes of entries begin .. end into a piece that starts at entry `first`.
  void encode(const Chosen& chosen, std::size_t begin, std::size_t end, std::size_t first, std::uint8_t* piece) const {
    Remainders remainders(source_, means_);
    std::vector<float> row(row_size_), turned(std::max(row_size_, shape_.padded_dim()));
    std::vector<std::uint8_t> code(shape_.subvectors);
    for (std::size_t i = begin; i < end; ++i) {
      remainders.read(chosen[i], row.data(), nullptr);
      if (has_rotation_) turn(rotation_, static_cast<std::uint32_t>(row_size_), row.data(), turned.data());
      else std::copy_n(row.data(), row_size_, turned.data());
      codebook_.encode(turned.data(), code.data());
      const std::size_t at = i - first;
      if (shape_.bits == 4) put_in_block(code.data(), shape_.subvectors, at % 32, piece + at / 32 * shape_.places() * 16);
      else std::memcpy(piece + at * shape_.subvectors, code.data(), shape_.subvectors);
    }
  }

  /// The error of <v, r'> that 99 % of the pairs stay below, per unit of |v|. Pairs are of one list, as rows that a search decides between are
  /// near the query: k-means shortens what it codes, which shows along the row itself. Their codes are an index with a list for each query.
  float measure_noise() const {
    const std::size_t n = source_.entries.size(), n_queries = std::min(kNoiseQueries, n);
    Remainders remainders(source_, means_);
    std::vector<std::uint32_t> places;
    std::vector<std::size_t> starts;
    std::vector<float> means;
    for (std::size_t q = 0; q < n_queries; ++q) {
      const std::size_t list = remainders.list_of(n * q / n_queries), first = source_.starts[list];
      const std::size_t count = std::min<std::size_t>(source_.starts[list + 1] - first, kNoisePairs);
      starts.push_back(places.size());
      for (std::size_t i = 0; i < count; ++i) places.push_back(static_cast<std::uint32_t>(first + i));
      means.insert(means.end(), means_.begin() + static_cast<std::ptrdiff_t>(list * row_size_),
                   means_.begin() + static_cast<std::ptrdiff_t>((list + 1) * row_size_));
    }
    starts.push_back(places.size());
    const auto bytes = gathered([&](PieceWriter& out) { write_of({places, places.size()}, means, out); });
    const auto codes = ProductCodes::open(bytes, places.size(), static_cast<std::uint32_t>(n_queries), source_.vectors.dim);
    std::vector<float> ratios;
    for (std::size_t q = 0; q < n_queries; ++q) {
      cancel_.check();
      const auto pairs = std::span(places).subspan(starts[q], starts[q + 1] - starts[q]);
      add_ratios(*codes, n * q / n_queries, static_cast<std::uint32_t>(q), starts[q], pairs, remainders, ratios);
    }
    if (ratios.empty()) return 1;
    const auto at = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() * 99 / 100);
    std::nth_element(ratios.begin(), at, ratios.end());
    return std::isfinite(*at) ? *at : 1;
  }

  /// How far estimates are off that entry `own`, as a query, gets of entries of its list. These are those from `first` of list `list` of `codes`.
  void add_ratios(const ProductCodes& codes, std::size_t own, std::uint32_t list, std::size_t first, std::span<const std::uint32_t> pairs,
                  Remainders& remainders, std::vector<float>& ratios) const {
    const auto gain = has_squares() ? 0.5f : 1.0f;  // either makes an estimate base - <v, r'>
    ProductQuery query;
    query.vector.resize(row_size_);
    source_.space.fit(source_.vectors, source_.entries[own], query.vector.data());
    if (!has_squares()) kernels().combine_vectors(query.vector.data(), 1.0f, source_.space.mean().data(), 1.0f, row_size_, query.vector.data());
    const float length = std::sqrt(kernels().sum_vectors(query.vector.data(), query.vector.data(), row_size_).square);
    if (!(length > 0)) return;
    codes.prepare(0, gain, query);
    std::vector<float> estimates(pairs.size()), row(row_size_);
    codes.score(query, list, first, pairs.size(), estimates.data());
    const float* mean = means_.data() + remainders.list_of(own) * row_size_;
    const float along = kernels().sum_vectors(mean, query.vector.data(), row_size_).product;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i] == own) continue;
      float square;
      remainders.read(pairs[i], row.data(), &square);
      const float product = along + kernels().sum_vectors(row.data(), query.vector.data(), row_size_).product;
      ratios.push_back(std::fabs(estimates[i] - ((has_squares() ? 0.5f * square : 0.0f) - product)) / length);
    }
  }

  Source source_;
  bool has_rotation_;
  std::uint64_t seed_;
  unsigned threads_;
  const Cancel& cancel_;
  std::size_t row_size_;  // floats of a remainder
  std::vector<float> means_;
  ProductShape shape_;
  Codebook codebook_;
  std::vector<float> rotation_;
  float stretch_ = 1, noise_ = 0;
};

}  // namespace

ProductShape product_shape_for(std::uint32_t dim, std::uint32_t subvectors, std::uint32_t bits) {
  if (subvectors == 0) subvectors = std::max(1u, bits == 4 ? (dim + 1) / 2 : (dim + 7) / 8);
  return {dim, std::min(subvectors, dim), bits};
}

void check_product_shape(std::uint32_t dim, std::uint32_t subvectors, std::uint32_t bits, bool has_rotation) {
  if (bits != 4 && bits != 8) throw InvalidArgument("bits of a subvector must be 4 or 8, got " + std::to_string(bits));
  if (subvectors > dim)
    throw InvalidArgument("subvectors must be at most the number of dimensions, " + std::to_string(dim) + ", got " + std::to_string(subvectors));
  if (has_rotation && dim > kRotationDimsMax)
    throw InvalidArgument("ivf_opq takes at most " + std::to_string(kRotationDimsMax) + " dimensions, got " + std::to_string(dim) + "; use ivf_pq");
}

std::unique_ptr<PlannedCodes> ProductCodes::plan(const Source& source, const IvfParams& params, unsigned threads, const Cancel& cancel) {
  return std::make_unique<ProductBuilder>(source, params, threads, cancel);
}

std::size_t ProductCodes::build_bytes(std::size_t entries, std::size_t lists, std::uint32_t dim, const IvfParams& params, unsigned threads) {
  const bool has_rotation = params.kind == IvfKind::opq;
  const std::size_t stride = ClusterSpace::stride_of(dim), workers = std::max(1u, threads);
  const ProductShape shape = product_shape_for(has_rotation ? static_cast<std::uint32_t>(stride) : dim, params.subvectors, params.bits);
  const std::size_t sample = std::min(entries, std::max({kSampleMin, kSamplePerCodeword * shape.codewords(), has_rotation ? 4 * stride : 0}));
  // The sample, its turned form, both transposed and the coded one; matrices of the iteration; codewords and their sums.
  return sample * stride * sizeof(float) * (has_rotation ? 5 : 1) + (has_rotation ? 6 * stride * stride * sizeof(float) : 0) +
         2 * shape.codebook_size() * sizeof(float) + workers * (sample * shape.width() * sizeof(float) + stride * 16) +
         2 * lists * stride * sizeof(float) + 2 * (shape.code_bytes(kEntriesPerPiece) + kEntriesPerPiece * sizeof(float)) +
         kNoiseQueries * stride * sizeof(float) + (std::size_t{1} << 20);
}

}  // namespace vicino
