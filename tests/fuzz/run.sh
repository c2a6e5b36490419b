#!/usr/bin/env bash
# run.sh SECONDS TARGET ...: fuzzes each target for so many seconds, one after the other, from tests/fuzz/corpus/TARGET,
# the seeds that its source names, and what earlier runs found (build/fuzz/corpus/TARGET). A finding is kept in
# build/fuzz/found/ and fails the run. FUZZ_SEED=N makes the same inputs in the same order; without it each run differs.
set -u
cd "$(dirname "$0")/../.."
seconds=${1:?usage: run.sh SECONDS TARGET ...}
shift
failed=
mkdir -p build/fuzz/found
for target; do
    corpus=build/fuzz/corpus/$target
    mkdir -p "$corpus"
    # shellcheck disable=SC2046
    set -- $(sed -n 's/^ \* seeds: //p' "tests/fuzz/$target.c")
    [ $# -eq 0 ] || cp -u -- "$@" "$corpus" || exit 1
    folders=$corpus
    [ ! -d "tests/fuzz/corpus/$target" ] || folders="$folders tests/fuzz/corpus/$target"
    echo "fuzz $target: $seconds s"
    # shellcheck disable=SC2086
    if timeout $((seconds + 60)) nice "build/fuzz/$target" -seed="${FUZZ_SEED:-0}" -max_total_time="$seconds" \
        -timeout=20 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/found/$target-" $folders > "build/fuzz/$target.log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */  runs: /p' "build/fuzz/$target.log"
    else
        tail -n 60 "build/fuzz/$target.log"
        failed="$failed $target"
    fi
done
[ -z "$failed" ] || { echo "fuzz: findings in:$failed (inputs in build/fuzz/found/)" >&2; exit 1; }
echo "fuzz: nothing found"
