#include "maxsim/index.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "maxsim/lists.h"
#include "maxsim/tokens.h"
#include "util/byte_io.h"
#include "util/parallel.h"

namespace vicino {

namespace {

constexpr char kMagic[8] = {'V', 'M', 'A', 'X', 'S', 'I', 'M', '\n'};
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kRowsPerBatch = 64;

struct Header {
  char magic[8];
  std::uint32_t format;
  std::uint32_t dim;
  std::uint8_t dtype;
  std::uint8_t metric;
  std::uint8_t values_are_codes;
  std::uint8_t zero;
  std::uint32_t n_rows;
  std::uint64_t n_tokens;
  std::uint32_t n_centroids;
  std::uint32_t zero_too;
  std::uint64_t n_entries;
  std::uint8_t rest[16];
};
static_assert(sizeof(Header) == 64);

std::size_t code_stride(std::uint32_t dim) { return (static_cast<std::size_t>(dim) + 3) / 4 * 4; }
bool values_are_codes(const MultiSpec& spec) { return spec.dtype == Dtype::int8 && spec.dim % 4 == 0; }
std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

/// Where each part begins; the last is the size of all. Throws nothing: counts of a file are checked against its size before.
struct Layout {
  std::size_t starts, scales, corrections, residuals, norms, codes, centroids, steps, sums, lengths, list_starts, lists, end;

  Layout(const MultiSpec& spec, std::size_t n_rows, std::size_t n_tokens, std::size_t n_centroids, std::size_t n_entries) {
    std::size_t at = sizeof(Header);
    const auto place = [&](std::size_t count, std::size_t size) {
      const std::size_t begin = at;
      at = aligned(at + count * size);
      return begin;
    };
    starts = place(n_rows + 1, 8);
    scales = place(n_tokens, 4);
    corrections = place(n_tokens, 4);
    residuals = place(n_rows, 4);
    norms = place(n_rows, 4);
    codes = place(values_are_codes(spec) ? 0 : n_tokens, code_stride(spec.dim));
    centroids = place(n_centroids, vicino::wide_stride(spec.dim));
    steps = place(n_centroids, 4);
    sums = place(n_centroids, 4);
    lengths = place(n_centroids, 4);
    list_starts = place(n_centroids ? n_centroids + 1 : 0, 8);
    lists = place(n_entries, 4);
    end = at;
  }
};

template <class T>
std::span<const T> part(Bytes bytes, std::size_t offset, std::size_t count) {
  return {reinterpret_cast<const T*>(bytes.data() + offset), count};
}

float rounded_up(double value) { return std::nextafter(static_cast<float>(value * (1 + 1e-6)), __builtin_inff()); }

/// int8 values as they are: under cosine the scale makes the token's norm 1.
TokenCode take_token(std::span<const float> token, double factor) {
  TokenCode code;
  code.scale = static_cast<float>(factor);
  for (const float value : token) code.sum += static_cast<std::int32_t>(value);
  code.norm = norm_of(token) * code.scale;
  code.lost = std::fabs(code.scale - factor) * norm_of(token);
  return code;
}

/// Writes one image in place, row by row.
class Writer {
 public:
  Writer(const MultiSpec& spec, const Layout& layout, std::vector<std::uint8_t>& image) : spec_(spec), layout_(layout), image_(image) {}

  template <class T>
  T* at(std::size_t offset) { return reinterpret_cast<T*>(image_.data() + offset); }
  std::int8_t* code(std::uint64_t token) { return at<std::int8_t>(layout_.codes) + token * code_stride(spec_.dim); }

  void encode_row(std::uint32_t row, Bytes value, Tokens& tokens) {
    tokens.read(value);
    const std::uint64_t first = at<std::uint64_t>(layout_.starts)[row];
    double lost = 0, norm = 0;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const std::span token(tokens[t], spec_.dim);
      const double factor = spec_.metric == Metric::cosine ? inverse_norm_of(token) : 1;
      const TokenCode coded =
          values_are_codes(spec_) ? take_token(token, factor) : encode_token(token, factor, code(first + t), code_stride(spec_.dim));
      if (!std::isfinite(coded.lost))
        throw CorruptionError("token " + std::to_string(t) + " of row " + std::to_string(row) + " holds numbers that are not finite");
      at<float>(layout_.scales)[first + t] = static_cast<float>(coded.scale);
      at<std::int32_t>(layout_.corrections)[first + t] = static_cast<std::int32_t>(-128 * static_cast<std::int64_t>(coded.sum));
      lost = std::max(lost, coded.lost);
      norm = std::max(norm, coded.norm);
    }
    at<float>(layout_.residuals)[row] = lost > 0 ? rounded_up(lost) : 0;
    at<float>(layout_.norms)[row] = rounded_up(norm);
  }

  template <class T>
  void copy(std::size_t offset, const std::vector<T>& values) {
    if (!values.empty()) std::memcpy(image_.data() + offset, values.data(), values.size() * sizeof(T));
  }

