#!/usr/bin/env bash
# A cell of the kernel that fails again and again: recovery tries 16 times, then the machine is reset, or halts where
# the command line says what a panic does. It is reset too when 200 faults in a row stay open. A task whose faults are
# blamed on no cell is given up after 64. A machine without a clock says so.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
mkdir -p build/tests/log
log=build/tests/log/give_up.serial

fail() { tail -n 40 "$log"; echo "give_up: $*" >&2; exit 1; }
run() { # WORDS PATTERN: on this command line the last thing that is said
    local status=0 faults
    guest_run build/delias.elf build/tests/guest.archive "app=stubborn $1" 1 "$log" -no-reboot || status=$?
    [ $status -ne 124 ] || fail "'$1': the machine goes on"
    faults=$(grep -ac 'fault [0-9]*: task stubborn: stubborn' "$log") || true
    [ "$faults" -eq 16 ] || fail "'$1': $faults faults before it is given up"
    tail -n 1 "$log" | grep -aq "$2" || fail "'$1': it does not end with: $2"
    echo "ok: '$1': $2"
}

run on_panic=exit 'PANIC: recovery has failed'
run '' 'recovery has failed; rebooting'

# Each fault is left, and its record stays open, since whoever closes it does not get to run.
guest_run build/delias.elf build/tests/guest.archive app=stormy 1 "$log" -no-reboot || true
tail -n 1 "$log" | grep -aq 'faults follow each other, and none is recovered from; rebooting' ||
    fail 'the machine goes on with 200 faults that are open'
grep -aq 'stormy: 150 faults' "$log" || fail 'the machine is reset before 200 faults are open'
! grep -aq 'stormy: 250 faults' "$log" || fail 'more than 200 faults are open'
echo 'ok: 200 open faults in a row'

guest_run build/delias.elf build/tests/guest.archive 'app=nowhere on_panic=exit' 1 "$log" -no-reboot || true
grep -aq 'nowhere: given up after 65 faults' "$log" || fail 'a task whose faults are blamed on no cell'
echo 'ok: 64 faults that are blamed on no cell'

# Nothing but these clocks has a rate that is known: without all of them no time can be told.
guest_run build/delias.elf build/tests/guest.archive on_panic=exit 1 "$log" -machine pit=off,hpet=off,acpi=off || true
grep -aq 'timer: no clock .*PIT.*HPET.*ACPI.*CPUID' "$log" && tail -n 1 "$log" | grep -aq 'PANIC' ||
    fail 'a machine without a clock does not say what it lacks'
echo 'ok: without a clock'
