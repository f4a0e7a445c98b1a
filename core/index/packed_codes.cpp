#include "index/packed_codes.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "util/prefetch.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

constexpr std::size_t kLine = 64;
// How far ahead of its copy a code is asked for.
constexpr std::size_t kAhead = 16;

}  // namespace

std::shared_ptr<const PackedCodes> PackedCodes::make(std::shared_ptr<const GraphCodes> codes, std::span<const std::uint32_t> nodes) {
  const std::size_t size = nodes.size() * (codes->ladder().stride() + factor_bytes(codes->view().format)) + kLine;
  if (!codes->take_for_copies(size)) return nullptr;
  const std::shared_ptr<PackedCodes> packed(new PackedCodes(std::move(codes), size));
  try {
    packed->copy(nodes);
  } catch (const std::bad_alloc&) {  // then scans read the codes where they are
    return nullptr;
  }
  return packed;
}

PackedCodes::~PackedCodes() { codes_->give_back_of_copies(taken_); }

void PackedCodes::copy(std::span<const std::uint32_t> nodes) {
  const CodeView& from = codes_->view();
  const std::size_t stride = codes_->ladder().stride(), factor = factor_bytes(from.format);
  memory_ = allocate_rows(taken_);
  std::uint8_t* const high = memory_.get() + (kLine - reinterpret_cast<std::uintptr_t>(memory_.get()) % kLine) % kLine;
  std::uint8_t* const factors = high + nodes.size() * stride;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i + kAhead < nodes.size()) {
      prefetch_run(from.high + nodes[i + kAhead] * stride, stride);
      __builtin_prefetch(from.factors + nodes[i + kAhead] * factor);
    }
    std::memcpy(high + i * stride, from.high + nodes[i] * stride, stride);
    std::memcpy(factors + i * factor, from.factors + nodes[i] * factor, factor);
  }
  view_.rows = static_cast<std::uint32_t>(nodes.size());
  view_.format = from.format;
  view_.units = from.units;
  view_.high = high;
  view_.factors = factors;
}

}  // namespace vicino
