#!/usr/bin/env bash
# run.sh NAME [CPUS]: runs a guest test of tests/guest/list on each number of CPUs in its line, or on CPUs. It passes if
# its cell prints the line "TEST cell: done", and the judge agrees where its line in the list names one.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh

name=${1:?usage: run.sh NAME [CPUS]}
words="app=$name" qemu= ram= judge=
line=$(grep "^$name " tests/guest/list) || { echo "$name: not in tests/guest/list" >&2; exit 2; }
read -r _ cpus settings <<< "$line"
eval "$settings"
[ -z "$ram" ] || export GUEST_RAM=$ram
cpus=${2:-$cpus}
[[ $words =~ (app|start)=([a-z0-9_]+) ]]
cell=${BASH_REMATCH[2]}
[ -z "$qemu" ] || command -v qemu-system-x86_64 > /dev/null || { echo "$name: needs QEMU"; exit 77; }

mkdir -p build/tests/log
run_on() { # CPUS
    local log=build/tests/log/$name.$1.serial status=0
    local all="$words on_panic=exit wait_seconds=$wait_seconds"
    # shellcheck disable=SC2086
    guest_run build/delias.elf build/tests/guest.archive "$all" "$1" "$log" $qemu || status=$?
    if ! grep -aq "TEST $cell: done" "$log" || grep -aqE 'FAILED|PANIC' "$log"; then
        tail -n 40 "$log"
        echo "$name: failed on $1 CPUs, the hypervisor's status $status, all of the output: $log" >&2
        return 1
    fi
    if [ -n "$judge" ] && ! "$judge" "$log"; then
        echo "$name: the host judges otherwise, all of the output: $log" >&2
        return 1
    fi
    echo "$1 CPUs:"
    tr -d '\r' < "$log" | grep -a "TEST $cell: " | sed 's/^.*TEST /  /'
}
for n in ${cpus//,/ }; do
    run_on "$n"
done
