// Bytes of mapped files asked for ahead of their turn.
//
// A search that touches a page that is not in memory waits for the disk, page after page, although it knew of all of them before. Asked for at
// once the disk reads them side by side, and nothing else. But systems read far around what is touched, megabytes some of them: a file that fits
// into memory is there sooner that way. So the first searches of an index ask, and after them those that come after one which waited several times.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vicino {

/// Has the system read these bytes of a mapped file in the background; nothing for bytes that lie elsewhere. A wish: errors do not show.
void read_ahead(const void* bytes, std::size_t size);
/// Pages of these bytes of a mapped file will be touched at random, so each is read alone. A page that is touched and not in memory else brings
/// its surroundings with it: 128 KiB by default, on some machines 8 MiB.
void expect_random_reads(const void* bytes, std::size_t size);

/// Page faults of this thread that had to wait for a disk; only differences mean something.
std::uint64_t disk_waits_of_thread();

/// Whether searches of one index meet pages that are not in memory. Safe to use from many threads.
class ColdReads {
 public:
  /// One search, from construction to destruction, or as many as are made at once.
  class Search {
   public:
    explicit Search(ColdReads& reads, std::size_t n_searches = 1)
        : reads_(reads), n_searches_(static_cast<int>(std::min(n_searches, kSearchesMost))), left_(reads.searches_left_.load(std::memory_order_relaxed)),
          is_watched_(!is_cold() && (left_ > 0 || ++searches_of_thread_ % kWatched == 0)),
          before_(is_watched_ ? disk_waits_of_thread() : 0) {}
    Search(const Search&) = delete;
    ~Search() {
      if (is_watched_ && disk_waits_of_thread() - before_ >= kWaitsMin)
        reads_.searches_left_.store(kSearchesCold + kSearchesWatched, std::memory_order_relaxed);
      else if (left_ > 0)
        reads_.searches_left_.fetch_sub(std::min(n_searches_, left_), std::memory_order_relaxed);
    }
    /// Whether it is worth asking for bytes ahead.
    bool is_cold() const { return left_ > kSearchesWatched; }

   private:
    static thread_local unsigned searches_of_thread_;

    ColdReads& reads_;
    int n_searches_;
    int left_;
    bool is_watched_;
    std::uint64_t before_;
  };

 private:
  static constexpr int kSearchesCold = 16;       // ask, and of so many after them every one is watched,
  static constexpr int kSearchesWatched = 64;
  static constexpr std::size_t kSearchesMost = kSearchesCold + kSearchesWatched;
  static constexpr unsigned kWatched = 32;       // and one of so many later on
  static constexpr std::uint64_t kWaitsMin = 4;  // of one search, from which on those after it ask again

  std::atomic<int> searches_left_{kSearchesCold + kSearchesWatched};
};

}  // namespace vicino
