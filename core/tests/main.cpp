// Runs every case, or those whose name contains the argument. Prints one line a case; the exit status says whether all passed.
#include <cstring>

#include "tests/check.h"

int main(int n_arguments, char** arguments) {
  int failures = 0;
  for (const auto& test : vicino::test::cases()) {
    if (n_arguments > 1 && !std::strstr(test.name, arguments[1])) continue;
    try {
      test.run();
      std::printf("ok %s\n", test.name);
    } catch (const std::exception& error) {
      ++failures;
      std::printf("FAILED %s: %s\n", test.name, error.what());
    }
  }
  return failures != 0;
}
