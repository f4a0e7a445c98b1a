#include "util/parallel.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace vicino {

namespace {

// Between the batches and builds of a busy process a helper stays, with the memory that searches keep for each thread; an idle one gives it back.
constexpr std::chrono::seconds kIdle{1};

/// One loop as the threads see it that share it. Helpers may come late, when it is over: whoever holds this can still ask.
class SharedLoop {
 public:
  SharedLoop(std::size_t count, LoopBody body, void* context) : count_(count), body_(body), context_(context) {}

  /// A helper's part: nothing, if the loop is over.
  void help() {
    for (std::uint32_t seen = state_.load();;) {
      if (seen & kOver) return;
      if (state_.compare_exchange_weak(seen, seen + 1)) break;
    }
    work(next_worker_.fetch_add(1));
    if (state_.fetch_sub(1) == (kOver | 1)) state_.notify_one();
  }

  /// The calling thread's part. Returns when no thread works on the loop and none will.
  void run() {
    work(0);
    for (std::uint32_t seen = state_.fetch_or(kOver) | kOver; seen != kOver; seen = state_.load()) state_.wait(seen);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  static constexpr std::uint32_t kOver = 1u << 31;

  void work(std::size_t worker) {
    try {
      for (std::size_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) body_(context_, i, worker);
    } catch (...) {
      next_.store(count_);
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  std::size_t count_;
  LoopBody body_;
  void* context_;
  std::atomic<std::size_t> next_{0}, next_worker_{1};
  std::atomic<std::uint32_t> state_{0};  // helpers at work, and kOver
  std::mutex mutex_;
  std::exception_ptr failure_;
};

/// The threads that wait for loops.
class Helpers {
 public:
  /// Asks up to n threads to help, those that wait first. The system may grant fewer.
  void lend(std::size_t n, const std::shared_ptr<SharedLoop>& loop) {
    {
      const std::lock_guard lock(mutex_);
      for (; n && !idle_.empty(); --n) {
        Helper& helper = *idle_.back();  // its memory is the one most likely to be in a cache
        idle_.pop_back();
        helper.loop = loop;
        helper.wake.notify_one();
      }
    }
    try {
      for (; n; --n) std::thread([this, loop] { serve(loop); }).detach();
    } catch (const std::system_error&) {
      // No further thread is granted: those that run, the calling one included, do all the work.
    }
  }

 private:
  struct Helper {
    std::condition_variable wake;
    std::shared_ptr<SharedLoop> loop;
  };

  void serve(std::shared_ptr<SharedLoop> loop) {
    Helper self;
    while (loop) {
      loop->help();
      loop.reset();
      std::unique_lock lock(mutex_);
      idle_.push_back(&self);
      if (!self.wake.wait_for(lock, kIdle, [&self] { return self.loop != nullptr; })) std::erase(idle_, &self);
      loop = std::move(self.loop);
    }
  }

  std::mutex mutex_;
  std::vector<Helper*> idle_;
};

std::atomic<Helpers*> helpers_of_process;

/// A forked child has none of its parent's threads, and maybe a mutex that one of them held: it begins anew, and so does the process. Nothing is
/// destroyed: helpers may wait while a process ends.
void begin_anew() { helpers_of_process = new Helpers; }

Helpers& helpers() {
  [[maybe_unused]] static const int made = (begin_anew(), pthread_atfork(nullptr, nullptr, begin_anew));
  return *helpers_of_process;
}

}  // namespace

void run_shared(std::size_t count, std::size_t workers, LoopBody body, void* context) {
  const auto loop = std::make_shared<SharedLoop>(count, body, context);
  helpers().lend(workers - 1, loop);
  loop->run();
}

}  // namespace vicino
