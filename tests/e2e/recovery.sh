#!/usr/bin/env bash
# Recovery, beyond single cases: undefined instructions in the cells that every round needs, the scheduler's among them.
# Where one is met, the workload must go on with right checksums. Moments differ from run to run, so one in five may
# fail.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
delias=build/bin/delias
trap 'for m in $(timeout $wait_seconds "$delias" ps --json | jq -r ".[].name"); do
        timeout $wait_seconds "$delias" stop $m > /dev/null 2>&1
    done
    rm -rf "$work"' EXIT

# Without the scrubber, which puts a trap right before a task meets it twice, so that nothing would have to be reloaded.
sed "s|\.\./\.\./|$PWD/|; s|^cmdline:.*|cmdline: scrub=no|" configs/machines/default.yaml > "$work/machine.yaml"
cat > "$work/traps.yaml" << END
machine: $work/machine.yaml
targets:
$(printf -- '  - cell:%s:.text\n' channel workload memory_fs wait_queue run_queue scheduler heap timer task)
model: trap
count: 48
seed: 21
warmup_rounds: 1
jitter_ms: 20
rounds: 3
timeout_ms: $((1000 * hang_seconds))
END
timeout $guest_seconds "$delias" campaign run "$work/traps.yaml" -o "$work/traps.db" < /dev/null > "$work/out" 2>&1 ||
    { tail -n 20 "$work/out"; exit 1; }
timeout $wait_seconds "$delias" campaign report "$work/traps.db" --json > "$work/report"
jq -r '"\(.manifested) met, \(.recovered) recovered, \(.outcomes | tostring)"' "$work/report"
jq -e '.manifested >= 10 and .outcomes.restart > 0 and .outcomes.reload > 0 and
    (.manifested - .recovered) * 5 <= .manifested' "$work/report" > /dev/null ||
    { cat "$work/report"; tail -n 20 "$work/out"; exit 1; }
