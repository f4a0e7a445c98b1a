#include "util/read_ahead.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace vicino {

thread_local unsigned ColdReads::Search::searches_of_thread_ = 0;

namespace {

void advise(const void* bytes, std::size_t size, int advice) {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes), start = begin / page * page;
  if (size) madvise(reinterpret_cast<void*>(start), begin + size - start, advice);
}

}  // namespace

void read_ahead(const void* bytes, std::size_t size) { advise(bytes, size, MADV_WILLNEED); }

void expect_random_reads(const void* bytes, std::size_t size) { advise(bytes, size, MADV_RANDOM); }

std::uint64_t disk_waits_of_thread() {
#ifdef RUSAGE_THREAD
  rusage used;
  if (getrusage(RUSAGE_THREAD, &used) == 0) return static_cast<std::uint64_t>(used.ru_majflt);
#endif
  return 0;
}

}  // namespace vicino
