#include "util/row_memory.h"

#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace vicino {

namespace {

#ifdef __linux__

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;

/// A mapping that begins at a huge page; what does not fill one stays in small pages, so no more is resident than was asked for.
std::shared_ptr<std::uint8_t[]> map_rows(std::size_t bytes) {
  const std::size_t size = (bytes + kPage - 1) / kPage * kPage;
  void* mapped = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const start = static_cast<std::uint8_t*>(mapped);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
  std::uint8_t* const rows = start + before;
  if (before) munmap(start, before);
  munmap(rows + size, kHugePage - before);
  madvise(rows, size / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: without it the rows are as good, only slower to fill
  return {rows, [size](std::uint8_t* at) { munmap(at, size); }};
}

#endif

}  // namespace

std::shared_ptr<std::uint8_t[]> allocate_rows(std::size_t bytes) {
#ifdef __linux__
  if (bytes >= kHugePage) return map_rows(bytes);
#endif
  return std::shared_ptr<std::uint8_t[]>(new std::uint8_t[bytes]);
}

}  // namespace vicino
