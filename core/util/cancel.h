// How a long call is stopped from outside: a flag set by another thread, a deadline on the steady clock, or a poll of the caller's own.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
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
  /// `poll` is called by check() about every 20 ms and may throw; it lets an interpreter see Ctrl-C. Only for calls checked by one thread.
  void set_poll(std::function<void()> poll) { poll_ = std::move(poll); next_poll_ = Clock::now() + kPollInterval; }
  /// Throws Cancelled when the flag is set or the deadline has passed. Call it about once per millisecond of work.
  void check() const {
    if (flag_.load(std::memory_order_relaxed)) throw Cancelled("cancelled");
    if (!deadline_ && !poll_) return;
    const auto now = Clock::now();
    if (deadline_ && now >= *deadline_) throw Cancelled("deadline");
    if (poll_ && now >= next_poll_) {
      next_poll_ = now + kPollInterval;
      poll_();
    }
  }

 private:
  static constexpr std::chrono::milliseconds kPollInterval{20};

  std::atomic<bool> flag_{false};
  std::optional<Clock::time_point> deadline_;
  std::function<void()> poll_;
  mutable Clock::time_point next_poll_;
};

}  // namespace vicino
