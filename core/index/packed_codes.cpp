#include "index/packed_codes.h"

#include <algorithm>
#include <new>

#include "util/prefetch.h"
#include "util/row_memory.h"

namespace vicino {

namespace {

constexpr std::size_t kLine = 64;

}  // namespace

std::shared_ptr<const PackedCodes> PackedCodes::make(std::shared_ptr<const GraphCodes> codes, std::span<const std::uint32_t> nodes) {
  const std::size_t n_groups = (nodes.size() + kCodeColumnRows - 1) / kCodeColumnRows;
  const std::size_t size = n_groups * codes->ladder().column_group_bytes() + kLine;
  if (!codes->take_for_packing(size)) return nullptr;
  const std::shared_ptr<PackedCodes> packed(new PackedCodes(std::move(codes), size));
  try {
    packed->pack(nodes);
  } catch (const std::bad_alloc&) {  // then scans read the codes where they are
    return nullptr;
  }
  return packed;
}

PackedCodes::~PackedCodes() { codes_->give_back(taken_); }

void PackedCodes::pack(std::span<const std::uint32_t> nodes) {
  const Ladder& ladder = codes_->ladder();
  const CodeView& view = codes_->view();
  memory_ = allocate_rows(taken_);
  std::uint8_t* group = memory_.get() + (kLine - reinterpret_cast<std::uintptr_t>(memory_.get()) % kLine) % kLine;
  groups_ = group;
  const auto next = [&nodes] { return nodes.first(std::min(kCodeColumnRows, nodes.size())); };
  for (; !nodes.empty(); group += ladder.column_group_bytes()) {
    const auto packed = next();
    nodes = nodes.subspan(packed.size());
    for (const std::uint32_t node : next()) {
      prefetch_run(view.high + node * ladder.stride(), ladder.stride());
      __builtin_prefetch(view.factors + node * factor_bytes(view.format));
    }
    ladder.pack_columns(view, packed, group);
  }
}

}  // namespace vicino
