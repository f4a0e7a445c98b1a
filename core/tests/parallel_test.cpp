// parallel_for against a plain loop: every iteration once, on no more threads than were asked for, whatever else goes on beside it.
#include "util/parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/check.h"

namespace vicino {

namespace {

/// How often each iteration ran; fails where a worker has an index that it must not have.
std::vector<int> counted(unsigned threads, std::size_t count) {
  std::vector<std::atomic<int>> ran(count);
  std::atomic<bool> strange{false};
  parallel_for(threads, count, [&](std::size_t i, std::size_t worker) {
    ran[i].fetch_add(1);
    if (worker >= std::max(1u, threads)) strange = true;
  });
  CHECK(!strange.load());
  return {ran.begin(), ran.end()};
}

}  // namespace

TEST(parallel_for_runs_every_iteration_once) {
  for (unsigned threads : {0u, 1u, 2u, 3u, 8u})
    for (std::size_t count : {0, 1, 2, 7, 1000}) CHECK(counted(threads, count) == std::vector<int>(count, 1));
}

TEST(no_two_threads_of_a_loop_have_one_index) {
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> inside(4);
    std::atomic<bool> met{false};
    parallel_for(4, 64, [&](std::size_t, std::size_t worker) {
      if (inside[worker].fetch_add(1)) met = true;
      std::this_thread::yield();
      inside[worker].fetch_sub(1);
    });
    CHECK(!met.load());
  }
}

TEST(what_an_iteration_throws_reaches_the_caller_after_all_threads_have_stopped) {
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> inside{0};
    std::string told;
    try {
      parallel_for(3, 100, [&](std::size_t i, std::size_t) {
        inside.fetch_add(1);
        std::this_thread::yield();
        inside.fetch_sub(1);
        if (i == 5) throw std::runtime_error("the sixth");
      });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    CHECK_EQUAL(told, std::string("the sixth"));
    CHECK_EQUAL(inside.load(), 0);
    CHECK(counted(3, 10) == std::vector<int>(10, 1));
  }
}

TEST(loops_within_loops_and_of_many_threads_end) {
  std::atomic<std::size_t> ran{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&ran] {
      for (int round = 0; round < 20; ++round)
        parallel_for(3, 5, [&ran](std::size_t, std::size_t) { parallel_for(2, 7, [&ran](std::size_t, std::size_t) { ran.fetch_add(1); }); });
    });
  callers.clear();
  CHECK_EQUAL(ran.load(), std::size_t{4 * 20 * 5 * 7});
}

TEST(a_forked_child_has_helpers_of_its_own) {
  CHECK(counted(4, 100) == std::vector<int>(100, 1));
  const pid_t child = fork();
  if (child == 0) _exit(counted(4, 100) == std::vector<int>(100, 1) ? 0 : 1);
  int status = -1;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  CHECK_EQUAL(status, 0);
  CHECK(counted(4, 100) == std::vector<int>(100, 1));
}

}  // namespace vicino
