#!/usr/bin/env bash
# The workload on 1, 2 and 4 CPUs: every round is right, the log ends with its line, the debug port ends the machine.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
mkdir -p build/tests/log
for cpus in 1 2 4; do
    log=build/tests/log/workload.$cpus.serial
    status=0
    GUEST_RAM=128 guest_run build/delias.elf build/cells.archive \
        'app=workload rounds=40 exit=1 on_panic=exit' "$cpus" "$log" || status=$?
    if ! grep -aq 'workload: 40 rounds, 40 ok, 0 bad' "$log" || [ $status -ne 33 ]; then
        tail -n 30 "$log"
        echo "workload: failed on $cpus CPUs, the hypervisor's status $status (33 wanted), all of the output: $log" >&2
        exit 1
    fi
    echo "ok: $cpus CPUs: 40 rounds"
done
