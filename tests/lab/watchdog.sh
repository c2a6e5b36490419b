#!/usr/bin/env bash
# A guest that hangs with interrupts off and has no watchdog of its own: delias-vmm resets it, and its log says what the
# guest's last faults were. One that is stopped meanwhile is not reset.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
[ -c /dev/kvm ] && [ -w /dev/kvm ] || { echo 'no /dev/kvm'; exit 77; }

limit=10
dir=$(mktemp -d)
vmm=0
trap '[ $vmm -eq 0 ] || kill -9 $vmm 2> /dev/null; rm -rf "$dir"' EXIT

fail() {
    echo "FAILED: $*"
    tail -n 20 "$dir/err" "$dir/serial.log"
    exit 1
}
boots() { [ "$(grep -c 'first cell loaded' "$dir/serial.log" 2> /dev/null)" = "$1" ]; }
has_reset() { grep -q "has had no tick for $limit s" "$dir/err"; }
qmp() {
    { echo '{"execute":"qmp_capabilities"}'; echo "{\"execute\":\"$1\"}"; } |
        socat -t $wait_seconds - "UNIX-CONNECT:$dir/qmp" > "$dir/qmp.out"
}

# test_watchdog first hangs the only CPU
build/bin/delias-vmm --kernel build/delias.elf --archive build/tests/guest.archive --cpus 1 --qmp "$dir/qmp" \
    --append 'app=test_watchdog watchdog=no' --watchdog $limit --serial-log "$dir/serial.log" 2> "$dir/err" &
vmm=$!
wait_until boots 1 || fail 'the guest does not start'
wait_until has_reset || fail 'a guest that hangs is not reset'
wait_until boots 2 || fail 'the guest does not start again'
qmp stop
grep -q '"event": *"STOP"' "$dir/qmp.out" || fail 'it cannot be stopped'
resets=$(grep -c 'has had no tick' "$dir/err")
sleep $((limit * 2))
[ "$(grep -c 'has had no tick' "$dir/err")" = "$resets" ] || fail 'a stopped guest was reset'
kill $vmm
wait $vmm
vmm=0
echo 'a guest that hangs is reset, a stopped one is not'
