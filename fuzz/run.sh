#!/usr/bin/env bash
# Run every fuzz target on the stable toolchain and say what it did.
#
#   fuzz/run.sh [SECONDS_PER_TARGET]   default 60; finds are kept in fuzz/corpus-run/ and used by the next run
#   fuzz/run.sh keep                   add to the committed corpus what the finds cover beyond it, minimised
#
# Ends with 1 if a target broke its invariant; the input that did it lies in fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")"
export RUSTC_BOOTSTRAP=1 # coverage instrumentation is a nightly flag; the code itself is stable Rust

command -v cargo-fuzz >/dev/null || cargo install --quiet cargo-fuzz
targets=$(cargo fuzz list)

# More seeds than the corpus: the messages that the kernel sent.
seeds() { [ "$1" != wire_decode ] || echo ../tests/data/ctnetlink; }

# Files that reach all that the given folders reach, as few and small as the fuzzer finds.
keep() {
  local target=$1 small
  small=$(mktemp -d)
  # shellcheck disable=SC2046 # no or one folder
  cargo fuzz run -s none "$target" "$small" "corpus/$target" $(seeds "$target") "corpus-run/$target" -- \
    -set_cover_merge=1 -use_counters=0 -timeout=10 2>/dev/null
  # Seeds stay; of the finds as many as a repository should carry, in the order of their names, which are hashes.
  find "$small" -type f -size -3k | sort | while read -r file; do
    [ "$(find "corpus/$target" -type f | wc -l)" -lt "$KEEP_FILES" ] || break
    cp "$file" "corpus/$target/"
  done
  rm -r "$small"
  echo "$target: $(find "corpus/$target" -type f | wc -l) files, $(du -sb "corpus/$target" | cut -f1) bytes"
}

if [ "${1:-}" = keep ]; then
  KEEP_FILES=${KEEP_FILES:-75}
  for target in $targets; do keep "$target"; done
  exit
fi

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: fuzz/run.sh [SECONDS_PER_TARGET | keep]" >&2; exit 2; }
cargo fuzz build -s none
status=0
printf '\n%-16s %12s %10s %18s %10s  %s\n' target executions per_second coverage new_inputs result
for target in $targets; do
  mkdir -p "corpus-run/$target"
  log=$(mktemp)
  result=held
  dictionary=()
  [ ! -f "dict/$target.dict" ] || dictionary=(-dict="dict/$target.dict")
  # shellcheck disable=SC2046 # no or one folder
  cargo fuzz run -s none "$target" "corpus-run/$target" "corpus/$target" $(seeds "$target") -- "${dictionary[@]}" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 >"$log" 2>&1 || {
    result="BROKEN: $(grep -o 'artifacts/[^ ]*' "$log" | head -1 || true)"
    status=1
  }
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
  before=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log" | head -1)
  after=$(sed -n 's/^#[0-9].* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
  printf '%-16s %12s %10s %18s %10s  %s\n' "$target" "$(stat number_of_executed_units)" \
    "$(stat average_exec_per_sec)" "${before:-?} → ${after:-?}" "$(stat new_units_added)" "$result"
  if [ "$result" != held ]; then grep -A3 'panicked at\|ERROR: libFuzzer' "$log" | head -12 || tail -12 "$log"; fi
  rm "$log"
done
exit $status
