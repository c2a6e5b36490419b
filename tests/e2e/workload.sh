#!/usr/bin/env bash
# The workload on 1, 2 and 4 CPUs, and parts of it by themselves: every round is right, the log ends with its line, the
# debug port ends the machine.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
mkdir -p build/tests/log

run() { # CPUS NAME OPTION...
    local cpus=$1 log=build/tests/log/workload.$2.serial status=0
    GUEST_RAM=128 guest_run build/delias.elf build/cells.archive \
        "app=workload rounds=40 exit=1 on_panic=exit ${*:3}" "$cpus" "$log" || status=$?
    grep -aq 'workload: 40 rounds, 40 ok, 0 bad' "$log" && [ $status -eq 33 ] && return
    tail -n 30 "$log"
    echo "workload: failed on $cpus CPUs, $2, the hypervisor's status $status (33 wanted), all of the output: $log" >&2
    exit 1
}
for cpus in 1 2 4; do
    run $cpus $cpus
    echo "ok: $cpus CPUs: 40 rounds"
done
for parts in channel graphics files spawn memory open read write graphics,open,channel,write,spawn,read,memory,files; do
    run 1 "parts.${parts%%,*}" "workload=$parts"
done
(run 1 none workload=graphics,paint) > /dev/null 2>&1 && exit 1
grep -aq "workload: can't start" build/tests/log/workload.none.serial
echo 'ok: parts by themselves, and all; a part that there is not'
