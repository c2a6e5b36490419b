#!/usr/bin/env bash
# The system as a whole: its size, its boot, the pause of a swap and recoveries, beside a reboot in the same run.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/rows.sh
delias=build/bin/delias
accel=${BENCH_ACCEL:-auto}
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
machine=bench
trap '$delias stop $machine > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

counter() { $delias counters $machine --json | jq ".$1"; }
now_ns() { date +%s%N; }

started=$(now_ns)
$delias run configs/machines/default.yaml --name $machine --accel "$accel" --detach > "$work/run" ||
    { cat "$work/run"; exit 1; }
boot_us=$((($(now_ns) - started) / 1000))
head -n 1 "$work/run"
sleep 3

bench_row 'nano_core, text and read-only data' bytes \
    "$(size -A build/delias.elf | awk '$1 == ".text" || $1 == ".rodata" { sum += $2 } END { print sum }')" - \
    'the mark' 65536
pages=0
for bytes in $(readelf -lW build/delias.elf | awk '$1 == "LOAD" && $5 != "0x000000" { print $6 }'); do
    pages=$((pages + (bytes + 4095) / 4096))
done
bench_row 'nano_core, before it is replaced' pages $pages
bench_row 'nano_core, before it is replaced' instructions \
    "$(objdump -d --no-show-raw-insn -j .text build/delias.elf | grep -cE '^[0-9a-f]+:')"
bench_row 'cells after boot' cells "$($delias cells $machine --json | jq length)"
bench_row 'dependencies between cells' edges "$($delias deps $machine --json | jq length)"
bench_row 'exec to ready, from the host' us $boot_us
bench_row 'entry to first cell loaded' us \
    "$(sed -n 's/.*first cell loaded \([0-9]*\) us.*/\1/p' "$work/delias/$machine/serial.log" | head -n 1)" - \
    'exec to ready' $boot_us

for i in $(seq 10); do
    for object in channel_v2 channel; do
        $delias swap $machine channel=build/cells/$object.o --json | jq '.pause_ns / 1000 | round' >> "$work/pause"
    done
done
bench_row 'swap of the channel: other CPUs stand still' us \
    "$(bench_median < "$work/pause")" "$(bench_worst < "$work/pause")" \
    'exec to ready' $boot_us
[ "$(counter checksums_bad)" -eq 0 ] || { echo 'the workload went wrong during the swaps' >&2; exit 1; }

# Each group on a machine that has just started: a cell that faults again and again within a minute is given up.
provoke() { # COUNT TARGET MODEL
    $delias stop $machine > /dev/null
    $delias run configs/machines/default.yaml --name $machine --accel "$accel" --detach > "$work/run"
    sleep 2
    for seed in $(seq "$1"); do
        $delias inject $machine --into "$2" --model "$3" --seed "$seed" > /dev/null
        sleep 1
    done
    $delias faults $machine --json > "$work/faults.$3"
}
provoke 8 symbol:channel_send+0+2 trap
provoke 12 task:producer:stack flip
jq -s add "$work"/faults.* > "$work/faults"
for action in restart reload; do
    jq ".[] | select(.action == \"$action\" and .outcome == \"recovered\") | .recovery_ns / 1000 | round" \
        "$work/faults" > "$work/$action"
    [ -s "$work/$action" ] || { echo "no recovery by $action in this run"; continue; }
    bench_row "recovery by $action" us "$(bench_median < "$work/$action")" "$(bench_worst < "$work/$action")" \
        'exec to ready' $boot_us
done