 private:
  MultiSpec spec_;
  const Layout& layout_;
  std::vector<std::uint8_t>& image_;
};

CentroidLists lists_of(const MultiSpec& spec, Writer& writer, const Layout& layout, std::uint32_t n_rows, const RowBytes& value,
                       std::uint64_t seed, unsigned threads, const Cancel& cancel) {
  const auto* starts = writer.at<std::uint64_t>(layout.starts);
  CodedTokens tokens;
  tokens.n_tokens = starts[n_rows];
  tokens.dim = spec.dim;
  tokens.scales = writer.at<float>(layout.scales);
  tokens.row = [=](std::uint64_t token) {
    return static_cast<std::uint32_t>(std::upper_bound(starts, starts + n_rows + 1, token) - starts - 1);
  };
  if (values_are_codes(spec))
    tokens.code = [=, &spec](std::uint64_t token) {
      const auto row = static_cast<std::uint32_t>(std::upper_bound(starts, starts + n_rows + 1, token) - starts - 1);
      return reinterpret_cast<const std::int8_t*>(value(row).data()) + (token - starts[row]) * spec.dim;
    };
  else
    tokens.code = [&](std::uint64_t token) { return writer.code(token); };
  return build_lists(tokens, seed, threads, cancel);
}

std::uint32_t n_centroids_for(std::uint64_t n_tokens, const MultiIndexParams& params) {
  return n_tokens > 0 && n_tokens >= params.lists_from_tokens ? centroids_for(n_tokens) : 0;
}

}  // namespace

std::vector<std::uint8_t> build_multi_index(const MultiSpec& spec, std::uint32_t n_rows, const RowBytes& value, const MultiIndexParams& params,
                                            unsigned threads, const Cancel& cancel) {
  check_multi_spec(spec);
  std::vector<std::uint64_t> starts(n_rows + std::size_t{1});
  for (std::uint32_t row = 0; row < n_rows; ++row) starts[row + 1] = starts[row] + count_tokens(spec, value(row), row);
  const std::uint64_t n_tokens = starts.back();
  const std::uint32_t n_centroids = n_centroids_for(n_tokens, params);

  std::vector<std::uint8_t> image;
  image.reserve(Layout(spec, n_rows, n_tokens, n_centroids, n_centroids ? n_tokens : 0).end);  // lists are appended without a second copy
  const Layout bare(spec, n_rows, n_tokens, n_centroids, 0);
  image.resize(bare.end);
  Writer writer(spec, bare, image);
  writer.copy(bare.starts, starts);
  std::vector<Tokens> scratch(std::max(1u, threads), Tokens(spec));
  parallel_for(threads, (n_rows + kRowsPerBatch - 1) / kRowsPerBatch, [&](std::size_t batch, std::size_t worker) {
    if (threads <= 1 || cancel.cancelled()) cancel.check();
    const std::size_t end = std::min<std::size_t>(n_rows, (batch + 1) * kRowsPerBatch);
    for (std::size_t row = batch * kRowsPerBatch; row < end; ++row)
      writer.encode_row(static_cast<std::uint32_t>(row), value(static_cast<std::uint32_t>(row)), scratch[worker]);
  });

  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.format = kFormat;
  header.dim = spec.dim;
  header.dtype = static_cast<std::uint8_t>(spec.dtype);
  header.metric = static_cast<std::uint8_t>(spec.metric);
  header.values_are_codes = values_are_codes(spec);
  header.n_rows = n_rows;
  header.n_tokens = n_tokens;
  header.n_centroids = n_centroids;
  if (n_centroids) {
    const CentroidLists lists = lists_of(spec, writer, bare, n_rows, value, params.seed, threads, cancel);
    header.n_entries = lists.rows.size();
    image.resize(Layout(spec, n_rows, n_tokens, n_centroids, lists.rows.size()).end);
    writer.copy(bare.centroids, lists.codes);
    writer.copy(bare.steps, lists.steps);
    writer.copy(bare.sums, lists.sums);
    writer.copy(bare.lengths, lists.lengths);
    writer.copy(bare.list_starts, lists.starts);
    writer.copy(bare.lists, lists.rows);
  }
  std::memcpy(image.data(), &header, sizeof header);
  return image;
}

std::size_t multi_build_bytes(const MultiSpec& spec, std::uint32_t n_rows, std::uint64_t n_tokens, const MultiIndexParams& params, unsigned threads) {
  const std::size_t n_centroids = n_centroids_for(n_tokens, params), workers = std::max(1u, threads);
  std::size_t total = Layout(spec, n_rows, n_tokens, n_centroids, n_centroids ? n_tokens : 0).end + (n_rows + std::size_t{1}) * 8;
  if (n_centroids)  // assignments, lists, moving centroids, and what each worker multiplies
    total += n_tokens * 12 + n_centroids * (wide_stride(spec.dim) + spec.dim * 4 + 64 * 16 + 64) + workers * 128 * (wide_stride(spec.dim) + n_centroids * 4);
  return total;
}

