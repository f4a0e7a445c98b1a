// Maps a file read-only. The mapping lives as long as any blob of it, also after the file has been unlinked.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "util/blob.h"
#include "util/errors.h"

namespace vicino {

namespace {

[[noreturn]] void fail(const std::string& path, const char* operation) {
  throw StorageError(path + ": cannot " + operation + ": " + std::strerror(errno));
}

struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

}  // namespace

Blob map_file(const std::string& path) {
  int fd;
  do fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) fail(path, "open");
  const Descriptor descriptor{fd};
  struct stat status;
  if (::fstat(fd, &status)) fail(path, "stat");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (!size) return {};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) fail(path, "map");
  std::shared_ptr<const void> owner(address, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
  return {{static_cast<const std::uint8_t*>(address), size}, std::move(owner)};
}

}  // namespace vicino
