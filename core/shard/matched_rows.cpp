#include "shard/matched_rows.h"

#include <algorithm>
#include <bit>

namespace vicino {

namespace {

// Packing takes one and a half times as long as a scan, which three packed scans save. Beside a walk one saves less than half of a scan.
constexpr std::uint32_t kScansToPack = 4;
constexpr std::size_t kWalksToPack = 8;

std::vector<std::uint32_t> listed(const Bitmap& bits) {
  std::vector<std::uint32_t> list;
  list.reserve(bits.count());
  bits.for_each([&](std::size_t bit) { list.push_back(static_cast<std::uint32_t>(bit)); });
  return list;
}

Bitmap node_bits_of(const Bitmap& allowed, const Graph& graph) {
  Bitmap bits(graph.n_nodes());
  allowed.for_each([&](std::size_t row) {
    if (const std::uint32_t node = graph.node_of(static_cast<std::uint32_t>(row)); node != Graph::kNone) bits.set(node);
  });
  return bits;
}

}  // namespace

std::span<const std::uint32_t> MatchedRows::rows(const Bitmap& allowed) {
  std::call_once(rows_once_, [&] { rows_ = listed(allowed); });
  return rows_;
}

std::span<const std::uint32_t> MatchedRows::nodes(const Bitmap& allowed, const Graph& graph) {
  std::call_once(nodes_once_, [&] { nodes_ = listed(node_bits_of(allowed, graph)); });
  return nodes_;
}

const std::uint64_t* MatchedRows::node_bits(const Bitmap& allowed, const Graph& graph) {
  if (!was_asked_.exchange(true, std::memory_order_relaxed)) return nullptr;
  std::call_once(bits_once_, [&] { bits_ = node_bits_of(allowed, graph); });
  return bits_.words();
}

const PackedCodes* MatchedRows::packed(const Graph& graph) {
  if (const PackedCodes* packed = packed_.load(std::memory_order_acquire)) return packed;
  // Where there was no room, there may be some later. One thread copies, and nobody waits for it.
  if (const std::uint32_t scans = scans_.fetch_add(1, std::memory_order_relaxed) + 1; scans < kScansToPack || !std::has_single_bit(scans)) return nullptr;
  pack(graph);
  return packed_.load(std::memory_order_acquire);
}

bool MatchedRows::is_packed(const Bitmap& allowed, const Graph& graph) {
  if (!packed_.load(std::memory_order_acquire) && walks_.load(std::memory_order_relaxed) >= kWalksToPack) {
    walks_.store(0, std::memory_order_relaxed);  // where there is no room, there may be some after as many again
    nodes(allowed, graph);
    pack(graph);
  }
  return packed_.load(std::memory_order_acquire) != nullptr;
}

void MatchedRows::pack(const Graph& graph) {
  const std::unique_lock lock(packing_, std::try_to_lock);
  if (!lock || owned_) return;
  owned_ = PackedCodes::make(graph.shared_codes(), nodes_);
  packed_.store(owned_.get(), std::memory_order_release);
}

std::shared_ptr<MatchedRows> MatchForms::of(const std::shared_ptr<const Rows>& rows, std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  const auto is_of = [&](const Form& form) { return form.slot == slot && !form.rows.owner_before(rows) && !rows.owner_before(form.rows); };
  if (const auto found = std::ranges::find_if(forms_, is_of); found != forms_.end()) return found->matched;
  // Rows are replaced when an index is: these forms may be kept for longer than those.
  std::erase_if(forms_, [](const Form& form) { return form.rows.expired(); });
  forms_.push_back({rows, slot, std::make_shared<MatchedRows>()});
  return forms_.back().matched;
}

}  // namespace vicino
