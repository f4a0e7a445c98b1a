#include "shard/batch.h"

#include <algorithm>
#include <limits>

#include "util/byte_io.h"

namespace vicino {

namespace {

void append_column(std::string& out, const BytesToWrite& column) {
  append_bytes(out, {reinterpret_cast<const std::uint8_t*>(column.offsets.data()), column.offsets.size() * sizeof(std::uint32_t)});
  out += column.data;
}

/// A payload put together piece by piece, or, without memory to write to, only measured. So a large one is copied once.
class Pieces {
 public:
  explicit Pieces(std::uint8_t* out) : out_(out) {}
  std::size_t size() const { return size_; }

  void put(const void* data, std::size_t size) {
    if (out_ && size) std::memcpy(out_ + size_, data, size);
    size_ += size;
  }
  template <class T>
  void value(T value) { put(&value, sizeof value); }
  void column(const BytesToWrite& column) {
    put(column.offsets.data(), column.offsets.size() * sizeof(std::uint32_t));
    put(column.data.data(), column.data.size());
  }

 private:
  std::uint8_t* out_;
  std::size_t size_ = 0;
};

void put_upsert(Pieces& out, const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns,
                std::span<const ValuesToWrite> values) {
  out.value(static_cast<std::uint32_t>(ids.offsets.size() - 1));
  out.value(static_cast<std::uint32_t>(columns.size()));
  out.column(ids);
  out.column(documents);
  for (const auto& column : columns) {
    out.value(column.spec.slot);
    out.value(column.spec.dim);
    out.value(static_cast<std::uint8_t>(column.spec.dtype));
    out.value(static_cast<std::uint8_t>(column.spec.metric));
    out.value(static_cast<std::uint8_t>(!column.presence.empty()));
    out.value(std::uint8_t{0});
    out.put(column.presence.data(), column.presence.size() * 8);
    out.put(column.rows.data(), column.rows.size());
  }
  if (values.empty()) return;
  out.value(static_cast<std::uint32_t>(values.size()));
  for (const auto& [spec, column] : values) {
    out.value(spec.slot);
    out.value(spec.dim);
    out.value(static_cast<std::uint8_t>(spec.kind));
    out.value(static_cast<std::uint8_t>(spec.dtype));
    out.value(static_cast<std::uint8_t>(spec.metric));
    out.value(std::uint8_t{0});
    out.column(column);
  }
}

ByteColumn read_column(ByteReader& in, std::uint32_t n) {
  ByteColumn column;
  const Bytes raw = in.take((std::size_t{n} + 1) * sizeof(std::uint32_t));
  column.offsets.resize(std::size_t{n} + 1);
  std::memcpy(column.offsets.data(), raw.data(), raw.size());
  if (column.offsets[0] != 0) in.fail("the first offset is not 0");
  for (std::uint32_t i = 0; i < n; ++i)
    if (column.offsets[i] > column.offsets[i + 1]) in.fail("offsets fall at " + std::to_string(i));
  column.data = in.take(column.offsets[n]);
  return column;
}

VectorColumn read_vectors(ByteReader& in, std::uint32_t n) {
  VectorColumn column;
  column.spec.slot = in.read<std::uint32_t>();
  column.spec.dim = in.read<std::uint32_t>();
  const auto dtype = in.read<std::uint8_t>();
  const auto metric = in.read<std::uint8_t>();
  const auto has_presence = in.read<std::uint8_t>();
  in.read<std::uint8_t>();
  if (dtype > static_cast<std::uint8_t>(Dtype::binary)) in.fail("unknown dtype " + std::to_string(dtype));
  if (metric > static_cast<std::uint8_t>(Metric::jaccard)) in.fail("unknown metric " + std::to_string(metric));
  if (column.spec.dim == 0 || column.spec.dim > 65536) in.fail("dimension " + std::to_string(column.spec.dim) + " is out of range");
  column.spec.dtype = static_cast<Dtype>(dtype);
  column.spec.metric = static_cast<Metric>(metric);
  if (!is_allowed(column.spec.metric, column.spec.dtype)) in.fail("metric and dtype do not go together");
  if (has_presence) {
    const Bytes words = in.take((std::size_t{n} + 63) / 64 * 8);
    column.presence.resize(words.size() / 8);
    std::memcpy(column.presence.data(), words.data(), words.size());
  }
  column.rows = in.take(std::size_t{n} * row_bytes(column.spec.dtype, column.spec.dim));
  return column;
}

ValueColumn read_values(ByteReader& in, std::uint32_t n) {
  ValueColumn column;
  column.spec.slot = in.read<std::uint32_t>();
  column.spec.dim = in.read<std::uint32_t>();
  const auto kind = in.read<std::uint8_t>(), dtype = in.read<std::uint8_t>(), metric = in.read<std::uint8_t>();
  in.read<std::uint8_t>();
  column.spec = value_spec(column.spec.slot, column.spec.dim, kind, dtype, metric, "log record (upsert)");
  column.values = read_column(in, n);
  for (std::uint32_t i = 0; i < n; ++i) check_value(column.spec, column.values[i], "log record (upsert)");
  return column;
}

void expect_end(const ByteReader& in) {
  if (in.remaining()) in.fail(std::to_string(in.remaining()) + " bytes too many");
}

}  // namespace

void BytesToWrite::add(Bytes bytes) {
  append_bytes(data, bytes);
  if (data.size() > std::numeric_limits<std::uint32_t>::max()) throw InvalidArgument("one commit holds at most 4 GiB of ids or of fields");
  offsets.push_back(static_cast<std::uint32_t>(data.size()));
}

std::size_t upsert_size(const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns,
                        std::span<const ValuesToWrite> values) {
  Pieces pieces(nullptr);
  put_upsert(pieces, ids, documents, columns, values);
  return pieces.size();
}

void encode_upsert(const BytesToWrite& ids, const BytesToWrite& documents, std::span<const VectorColumn> columns,
                   std::span<const ValuesToWrite> values, std::uint8_t* out) {
  Pieces pieces(out);
  put_upsert(pieces, ids, documents, columns, values);
}

std::string encode_delete(const BytesToWrite& ids) {
  std::string out;
  append_value(out, static_cast<std::uint32_t>(ids.offsets.size() - 1));
  append_column(out, ids);
  return out;
}

std::string encode_fields(const BytesToWrite& ids, const BytesToWrite& documents) {
  std::string out = encode_delete(ids);
  append_column(out, documents);
  return out;
}

UpsertBatch decode_upsert(Bytes payload, bool with_values) {
  ByteReader in(payload, "log record (upsert)");
  const auto n = in.read<std::uint32_t>();
  const auto n_columns = in.read<std::uint32_t>();
  UpsertBatch batch;
  batch.ids = read_column(in, n);
  batch.documents = read_column(in, n);
  for (std::uint32_t i = 0; i < n_columns; ++i) {
    VectorColumn column = read_vectors(in, n);
    if (std::ranges::any_of(batch.columns, [&](const VectorColumn& other) { return other.spec.slot == column.spec.slot; }))
      in.fail("vector slot " + std::to_string(column.spec.slot) + " comes twice");
    batch.columns.push_back(std::move(column));
  }
  const std::uint32_t n_values = with_values ? in.read<std::uint32_t>() : 0;
  for (std::uint32_t i = 0; i < n_values; ++i) {
    ValueColumn column = read_values(in, n);
    if (std::ranges::any_of(batch.values, [&](const ValueColumn& other) { return other.spec.slot == column.spec.slot; }))
      in.fail("value slot " + std::to_string(column.spec.slot) + " comes twice");
    batch.values.push_back(std::move(column));
  }
  expect_end(in);
  return batch;
}

DeleteBatch decode_delete(Bytes payload) {
  ByteReader in(payload, "log record (delete)");
  DeleteBatch batch{read_column(in, in.read<std::uint32_t>())};
  expect_end(in);
  return batch;
}

FieldsBatch decode_fields(Bytes payload) {
  ByteReader in(payload, "log record (fields)");
  const auto n = in.read<std::uint32_t>();
  FieldsBatch batch;
  batch.ids = read_column(in, n);
  batch.documents = read_column(in, n);
  expect_end(in);
  return batch;
}

}  // namespace vicino
