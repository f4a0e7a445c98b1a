// 1-bit codes of one vector of a sealed segment that has no index of it: one that waits for its graph, is too small for one, or whose build
// did not fit into memory. They lie in memory alone and go when there is an index.
//
// A head's codes are carried over as it is sealed. Where there are none (after opening, after a merge) searches make them: one that read rows
// for want of codes codes a share of as many, so that it takes at most about twice as long as it did: half of the rows have codes after eight such
// searches, nearly all after forty. Whoever never searches pays nothing, and no thread has to wait or to run for it.
//
// Readers see a state of the codes by pointer and take no lock but for the pointer. One thread at a time adds to them, and what a reader sees
// is never written again. They may be given up at any time: whoever reads them keeps them as long.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "shard/row_codes.h"
#include "util/cancel.h"

namespace vicino {

/// Whether there is room for memory that is counted already.
using HasRoom = std::function<bool()>;

class SealedCodes {
 public:
  /// The rows and the bitmap of those present (null: all) must outlive searches and extensions; codes do not refer to them.
  SealedCodes(const ColumnSpec& spec, const VectorBlock& rows, std::shared_ptr<const Bitmap> present, std::uint32_t n_present);

  /// The rows with the codes that there are now.
  std::vector<Chunk> chunks() const;
  /// After a search that read so many rows for want of codes: codes the share of them that is due, unless another thread is at it.
  void extend_after(std::uint64_t n_read);
  /// Goes on from the codes of a head that these rows were sealed from, of which the first n_same are the first of these. What the others
  /// need is counted, and nobody is asked for it: the head gives up as much.
  void take(const CodesSoFar& codes, std::uint32_t n_same);
  /// Codes the rows that codes which were taken do not reach. Ends early when it is cancelled.
  void finish(const Cancel& cancel);
  /// The same from those of equal rows, all of them: the segment was opened a second time.
  void take(const SealedCodes& other);
  /// Forgets them. They are made again when as many rows were read as many searches read.
  void give_up();
  /// Asked before memory is taken, when it is counted: without room there are no codes. Null: there always is.
  void ask(HasRoom has_room);
  /// Of the codes.
  std::size_t memory_bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  VectorBlock rows_of_chunk(std::uint32_t number) const;
  bool get_room();
  void extend_or_forget(std::int64_t n);
  void publish();
  std::shared_ptr<const CodesSoFar> seen() const;
  void count_bytes();
  void forget();

  const ColumnSpec spec_;
  const VectorBlock rows_;
  const std::shared_ptr<const Bitmap> present_;
  const std::uint32_t n_present_;

  std::mutex mutex_;  // of codes_
  RowCodes codes_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<bool> is_complete_{false};
  std::atomic<std::int64_t> due_{0};  // rows read that nothing was coded for yet

  mutable std::mutex seen_mutex_;  // of the two below; held for as long as a pointer takes to copy
  std::shared_ptr<const CodesSoFar> seen_;  // null: none
  HasRoom has_room_;
};

}  // namespace vicino
