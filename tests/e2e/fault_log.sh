#!/usr/bin/env bash
# The log of faults outlives a reset: a cell fails until recovery gives it up and resets the machine, and what it did is
# in the log of the next boot, as it is after a reset from outside. Nothing of all that is left when memory is cleared.
# One fault is told as a story, with its line in the source and each step.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
host_begin fault_log

run() { # WORDS
    must 0 run --name "$machine" --accel tcg --cpus 1 --archive build/tests/guest.archive --append "$1" --detach \
        configs/machines/default.yaml
}
faults() { timeout $wait_seconds "$delias" faults "$machine" --json; }
has() { faults | jq -e "$1" > /dev/null 2>&1; } # EXPRESSION, of the array of faults
qmp() { # COMMAND: of QEMU itself, which leaves memory as it is
    local socket
    socket=$("$delias" ps --json | jq -r ".[] | select(.name == \"$machine\").qmp")
    echo "{\"execute\":\"$1\"}" | qemu_qmp "$socket" > "$work/qmp.out"
}

run app=stubborn
wait_until has 'any(.[]; .boot == 1 and .outcome == "failed" and .step == "machine reset")' ||
    fail 'after the reset the log does not have the fault that it was for'
wait_until has 'any(.[]; .boot == 2)' || fail 'the machine does not start again'
must 0 pause "$machine" # it would fail again, and be reset
has 'map(select(.boot == 1)) | length >= 16 and all(.[]; .outcome | IN("failed", "recovered")) and
    ([.[].seq] == [range(1; length + 1)])' || fail 'other faults of the first boot are not in the log'
has '[.[].time_ns] | all(. > 0)' || fail 'faults without a time'
seq=$(faults | jq '[.[] | select(.boot == 1)] | last.seq')
echo 'ok: after a reset by recovery'

must 0 faults "$machine" "$seq" --json
jq -e '.boot == 1 and .cell == "stubborn" and (.line | test("stubborn\\.c:[0-9]+$")) and
    (.steps | map(.step)) as $s | ($s | index("unwound")) < ($s | index("machine reset")) and
    ([.steps[].after_ns] | . == sort and .[0] > 0)' "$work/out" > /dev/null ||
    fail 'the story of the fault that cost the machine'
must 0 faults "$machine" "$seq"
grep -q 'an earlier one' "$work/out" && grep -q 'us  machine reset' "$work/out" || fail 'the story as text'
must 0 faults "$machine" $((seq - 1)) --json
jq -e '.steps | map(.step) | index("reloaded with fresh data") < index("restart waits") and
    index("restart waits") < index("restarted")' "$work/out" > /dev/null ||
    fail 'no reload, or no wait before a restart'
must 3 faults "$machine" 99999
echo 'ok: one fault, step by step'

must 0 reset "$machine"
must 0 resume "$machine"
wait_until has 'length > 0 and all(.[]; .boot == 1)' || fail 'what was cleared with memory is in the log'
echo 'ok: nothing is left when memory is cleared'

must 0 stop "$machine"
run 'app=workload scrub=no'
must 0 inject "$machine" --into symbol:channel_send+0+2 --model trap
wait_until has 'length > 0' || fail 'no fault'
qmp stop
qmp system_reset
qmp cont
wait_until has 'map(select(.kind == "reset")) | length == 1 and .[0].boot == 1' ||
    fail 'the reset itself is not in the log'
await_round() { [ "$(timeout $wait_seconds "$delias" counters "$machine" --json | jq .rounds)" -gt 0 ]; }
wait_until await_round || fail 'it does not start again'
has 'any(.[]; .boot == 1 and .cell == "channel")' || fail 'what was logged before a reset from outside is lost'
has 'map(select(.boot == 1)) | all(.outcome != "open")' || fail 'a fault of an earlier boot is open'
echo 'ok: after a reset from outside'
