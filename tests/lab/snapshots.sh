#!/usr/bin/env bash
# Snapshots on delias-vmm: a machine is taken and put back, while it runs and while it is paused, in its own process and
# in a new one, with nothing left over: RAM, CPUs and devices are compared whole each time. Bad files change nothing.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
[ -c /dev/kvm ] && [ -w /dev/kvm ] || { echo 'no /dev/kvm'; exit 77; }
host_begin snapshots
folder=$XDG_STATE_HOME/delias/snapshots/$machine

start() {
    must 0 run --name $machine --accel kvm --kernel build/delias.elf --archive build/cells.archive --detach \
        --timeout 3600
}
sound() { # the guest runs, and nothing of it is damaged
    local rounds
    must 0 ping $machine --timeout 3600
    must 0 verify $machine
    rounds=$(counter rounds)
    await rounds $((rounds + 2))
    [ "$(counter checksums_bad)" = 0 ] && [ "$(counter faults)" = 0 ] || fail "$1: the guest has lost something"
}
restored() { # NAME: put back, compared whole
    must 0 restore $machine "$1" --audit --json
    jq -c . "$work/out"
}

start
await rounds 2
must 0 snapshot $machine first
rounds=$(counter rounds)
await rounds $((rounds + 3))
must 0 pause $machine
restored first
[ "$(counter rounds)" -le $((rounds + 1)) ] || fail 'it has not gone back'
restored first
jq -e '.[0].put_back == 0' "$work/out" > "$work/err" || fail 'it was not put back whole'
must 0 snapshot $machine again
restored first
must 0 resume $machine
sound 'put back while paused'
for _ in 1 2 3; do
    restored first
    must 0 ping $machine --timeout 3600
done
sound 'put back while it ran'
must 0 reset $machine
wait_until reached rounds 1 || fail 'no rounds after a reset'
restored again
sound 'after a reset'
must 0 stop $machine

start
head -c 50000 "$folder/first.snapshot" > "$folder/bad.snapshot"
must 1 restore $machine bad
restored first
sound 'in another process'

# What is no state is refused, and the machine is as it was.
qmp() { # LINE
    printf '{"execute":"qmp_capabilities"}%s' "$1" |
        socat -t $wait_seconds - "UNIX-CONNECT:$XDG_RUNTIME_DIR/delias/$machine/qmp.sock" > "$work/out"
}
qmp '{"execute":"save-state","arguments":{"filename":"/tmp/running"}}'
grep -q 'stop it first' "$work/out" || fail 'the state of a machine that runs is saved'
must 0 pause $machine
head -c 5000 /dev/urandom > "$work/random"
for file in "$work/random" "$folder/first.snapshot" "$work/none" /dev/zero; do
    qmp "{\"execute\":\"load-state\",\"arguments\":{\"filename\":\"$file\"}}"
    grep -q '"error"' "$work/out" || fail "$file is taken for a state"
done
qmp '{"execute":"save-state","arguments":{"filename":"/none/at/all"}}'
grep -q '/none/at/all' "$work/out" || fail 'a file that cannot be written is not named'
must 0 resume $machine
sound 'after bad states'
echo 'snapshots on delias-vmm: put back whole'
