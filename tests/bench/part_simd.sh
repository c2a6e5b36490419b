#!/usr/bin/env bash
# What a switch of tasks costs, with and without SIMD state, in instructions. An XSAVE or XRSTOR counts as one.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/rows.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT

timeout 300 qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -cpu max -m 64M -kernel build/delias.elf \
    -initrd build/tests/guest.archive -append 'app=bench_simd on_panic=exit' -display none -serial "file:$log" \
    -device isa-debug-exit,iobase=0xf4 -no-reboot || true
grep -aq 'TEST bench_simd: done' "$log" || { tail -n 20 "$log"; exit 1; }
figure() { tr -d '\r' < "$log" | sed -n "s/.*BENCH switch $1 \([0-9]*\) \([0-9]*\)\$/\\$2/p"; }
bench_row 'switch of tasks with SIMD state' instructions "$(figure simd 1)" "$(figure simd 2)" \
    'switch of tasks without' "$(figure plain 1)"
bench_row 'switch of tasks without SIMD state' instructions "$(figure plain 1)" "$(figure plain 2)"
