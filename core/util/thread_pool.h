// A loop whose iterations run on several threads.
//
// Threads live for one loop: a build runs some dozens of loops of seconds, so starting them costs nothing, and no idle thread survives
// to be lost in a fork. Iterations are handed out one by one; a result must not depend on which thread ran what.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace vicino {

/// Calls body(i, worker) for every i < count, worker < max(1, threads) being the index of the calling thread. Rethrows the first
/// exception after all threads have stopped; iterations not yet started are then skipped.
template <class Body>
void parallel_for(unsigned threads, std::size_t count, Body&& body) {
  const std::size_t workers = std::min<std::size_t>(std::max(1u, threads), count);
  if (workers <= 1) {
    for (std::size_t i = 0; i < count; ++i) body(i, std::size_t{0});
    return;
  }
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](std::size_t worker) {
    try {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i, worker);
    } catch (...) {
      next.store(count);
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  others.reserve(workers - 1);
  try {
    for (std::size_t worker = 1; worker < workers; ++worker) others.emplace_back(work, worker);
  } catch (const std::system_error&) {
    // The system grants no further thread: those that run, this one included, do all the work.
  }
  work(0);
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace vicino
