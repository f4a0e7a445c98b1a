// A loop whose iterations run on several threads.
//
// Iterations are handed out one by one; a result must not depend on which thread ran what. The other threads are helpers that outlive a loop
// and wait a while for the next one: starting a thread and seeing it end took 170 µs where a batch of a thousand searches takes 7 ms. The
// calling thread never waits for a helper that has not begun, but does its share, so that on a busy machine a loop takes no longer than on
// one thread.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace vicino {

/// What parallel_for calls, its type left out: body(context, i, worker).
using LoopBody = void (*)(void* context, std::size_t i, std::size_t worker);

/// Iterations 0 to count - 1 on the calling thread and up to workers - 1 helpers; see parallel_for.
void run_shared(std::size_t count, std::size_t workers, LoopBody body, void* context);

/// Calls body(i, worker) for every i < count, worker < max(1, threads) being the index of a thread, 0 that of the calling one. Rethrows the
/// first exception after all threads have stopped; iterations not yet started are then skipped.
template <class Body>
void parallel_for(unsigned threads, std::size_t count, Body&& body) {
  const std::size_t workers = std::min<std::size_t>(std::max(1u, threads), count);
  if (workers <= 1) {
    for (std::size_t i = 0; i < count; ++i) body(i, std::size_t{0});
    return;
  }
  using Called = std::remove_reference_t<Body>;
  const auto call = [](void* context, std::size_t i, std::size_t worker) { (*static_cast<Called*>(context))(i, worker); };
  run_shared(count, workers, call, const_cast<void*>(static_cast<const void*>(std::addressof(body))));
}

}  // namespace vicino
