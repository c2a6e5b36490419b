#!/usr/bin/env bash
# Many cells from one command line: loaded in their order, faster than one by one; the first that is refused ends it.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin load
cells=build/cells

is_loaded() { "$delias" cells $machine --json | jq -e --arg n "$1" 'any(.[]; .name == $n)' > /dev/null; }
unload_all() { # NAME...
    for n in "$@"; do
        must 0 unload $machine "$n"
    done
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

must 0 run --name $machine --archive build/tests/guest.archive --append app=workload --detach
await rounds 1
names=(test_{canvas,churn,clock,disturb,heap,memory_fs,pages,sleep,spawn,wait})
files=("${names[@]/#/$cells/}")
files=("${files[@]/%/.o}")

must 0 load $machine "${files[@]}"
[ "$(cat "$work/out")" = "$(printf 'loaded %s\n' "${names[@]}")" ] || fail 'not all, or not in their order'
unload_all "${names[@]}"
must 0 load "${files[@]}" --machine $machine --json
[ "$(jq -s 'map(.ok) | [all, length] | join(" ")' "$work/out")" = '"true 10"' ] || fail 'no answer for each'
unload_all "${names[@]}"
echo 'ok: many cells are loaded by one command'

echo 'no object' > "$work/text.o"
must 1 load $machine $cells/test_wait.o "$work/text.o" $cells/test_heap.o
grep -q 'text.o: refused' "$work/err" && grep -qx 'loaded test_wait' "$work/out" || fail 'the wrong one is not named'
is_loaded test_wait && ! is_loaded test_heap || fail 'what comes before the wrong one, and no more'
unload_all test_wait
must 3 load nowhere $cells/test_wait.o
must 2 load $machine
echo 'ok: the first that is refused is named, and ends it'

one=$(milliseconds)
for f in "${files[@]}"; do
    must 0 load $machine "$f"
done
one=$(($(milliseconds) - one))
unload_all "${names[@]}"
all=$(milliseconds)
must 0 load $machine "${files[@]}"
all=$(($(milliseconds) - all))
echo "ok: ten cells take $all ms at once, $one ms one by one"
