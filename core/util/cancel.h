// How a long call is stopped from outside: a flag set by another thread, or a deadline on the steady clock.
#pragma once
#include <atomic>
#include <chrono>
#include <optional>

#include "util/errors.h"

namespace vicino {

class Cancel {
 public:
  using Clock = std::chrono::steady_clock;
  Cancel() = default;
  explicit Cancel(std::optional<double> timeout_s) {
    if (timeout_s) deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*timeout_s));
  }
  Cancel(const Cancel&) = delete;

  void cancel() { flag_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return flag_.load(std::memory_order_relaxed) || (deadline_ && Clock::now() >= *deadline_); }
  /// Throws Cancelled when the flag is set or the deadline has passed. Call it about once per millisecond of work.
  void check() const {
    if (flag_.load(std::memory_order_relaxed)) throw Cancelled("cancelled");
    if (deadline_ && Clock::now() >= *deadline_) throw Cancelled("deadline");
  }

 private:
  std::atomic<bool> flag_{false};
  std::optional<Clock::time_point> deadline_;
};

}  // namespace vicino
