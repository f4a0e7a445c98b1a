// The little that tests of the core need: named cases that register themselves, and one check that says where it failed and with what.
#pragma once
#include <cstdio>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace vicino::test {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
struct Registration {
  Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

template <class A, class B>
void check_equal(const A& found, const B& expected, const char* text, const char* file, int line) {
  if (found == expected) return;
  std::ostringstream message;
  message << text << " is " << found << ", expected " << expected;
  fail(file, line, message.str());
}

}  // namespace vicino::test

#define TEST(name)                                                          \
  static void name();                                                       \
  static const ::vicino::test::Registration registered_##name(#name, name); \
  static void name()
#define CHECK(condition) \
  do { if (!(condition)) ::vicino::test::fail(__FILE__, __LINE__, #condition " does not hold"); } while (false)
#define CHECK_EQUAL(found, expected) ::vicino::test::check_equal(found, expected, #found, __FILE__, __LINE__)
