#!/usr/bin/env bash
# The case studies of live evolution, phase by phase as in figure 9.1 of the thesis: median and worst of 1,000 swaps
# under load on 1, 2 and 4 CPUs. In instructions of all CPUs: one is one nanosecond there. BENCH_SWAPS: another number
# of swaps.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/rows.sh
make --no-print-directory build/tests/guest.archive > /dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
swaps=${BENCH_SWAPS:-1000}

measure() { # CASE CPUS
    local log=$work/$1.$2 phase
    timeout 3600 qemu-system-x86_64 -accel tcg,thread=single -icount shift=0,sleep=off -cpu max -smp "$2" -m 64M \
        -kernel build/delias.elf -initrd build/tests/guest.archive \
        -append "app=bench_swap bench=$1 swaps=$swaps on_panic=exit" -display none -serial "file:$log" \
        -device isa-debug-exit,iobase=0xf4 -no-reboot || true
    grep -aq 'TEST bench_swap: done' "$log" || { tail -n 5 "$log" >&2; return 1; }
    reboot=$(sed -n 's/^\[ *\([0-9]*\)\.\([0-9]*\)\] started.*/\1\2/p' "$log" | head -n 1)
    for phase in $(grep -a '^BENCH' "$log" | tr -d '\r' | head -n 1 | grep -o '[a-z]*=' | tr -d =); do
        grep -a '^BENCH' "$log" | grep -o " $phase=[0-9]*" | cut -d= -f2 > "$work/values"
        bench_row "$1, $phase, $2 CPUs" instructions \
            "$(bench_median < "$work/values")" "$(bench_worst < "$work/values")" \
            'entry to started, same machine' "$((10#$reboot * 1000))"
    done
}
for case in channel scheduler apic; do
    for cpus in 1 2 4; do
        measure $case $cpus
    done
done
