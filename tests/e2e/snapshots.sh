#!/usr/bin/env bash
# Snapshots: a machine is taken and put back, in its own process and in a new one; the list is a tree; damaged files and
# those of other machines are refused before anything is changed; a full disk and a killed program leave the old one.
# usage: tests/e2e/snapshots.sh [BACKEND]
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
host_begin snapshots
backend=${1:-tcg}
[ "$backend" != kvm ] || { [ -c /dev/kvm ] && [ -w /dev/kvm ]; } || { echo 'no /dev/kvm'; exit 77; }
[ ! -x build/asan/bin/delias ] || delias=build/asan/bin/delias
folder=$XDG_STATE_HOME/delias/snapshots/$machine
build=(--kernel build/delias.elf --archive build/cells.archive)

start() { must 0 run --name $machine --accel "$backend" "${build[@]}" --detach "$@"; }
snapshot_field() { # NAME KEY
    must 0 snapshots $machine --json
    jq -r ".[] | select(.name == \"$1\") | .$2" "$work/out"
}
sound() { # the guest runs, and nothing of it is damaged
    local rounds
    must 0 ping $machine
    must 0 verify $machine
    rounds=$(counter rounds)
    await rounds $((rounds + 2))
    [ "$(counter checksums_bad)" = 0 ] && [ "$(counter faults)" = 0 ] || fail "$1: the guest has lost something"
}

# ---- taken and put back, while it runs and while it is paused ----

start
await rounds 2
must 0 snapshot $machine
at=$(counter rounds)
[ "$(snapshot_field snapshot-1 current)" = yes ] || fail 'the first one has no name, or is not current'
await rounds $((at + 20))
must 0 snapshot $machine later
[ "$(snapshot_field later parent)" = snapshot-1 ] || fail 'the second one is not below the first'
must 0 pause $machine
after=$(counter rounds)
must 0 restore $machine snapshot-1 --audit --json
jq -e '.[0] | .put_back > 0 and .put_back < 20000 and .mismatches == 0 and .audited == "yes"' "$work/out" \
    > "$work/err" ||
    fail 'what restore tells'
before=$(counter rounds)
[ "$before" -le $((at + 1)) ] && [ "$before" -lt "$after" ] || fail "$before rounds after going back to $at"
sleep 1
[ "$(counter rounds)" = "$before" ] || fail 'a paused machine runs after it was put back'
must 0 restore $machine snapshot-1 --json
[ "$backend" = tcg ] || jq -e '.[0].put_back == 0' "$work/out" > "$work/err" || fail 'it was not put back whole'
must 0 resume $machine
sound 'after the first'

# What the host writes is put back like what the guest writes.
must 0 restore $machine snapshot-1
for _ in 1 2 3; do
    must 0 reload $machine canvas
    must 0 restore $machine snapshot-1 --audit
done
sound 'after the fifth'

# ---- a tree ----

must 0 snapshot $machine branch
[ "$(snapshot_field branch parent)" = snapshot-1 ] || fail 'a branch is not below what was put back'
must 0 restore $machine later
must 0 snapshot $machine leaf
must 0 snapshots $machine
grep -q '^snapshot-1 ' "$work/out" && grep -q '^  branch ' "$work/out" && grep -q '^    leaf *yes' "$work/out" ||
    fail 'the list is no tree'
sound 'after the tree'
must 0 reset $machine
[ "$(snapshot_field leaf current)" = '' ] || fail 'a machine that was reset stems from a snapshot'
wait_until reached rounds 1 || fail 'no rounds after a reset'
must 0 restore $machine leaf --audit
sound 'after a reset'

# ---- in another process ----

must 0 stop $machine
must 0 snapshots $machine
grep -q leaf "$work/out" || fail 'snapshots are gone with their machine'
must 3 restore $machine leaf
start
must 0 restore $machine later --audit
sound 'in another process'
must 3 restore $machine unknown
grep -q "has no snapshot 'unknown'" "$work/err" || fail 'an unknown snapshot is not named'
must 1 restore $machine ../later
must 1 snapshot $machine .hidden

# ---- what is damaged or of another machine is refused, and nothing is changed ----

must 0 pause $machine
rounds=$(counter rounds)
size=$(stat -c %s "$folder/later.snapshot")
for cut in 0 1 55 4096 $((size / 2)) $((size - 1)); do
    head -c "$cut" "$folder/later.snapshot" > "$folder/bad.snapshot"
    must 1 restore $machine bad
done
for at in 8 60 5000 $((size / 2 / 4096 * 4096)) $((size - 20)); do
    cp "$folder/later.snapshot" "$folder/bad.snapshot"
    printf '\377\377\377\377\377\377\377\377' | dd of="$folder/bad.snapshot" bs=1 seek=$at conv=notrunc status=none
    must 1 restore $machine bad
    grep -qE 'damaged|version|not a file' "$work/err" || fail "byte $at: what is wrong is not said"
done
must 0 snapshots $machine
grep -q '^bad.*damaged' "$work/out" || fail 'the list does not say what is damaged'
rm "$folder/bad.snapshot"
[ "$(counter rounds)" = "$rounds" ] || fail 'a refused snapshot has changed the machine'
must 0 resume $machine
sound 'after bad files'
must 0 stop $machine
start --cpus 1
must 1 restore $machine later
grep -q '2 CPUs' "$work/err" || fail 'another number of CPUs is not named'
must 0 stop $machine
start --ram 96M
must 1 restore $machine later
must 0 stop $machine
cp build/cells.archive "$work/other.archive"
printf x >> "$work/other.archive"
build=(--kernel build/delias.elf --archive "$work/other.archive")
start
must 1 restore $machine later
grep -q 'another build' "$work/err" || fail 'another build is not named'
await rounds 1

# ---- a full disk, a killed program, a killed machine ----

build=(--kernel build/delias.elf --archive build/cells.archive)
must 0 stop $machine
start
await rounds 1
must 0 snapshot $machine kept
sum=$(cksum < "$folder/kept.snapshot")
(
    ulimit -f 2048 # of a KiB each
    trap '' XFSZ
    timeout $wait_seconds "$delias" snapshot $machine kept > "$work/out" 2> "$work/err"
) && fail 'a snapshot fits where there is no room'
grep -q 'still is' "$work/err" || fail 'a full disk is not named'
[ "$(cksum < "$folder/kept.snapshot")" = "$sum" ] || fail 'a full disk has cost the old snapshot'
must 0 resume $machine
sound 'after a full disk'
for ms in 005 020 050 090; do
    timeout -s KILL 0.$ms "$delias" snapshot $machine kept > "$work/out" 2>&1
    must 0 resume $machine
done
must 0 restore $machine kept --audit
sound 'after killed programs'
kill -9 "$(jq .pid "$XDG_RUNTIME_DIR/delias/$machine/machine.json")"
must 0 snapshots $machine
! grep -qE 'damaged' "$work/out" || fail 'a killed machine has cost a snapshot'
start
must 0 restore $machine kept --audit
sound 'after a killed machine'
echo "snapshots on $backend: taken, put back, refused where they must be"
