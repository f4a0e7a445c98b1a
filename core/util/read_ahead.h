// Bytes of mapped files asked for ahead of their turn.
//
// A search that touches a page that is not in memory waits for the disk, page after page, although it knew of all of them before. Asked for at
// once the disk reads them side by side. Asking costs a system call for every run of bytes, so it is done only while searches do meet the disk:
// `ColdReads` counts what the system says a thread has waited for, of every search after an index was opened, and of some once all of it was there.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vicino {

/// Has the system read these bytes of a mapped file in the background; nothing for bytes that lie elsewhere. A wish: errors do not show.
void read_ahead(const void* bytes, std::size_t size);
/// Pages of these bytes of a mapped file will be touched at random, so each is read alone. A page that is touched and not in memory else brings
/// its surroundings with it: 128 KiB by default, on some machines 8 MiB.
void expect_random_reads(const void* bytes, std::size_t size);

/// Page faults of this thread that had to wait for a disk, and blocks that were read on its behalf; only differences mean something.
std::uint64_t disk_reads_of_thread();

/// Whether searches of one index meet pages that are not in memory. Safe to use from many threads.
class ColdReads {
 public:
  /// One search, from construction to destruction.
  class Search {
   public:
    explicit Search(ColdReads& reads)
        : reads_(reads), is_cold_(reads.searches_left_.load(std::memory_order_relaxed) > 0), is_watched_(is_cold_ || ++searches_of_thread_ % kWatched == 0),
          before_(is_watched_ ? disk_reads_of_thread() : 0) {}
    Search(const Search&) = delete;
    ~Search() {
      if (!is_watched_) return;
      if (disk_reads_of_thread() != before_) reads_.searches_left_.store(kSearchesCold, std::memory_order_relaxed);
      else if (is_cold_) reads_.searches_left_.fetch_sub(1, std::memory_order_relaxed);
    }
    /// Whether it is worth asking for bytes ahead.
    bool is_cold() const { return is_cold_; }

   private:
    static thread_local unsigned searches_of_thread_;

    ColdReads& reads_;
    bool is_cold_, is_watched_;
    std::uint64_t before_;
  };

 private:
  static constexpr int kSearchesCold = 16;    // in a row without a read, after which an index counts as being in memory
  static constexpr unsigned kWatched = 32;    // one of so many searches is watched then

  std::atomic<int> searches_left_{kSearchesCold};
};

}  // namespace vicino