MultiIndex MultiIndex::open(Blob image, const MultiSpec& spec, std::uint32_t n_rows, const std::string& what) {
  const Bytes bytes = image.bytes();
  ByteReader reader(bytes, what);
  const auto header = reader.read<Header>();
  if (std::memcmp(header.magic, kMagic, sizeof kMagic)) reader.fail("is no multi index");
  if (header.format > kFormat) throw FormatError(what + ": format " + std::to_string(header.format) + ", this version reads " + std::to_string(kFormat));
  if (header.format != kFormat || header.dim != spec.dim || header.dtype != static_cast<std::uint8_t>(spec.dtype) ||
      header.metric != static_cast<std::uint8_t>(spec.metric) || header.values_are_codes != values_are_codes(spec))
    reader.fail("belongs to another column");
  if (header.n_rows != n_rows) reader.fail("is over " + std::to_string(header.n_rows) + " rows, the segment has " + std::to_string(n_rows));
  // Every token takes 8 bytes, an entry 4 and a centroid more: larger counts cannot be true, and smaller ones cannot overflow the layout.
  if (header.n_tokens > bytes.size() / 8 || header.n_entries > bytes.size() / 4 || header.n_centroids > bytes.size() / 8)
    reader.fail("has " + std::to_string(bytes.size()) + " bytes, too few for " + std::to_string(header.n_tokens) + " tokens");
  const Layout layout(spec, n_rows, header.n_tokens, header.n_centroids, header.n_entries);
  if (layout.end != bytes.size()) reader.fail("has " + std::to_string(bytes.size()) + " bytes, expected " + std::to_string(layout.end));
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8) reader.fail("is not aligned");

  MultiIndex index;
  index.what_ = what;
  index.image_ = image;
  index.spec_ = spec;
  index.stride_ = code_stride(spec.dim);
  index.wide_ = vicino::wide_stride(spec.dim);
  index.starts_ = part<std::uint64_t>(bytes, layout.starts, n_rows + std::size_t{1});
  index.scales_ = part<float>(bytes, layout.scales, header.n_tokens);
  index.corrections_ = part<std::int32_t>(bytes, layout.corrections, header.n_tokens);
  index.residuals_ = part<float>(bytes, layout.residuals, n_rows);
  index.norms_ = part<float>(bytes, layout.norms, n_rows);
  if (!header.values_are_codes) index.codes_ = part<std::int8_t>(bytes, layout.codes, header.n_tokens * index.stride_);
  index.centroids_ = part<std::int8_t>(bytes, layout.centroids, header.n_centroids * index.wide_);
  index.steps_ = part<float>(bytes, layout.steps, header.n_centroids);
  index.sums_ = part<std::int32_t>(bytes, layout.sums, header.n_centroids);
  index.lengths_ = part<float>(bytes, layout.lengths, header.n_centroids);
  index.list_starts_ = part<std::uint64_t>(bytes, layout.list_starts, header.n_centroids ? header.n_centroids + std::size_t{1} : 0);
  index.lists_ = part<std::uint32_t>(bytes, layout.lists, header.n_entries);
  if (index.starts_[0] != 0 || index.starts_[n_rows] != header.n_tokens || !std::is_sorted(index.starts_.begin(), index.starts_.end()))
    reader.fail("rows do not begin in order");
  return index;
}

const std::int8_t* MultiIndex::codes(std::uint32_t row, const RowBytes& value) const {
  if (!codes_.empty()) return codes_.data() + starts_[row] * stride_;
  const Bytes bytes = value(row);
  if (bytes.size() != n_tokens_of(row) * stride_)
    throw CorruptionError(what_ + ": row " + std::to_string(row) + " has " + std::to_string(n_tokens_of(row)) + " tokens, its value " +
                          std::to_string(bytes.size()) + " bytes");
  return reinterpret_cast<const std::int8_t*>(bytes.data());
}

std::span<const std::uint32_t> MultiIndex::list(std::uint32_t centroid) const {
  const std::uint64_t begin = list_starts_[centroid], end = list_starts_[centroid + 1];
  if (begin > end || end > lists_.size())
    throw CorruptionError(what_ + ": list " + std::to_string(centroid) + " is " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
                          std::to_string(lists_.size()) + " entries");
  return lists_.subspan(begin, end - begin);
}

void MultiIndex::verify() const {
  for (std::uint32_t centroid = 0; centroid < n_centroids(); ++centroid) {
    const auto rows = list(centroid);
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i] >= n_rows() || (i && rows[i] <= rows[i - 1]))
        throw CorruptionError(what_ + ": list " + std::to_string(centroid) + " holds row " + std::to_string(rows[i]) + " out of order or range");
  }
}

}  // namespace vicino
