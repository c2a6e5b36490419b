#!/usr/bin/env bash
# Measurements, each beside its peer from the same run, as ratios: times taken under emulation are not times.
#   bench.sh [BACKEND]   auto (default), kvm or tcg; prints a table and writes build/bench.json
set -eu
cd "$(dirname "$0")/../.."
delias=build/bin/delias
accel=${1:-auto}
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
machine=bench
trap '$delias stop $machine > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%d", v[int((NR + 1) / 2)] }'; }
counter() { $delias counters $machine --json | jq ".$1"; }
now_ns() { date +%s%N; }
row() { printf '%-44s %14s %s\n' "$1" "$2" "$3"; }

started=$(now_ns)
$delias run configs/machines/default.yaml --name $machine --accel "$accel" --detach > "$work/run" || { cat "$work/run"; exit 1; }
boot_ns=$(($(now_ns) - started))
head -n 1 "$work/run"
sleep 3

image_bytes=$(size -A build/delias.elf | awk '$1 == ".text" || $1 == ".rodata" { sum += $2 } END { print sum }')
cells=$($delias cells $machine --json | jq length)
edges=$($delias deps $machine --json | jq length)
first_us=$(sed -n 's/.*first cell loaded \([0-9]*\) us.*/\1/p' "$work/delias/$machine/serial.log" | head -n 1)
row 'nano_core, text and read-only data' "$image_bytes" 'bytes (mark: 65536)'
row 'cells, edges' "$cells" "cells, $edges edges"
row 'entry to first cell loaded' "$first_us" "us, $((first_us * 1000 * 100 / boot_ns))% of exec to ready"
row 'exec to ready, from the host' "$((boot_ns / 1000))" 'us: the peer of what follows'

: > "$work/pause"
for i in $(seq 10); do
    for object in channel_v2 channel; do
        $delias swap $machine channel=build/cells/$object.o --json | jq .pause_ns >> "$work/pause"
    done
done
pause=$(median < "$work/pause")
row 'swap of the channel: other CPUs stand still' "$((pause / 1000))" "us, median of 20; a reboot takes $((boot_ns / (pause + 1))) times as long"
[ "$(counter checksums_bad)" -eq 0 ] || { echo 'bench: the workload went wrong during the swaps'; exit 1; }

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
    ns=$(jq ".[] | select(.action == \"$action\" and .outcome == \"recovered\") | .recovery_ns" "$work/faults" | median)
    [ -n "$ns" ] && row "recovery by $action" "$((ns / 1000))" "us, median; a reboot takes $((boot_ns / (ns + 1))) times as long" ||
        row "recovery by $action" - 'no such recovery in this run'
done
jq -n --argjson image "$image_bytes" --argjson cells "$cells" --argjson edges "$edges" --argjson first "$first_us" \
    --argjson boot "$boot_ns" --argjson pause "$pause" \
    '{nano_core_bytes: $image, cells: $cells, edges: $edges, first_cell_us: $first, boot_ns: $boot, swap_pause_ns: $pause}' \
    > build/bench.json
