// Memory for the rows of a head. Large blocks lie in huge pages where the system has them: filling fresh memory 4 KiB at a time spends more
// time in page faults than in copying (measured: replaying a log of 384-d records takes 2.4 times as long).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace vicino {

/// Uninitialized memory, aligned for vectors. Throws std::bad_alloc.
std::shared_ptr<std::uint8_t[]> allocate_rows(std::size_t bytes);

}  // namespace vicino
