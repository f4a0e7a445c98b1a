// Numbers of live records: totals of an entry less what is dead in it.
#include "sparse/search.h"

namespace vicino {

LiveStatistics::Field LiveStatistics::field(std::uint32_t slot, const TermIndex& index, const Bitmap* live) {
  if (!live) return {index.n_valued(), index.total_length()};
  std::lock_guard guard(mutex_);
  if (const auto found = fields_.find(slot); found != fields_.end()) return found->second;
  Field field{index.n_valued(), index.total_length()};
  const std::uint32_t n = index.n_rows();
  for (std::uint32_t row = 0; row < n; ++row) {
    if (live->test(row)) continue;
    std::uint32_t length;
    index.lengths(&row, 1, &length);
    if (length == kNoLength) continue;
    --field.n;
    field.length -= length;
  }
  return fields_[slot] = field;
}

std::uint32_t LiveStatistics::df(std::uint32_t slot, Bytes term, const TermIndex& index, const TermInfo& info, const Bitmap* live) {
  if (!live) return info.df;
  std::lock_guard guard(mutex_);
  const auto [place, is_new] = dfs_.try_emplace({slot, std::string(reinterpret_cast<const char*>(term.data()), term.size())}, 0);
  if (!is_new) return place->second;
  const auto cursor = index.postings(info);
  PostingBlock block;
  while (cursor->next(0, block))
    for (std::uint32_t i = 0; i < block.count; ++i) place->second += live->test(block.rows[i]);
  return place->second;
}

}  // namespace vicino
