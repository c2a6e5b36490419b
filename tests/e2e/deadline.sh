#!/usr/bin/env bash
# TRANSFER and INIT functions that never end, from the host: the request is refused, the reason names the function, its
# cell and its deadline, and the next request is served.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin deadline
cells=build/cells

version() { "$delias" cells $machine --json | jq -r '.[] | select(.name == "endless") | .version'; }
refused() { # WORDS
    grep -qF -- "$1" "$work/err" || fail "the reason is not '$1'"
}
how() { # a number of enum endless_how
    must 0 spawn $machine endless_help "$1"
    sleep 0.2
}

must 0 run --name $machine --accel auto --archive build/tests/guest.archive --append app=workload --detach
must 0 load $machine $cells/endless_help.o
must 0 load $machine $cells/endless.o
for n in 1 2; do # in the function itself, with a lock held
    how $n
    must 1 swap $machine endless=$cells/endless_v2.o --transfer-ms 400 --timeout $wait_seconds
    refused 'refused: timed out: endless: its transfer function exceeds 400 ms, in endless_transfer'
    [ "$(version)" = 1 ] || fail 'the swap was not taken back'
    must 0 ping $machine
done
must 1 swap $machine endless=$cells/endless_v2.o --timeout $wait_seconds
refused 'its transfer function exceeds 2000 ms'
"$delias" faults $machine --last 1 --json |
    jq -e '.[0] | .kind == "hang" and .cell == "endless" and .outcome == "recovered"' > /dev/null || fail 'the fault'
"$delias" swaps $machine --last 1 --json |
    jq -e '.[0] | .outcome == "timed out" and .cells == "endless 1>2" and (.detail | contains("exceeds 2000 ms"))' \
        > /dev/null || fail 'the log of swaps'
must 2 swap $machine endless=$cells/endless_v2.o --transfer-ms 60001
echo 'ok: a transfer function that does not end is ended, and the reason names it'

must 1 load $machine $cells/endless_late.o --timeout $wait_seconds
refused 'refused: timed out: endless_late: its init function exceeds 5000 ms, in endless_late_init'
[ "$("$delias" cells $machine --all --json | jq '[.[] | select(.name == "endless_late")] | length')" -eq 0 ] ||
    fail 'the cell is still there'
echo 'ok: an init function that does not end is ended, and the cell is not loaded'

how 9 # asleep, and nobody wakes it
must 1 load $machine $cells/endless_late.o --timeout $wait_seconds
refused 'timed out: endless_late: its init function exceeds 5000 ms, asleep, in endless_late_init'
"$delias" swaps $machine --last 1 --json |
    jq -e '.[0] | .outcome == "timed out" and .cells == "endless_late 0>0"' > /dev/null || fail 'the log of swaps'
must 1 swap $machine endless=$cells/endless_v2.o --transfer-ms 400 --timeout $wait_seconds
refused 'endless: sleeps with a lock, in an interrupt, or where it has to stay, in endless_transfer'
must 0 ping $machine
echo 'ok: one that sleeps for ever is ended too, and a transfer function that sleeps'

how 6 # a panic, whose cleanup does not end
must 1 swap $machine endless=$cells/endless_v2.o --transfer-ms 400 --timeout $wait_seconds
refused 'the request ended in a fault: endless: a panic whose cleanup does not end, in endless_transfer'
how 0
must 0 swap $machine endless=$cells/endless_v2.o
must 0 load $machine $cells/endless_late.o
[ "$(version)" = 2 ] || fail 'no swap'
must 0 verify $machine
await rounds 2
"$delias" counters $machine --json | jq -e '.checksums_bad == 0' > /dev/null || fail 'a bad checksum'
echo 'ok: a fault in one is named, too; good ones work afterwards'
