#!/usr/bin/env bash
# Builds the core under a sanitizer in a folder of its own and runs tests against it. The build in use is not touched.
#
#   scripts/sanitize.sh address                    the tests that reach far into the core, and a long fuzz of untrusted bytes (about an hour)
#   scripts/sanitize.sh address tests/unit/core    chosen pytest arguments
#   scripts/sanitize.sh thread                     the core's own tests, and the stress tests of tests/sanitizers
#
# address finds stray reads and writes and undefined behavior, thread finds data races. Needs g++ with its sanitizer libraries.
# Python's own allocator is switched off, so that an overrun of a bytes object is seen too; leaks are not looked for, because the
# interpreter leaves much behind at its end.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly usage="usage: scripts/sanitize.sh address|thread [pytest arguments]"
case "${1:?$usage}" in
  address) folder=build/asan; sanitize=address,undefined; library=libasan.so ;;
  thread) folder=build/tsan; sanitize=thread; library=libtsan.so ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
kind=$1
shift

make --no-print-directory ready
mkdir -p "$folder"
(
  flock 9
  .venv/bin/cmake -S . -B "$folder" -G Ninja -DPython_EXECUTABLE="$PWD/.venv/bin/python" -DCMAKE_MAKE_PROGRAM="$PWD/.venv/bin/ninja" \
    -DVICINO_SANITIZE="$sanitize" -DCMAKE_BUILD_TYPE=Debug >"$folder/cmake.log" 2>&1 || { cat "$folder/cmake.log" >&2; exit 1; }
  nice -n 10 .venv/bin/ninja -C "$folder" -j "${SANITIZE_JOBS:-1}" --quiet
) 9>"$folder/lock"

# The C++ runtime comes along, because Python does not load it early enough for the sanitizer to find its functions.
export LD_PRELOAD="$(g++ -print-file-name=$library) $(g++ -print-file-name=libstdc++.so)"
export PYTHONMALLOC=malloc PYTHONPATH="$PWD/tests/sanitizers/import_hook" VICINO_SANITIZED_CORE="$(echo "$PWD/$folder"/_core*.so)"
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:exitcode=66

# What a sanitizer says before it ends the process goes past Python: captured with the rest, it would be lost.
run() { nice -n 10 .venv/bin/python -m pytest -p no:cacheprovider --timeout 0 --capture sys "$@"; }

if [ $# -gt 0 ]; then
  run "$@"
  exit
fi
LD_PRELOAD='' .venv/bin/ninja -C "$folder" --quiet core_tests
LD_PRELOAD='' TSAN_OPTIONS="$TSAN_OPTIONS:die_after_fork=0" "$folder/core_tests"  # one of them forks
if [ "$kind" = address ]; then
  # A sanitizer takes memory of its own, so that tests of how much a build takes cannot pass; core_tests has just run.
  run -m "not long" -k "not stated_memory and not its_own_tests" tests/unit/core tests/unit/storage tests/unit/collection tests/property tests/recall tests/formats \
    tests/durability/test_damage_of_sections.py tests/sanitizers
  VICINO_FUZZ_SEEDS="${VICINO_FUZZ_SEEDS:-0:3000}" run -m long tests/property/test_untrusted_bytes.py
else
  run -m "not long" tests/sanitizers
fi
