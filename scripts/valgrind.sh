#!/usr/bin/env bash
# Valgrind (memcheck) over what is not held by the compiler: the tests of conntap-sys, and the binding from Python.
#
# Any invalid access or use of an uninitialised value ends with 1, and so does memory that conntap-sys lost for good.
# (The interpreter keeps memory until it ends, so that leaks are not looked for there.) Needs namespaces, as the tests do.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "needs the program valgrind" >&2; exit 1; }
python=.venv/bin/python
sandbox="$python -m conntap.lab.sandbox --"
memcheck="valgrind --quiet --error-exitcode=99 --trace-children=no --num-callers=25"

$sandbox true || { echo "the kernel refuses a user namespace: nothing was checked" >&2; exit 1; }

# Line numbers in reports, in a build apart from the usual one.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/valgrind
binaries=$(cargo test --quiet -p conntap-sys --no-run --message-format=json |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
[ -n "$binaries" ] || { echo "conntap-sys has no tests to run" >&2; exit 1; }
for binary in $binaries; do
  echo "valgrind: $(basename "$binary")"
  # One test at a time: they count events, and Valgrind runs one thread at a time anyway.
  $sandbox $memcheck --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$binary" --test-threads=1
done

echo "valgrind: the binding"
PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 $sandbox $memcheck --leak-check=no \
  --suppressions=scripts/valgrind-python.supp $python scripts/valgrind_binding.py
echo "valgrind: no errors"
