#!/usr/bin/env bash
# Feeds hostile files to each reader: builds the targets of tests/fuzz with clang, libFuzzer and the
# address and undefined-behaviour sanitizers into build-fuzz, and runs one after another from the
# inputs found so far (build-fuzz/corpus). An allocation of more than 256 MB, more than 1 GB in all,
# or 10 s for one input is a crash too; what crashed is kept in build-fuzz/crashes.
#
#   tools/fuzz.sh [SECONDS] [TARGET...]     60 seconds, all targets
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_EACH=${1:-60}
shift || true
BUILD=${LONGSPAN_FUZZ_BUILD:-build-fuzz}
TARGETS=("$@")
if ((${#TARGETS[@]} == 0)); then
  TARGETS=(tests/fuzz/*_fuzz.cpp)
  TARGETS=("${TARGETS[@]##*/}")
  TARGETS=("${TARGETS[@]%_fuzz.cpp}")
fi

command -v clang++ >/dev/null || { echo "fuzz: apt-get install clang libomp-dev" >&2; exit 1; }
cmake -G Ninja -S . -B "$BUILD" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLONGSPAN_FUZZ=ON -DLONGSPAN_TESTS=OFF \
  -DLONGSPAN_BENCH=OFF >/dev/null
cmake --build "$BUILD" --target "${TARGETS[@]/%/_fuzz}"
python3 tests/fuzz/make_seeds.py "$BUILD/seeds"

TMPDIR=$(mktemp -d -p /dev/shm longspan-fuzz-XXXXXX) # the inputs are read as files
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# LibTorch makes allocations fail by itself; leaks are looked for at the end of a run.
export ASAN_OPTIONS=allocator_may_return_null=0:detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1
export OMP_NUM_THREADS=1

# What a run found, one line from libFuzzer's log.
summary() {
  local log=$1 crashes=$2
  awk -v crashes="$crashes" '
    match($0, /cov: [0-9]+/) { cov = substr($0, RSTART + 5, RLENGTH - 5) }
    /stat::number_of_executed_units:/ { runs = $2 }
    /^#[0-9]+/ { seen = substr($1, 2) }
    END { printf "%10d runs  %6d edges  %d crashes\n", runs ? runs : seen, cov, crashes }' "$log"
}

failed=0
table=()
for target in "${TARGETS[@]}"; do
  corpus=$BUILD/corpus/$target crashes=$BUILD/crashes/$target log=$BUILD/$target.log
  mkdir -p "$corpus" "$crashes" "$BUILD/seeds/$target"
  options=(-max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$crashes/")
  [[ ! -f tests/fuzz/$target.dict ]] || options+=(-dict="tests/fuzz/$target.dict")
  echo "fuzz: $target for $SECONDS_EACH s"
  before=$(find "$crashes" -type f | wc -l)
  "$BUILD/tests/fuzz/${target}_fuzz" "${options[@]}" "$corpus" "$BUILD/seeds/$target" \
    >"$log" 2>&1 || failed=1
  after=$(find "$crashes" -type f | wc -l)
  ((after == before)) || grep -m 3 -E "ERROR|runtime error|SUMMARY" "$log" || true
  table+=("$(printf '%-16s %s' "$target" "$(summary "$log" $((after - before)))")")
done
printf '%s\n' "${table[@]}"
exit "$failed"
