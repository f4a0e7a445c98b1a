// A small seeded generator for choices that must be repeatable: the same seed gives the same numbers on every machine.
#pragma once
#include <cstdint>

namespace vicino {

/// SplitMix64 (Steele, Lea and Flood 2014): one addition and a bijective mix per number.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t mixed = (state_ ^ (state_ >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
  }
  /// A number below `limit`, which is at least 1 and below 2^32; the bias is below limit / 2^32.
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>((next() >> 32) * limit >> 32); }

 private:
  std::uint64_t state_;
};

}  // namespace vicino
