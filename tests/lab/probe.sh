#!/bin/bash
# delias-vmm on /dev/kvm with the probe guest: boot, processors, every way to reset, QMP, console, hostile clients,
# exit.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
[ -c /dev/kvm ] && [ -w /dev/kvm ] || { echo 'no /dev/kvm'; exit 77; }

dir=$(mktemp -d)
vmm=0
trap '[ $vmm -eq 0 ] || kill -9 $vmm 2> /dev/null; rm -rf "$dir"' EXIT
head -c 5000 build/bin/delias-vmm > "$dir/module"

fail() {
    echo "FAILED: $*"
    cat "$dir/err"
    [ ! -s "$dir/serial.log" ] || tail -n 20 "$dir/serial.log" | sed 's/^/serial: /'
    exit 1
}

start() {
    rm -f "$dir/serial.log"
    build/bin/delias-vmm --kernel build/tests/probe.elf --archive "$dir/module" --append "${2:-one two}" --cpus "$1" \
        ${3:+"$3"} --ram "${4:-67108864}" --qmp "$dir/qmp" --control "$dir/control" --serial "$dir/console" \
        --serial-log "$dir/serial.log" 2> "$dir/err" &
    vmm=$!
}

# Waits until the serial log holds line $1 $2 times, or KVM has given up once more than it is to.
stops=0
await() {
    wait_until printed_or_stopped "$1" "$2"
    printed "$1" "$2" || fail "'$1' was not printed $2 times"
}
printed_or_stopped() { printed "$@" || [ "$(grep -c 'KVM gave up' "$dir/err")" -gt $stops ]; }
printed() { [ "$(grep -c -- "$1" "$dir/serial.log" 2> /dev/null)" = "$2" ]; }

type_in() {
    printf '%s' "$1" | socat -u - "UNIX-CONNECT:$dir/console" || fail 'console'
}

# Commands, one a word, on one connection; prints what came back.
qmp() {
    { echo '{"execute":"qmp_capabilities"}'; for c in "$@"; do echo "{\"execute\":\"$c\",\"id\":\"$c\"}"; done; } |
        socat -t $wait_seconds - "UNIX-CONNECT:$dir/qmp"
}

broken() { grep -q internal-error <<< "$(qmp query-status)"; }

expect() {
    grep -q -- "$2" <<< "$1" || fail "expected $2 in: $1"
}

for cpus in 1 2 4; do
    start $cpus
    await ready 1
    grep -q "processors listed $cpus" "$dir/serial.log" || fail "MADT with $cpus"
    grep -q "processors that run $cpus" "$dir/serial.log" || fail "start of $cpus processors"
    type_in q
    wait $vmm
    [ $? -eq 85 ] || fail "debug exit of 42 is status $?"
    vmm=0
done
grep -q "command line 'one two'" "$dir/serial.log" || fail 'command line'
grep -q 'module bytes 5000' "$dir/serial.log" || fail 'module'
grep -q 'module offset in page 0' "$dir/serial.log" || fail 'module is not page-aligned'
grep -q 'virtualization offered 0' "$dir/serial.log" || fail 'CPUID'
grep -q 'hypervisor and TSC deadline 2' "$dir/serial.log" || fail 'CPUID says nothing of a hypervisor or its timer'
grep -q 'ram ends at KiB 65536' "$dir/serial.log" || fail 'memory map'
echo 'boots with 1, 2 and 4 processors'

start 2
boot=1
await ready 1
for way in k c t; do
    type_in x
    type_in $way
    boot=$((boot + 1))
    await ready $boot
    await "boot number $boot" 1
done
expect "$(qmp system_reset)" '"event": *"RESET"'
await ready 5
type_in l
await 'leftover 0' 1
[ "$(grep -c 'processors that run 2' "$dir/serial.log")" = 5 ] || fail 'processors after resets'
[ "$(sort -u "$dir/serial.log" | grep -c 'module hash')" = 1 ] || fail 'the module changed over resets'
# By QMP while a processor copies from a device: memory outlives a reset that the guest makes.
for n in 6 7 8; do
    type_in m
    await copying $((n - 5))
    expect "$(qmp system_reset)" '"event": *"RESET"'
    await ready $n
    type_in w
    await 'words left 0' $((n - 5))
done
[ "$(grep -c 'processors that run 2' "$dir/serial.log")" = 8 ] || fail 'processors after a reset amid a copy'
# What a guest has written is gone after a reset by QMP; its own resets leave the CMOS RAM. Without hardware below it
# KVM shows the host's TSC.
megacycles() { sed -n 's/^megacycles //p' "$dir/serial.log" | tail -n 1; }
line_is_whole() { [ -z "$(tail -c 1 "$dir/serial.log")" ]; }
cycles() { # COMMAND that tells the TSC
    local lines
    lines=$(grep -c '^megacycles' "$dir/serial.log")
    type_in "$1"
    await '^megacycles' $((lines + 1))
    wait_until line_is_whole
    megacycles
}
for way in k qmp; do
    written=$(cycles v)
    type_in b
    ! kvm_works || [ "$written" -ge 2147483648 ] || fail "the TSC cannot be written: $written"
    if [ $way = qmp ]; then expect "$(qmp system_reset)" '"event": *"RESET"'; else type_in $way; fi
    n=$((n + 1))
    await ready $n
    ! kvm_works || [ "$(megacycles)" -lt 1000000 ] || fail "the TSC outlives a reset by $way"
    grep '^boot number' "$dir/serial.log" | tail -n 1 >> "$dir/boots"
done
[ "$(cat "$dir/boots")" = $'boot number 100\nboot number 1' ] || fail "CMOS RAM: $(cat "$dir/boots")"
for line in 'MTRRs 3078' 'PAT '; do
    [ "$(grep "^$line" "$dir/serial.log" | sort | uniq -c | awk '{ print $1 }')" = $n ] || fail "$line after a reset"
done
echo 'resets by keyboard controller, port cf9, triple fault and QMP, amid a copy from a device; nothing is left'

expect "$(qmp query-status)" '"running": *true'
out=$(qmp stop query-status)
expect "$out" '"event": *"STOP"'
expect "$out" '"status": *"paused"'
type_in p
sleep 1
grep -q pong "$dir/serial.log" && fail 'a paused guest answered'
expect "$(qmp system_reset query-status)" '"status": *"paused"'
expect "$(qmp cont)" '"event": *"RESUME"'
await ready 11
type_in p
await pong 1
# Its clock against the host's: as fast while it runs, not at all while it is paused.
first=$(cycles s)
begin=$SECONDS
sleep 3
second=$(cycles s)
between=$SECONDS
expect "$(qmp stop)" '"event": *"STOP"'
sleep $((3 * (between - begin)))
expect "$(qmp cont)" '"event": *"RESUME"'
third=$(cycles s)
! kvm_works || [ $((3 * (third - second) * (between - begin))) -lt $((2 * (second - first) * (SECONDS - between))) ] ||
    fail "a pause is seen: $first, $second, $third megacycles"
expect "$(qmp query-commands)" '"system_reset"'
expect "$(qmp nonsense)" 'CommandNotFound'
expect "$(echo '{"execute":"stop"}' | socat -t $wait_seconds - "UNIX-CONNECT:$dir/qmp")" 'CommandNotFound'
echo 'QMP: stop, cont, reset while paused, refusals'

ask() { # COMMAND [ARGUMENTS]
    printf '{"execute":"qmp_capabilities"}{"execute":"%s","arguments":%s}' "$1" "${2:-{\}}" |
        socat -t $wait_seconds - "UNIX-CONNECT:$dir/qmp"
}
expect "$(ask query-cpus-fast)" '"cpu-index": *1.*"thread-id": *[1-9]'
expect "$(ask query-stats '{"target":"vcpu"}')" '"io_exits","value":[1-9]'
expect "$(ask query-stats '{"target":"vm"}')" '"serial_writes","value":[1-9]'
expect "$(ask human-monitor-command '{"command-line":"info registers -a"}')" 'CPU#1.*RIP=0.*CR3='
expect "$(ask human-monitor-command '{"command-line":"info registers","cpu-index":7}')" '"error"'
expect "$(ask human-monitor-command '{"command-line":"info nonsense"}')" 'unknown command'
expect "$(ask system_powerdown)" '"event": *"POWERDOWN"'
for paging in false true; do
    expect "$(ask dump-guest-memory "{\"paging\":$paging,\"protocol\":\"file:$dir/core\"}")" '^{"return":{}}.*$'
    readelf -l "$dir/core" 2> /dev/null | grep -q LOAD || fail "the dump, paging $paging"
    readelf -n "$dir/core" 2> /dev/null | grep -q 'NT_PRSTATUS' || fail "registers in the dump, paging $paging"
done
if command -v gdb > /dev/null; then
    gdb -nx -batch build/tests/probe.elf "$dir/core" -ex 'info threads' -ex 'x/4bx 0x91000' > "$dir/gdb" 2>&1
    grep -q 'LWP 2' "$dir/gdb" && grep -q '0x91000:.*0x6f.*0x6e.*0x65' "$dir/gdb" ||
        fail "gdb does not read the dump: $(cat "$dir/gdb")"
fi
expect "$(ask dump-guest-memory "{\"paging\":false,\"protocol\":\"file:$dir/none/core\"}")" 'No such file'
expect "$(ask query-status)" '"running": *true'
echo 'QMP: vCPUs, registers, statistics, power button, dump'

type_in f
stops=1
wait_until broken || fail 'an instruction that cannot be emulated'
for words in 'KVM gave up at 0x.*cannot emulate' 'rip 0x2' 'cr0 0x11' 'instruction bytes d9 05 00 00 00 d0'; do
    wait_until grep -q "$words" "$dir/err" || fail "no word of what KVM cannot do: $words"
done
expect "$(qmp cont)" '"error"'
expect "$(qmp system_reset query-status)" '"status": *"paused"'
expect "$(qmp cont)" '"event": *"RESUME"'
await ready 12
echo 'an instruction that KVM cannot emulate stops the machine until it is reset'

# Hostile clients: garbage, depth, a message without end, many connections, one that never reads.
head -c 100000 /dev/urandom | socat -t 0.2 - "UNIX-CONNECT:$dir/qmp" > /dev/null 2>&1
head -c 60000 /dev/zero | tr '\0' '[' | socat -t 0.2 - "UNIX-CONNECT:$dir/qmp" > /dev/null 2>&1
{ printf '{"execute":"'; head -c 200000 /dev/zero | tr '\0' 'a'; } |
    socat -t 0.2 - "UNIX-CONNECT:$dir/qmp" > /dev/null 2>&1
for _ in $(seq 30); do socat -u -t 1 "UNIX-CONNECT:$dir/qmp" /dev/null & done 2> /dev/null
{ echo '{"execute":"qmp_capabilities"}'; for _ in $(seq 3000); do echo '{"execute":"query-commands"}'; done; } |
    socat -u -t 0.2 - "UNIX-CONNECT:$dir/qmp" 2> /dev/null
expect "$({ echo '{"execute":"qmp_capabilities"}{"execute":"query-name"}'; } |
    socat -t $wait_seconds - "UNIX-CONNECT:$dir/control")" '"name"'
for p in $(jobs -p); do [ "$p" = $vmm ] || kill "$p" 2> /dev/null; done
sleep 0.5
head -c 20000 /dev/zero | socat -u - "UNIX-CONNECT:$dir/console"
sleep 1
expect "$(qmp query-status)" '"running": *true'
type_in p
await pong 2
echo 'hostile clients do no harm'

build/bin/delias-vmm --kernel build/tests/probe.elf --qmp "$dir/qmp" 2> "$dir/second"
grep -q 'another program serves it' "$dir/second" || fail 'a socket of a machine that runs was taken over'
expect "$(qmp quit)" '"event": *"SHUTDOWN"'
wait $vmm
[ $? -eq 0 ] || fail "quit is status $?"
vmm=0
no_sockets() { [ ! -e "$dir/qmp" ] && [ ! -e "$dir/control" ] && [ ! -e "$dir/console" ]; }
no_sockets || fail 'sockets stay behind'
is_executed() { [ "$(cat /proc/$vmm/comm)" = delias-vmm ]; } # no longer a copy of this shell, with its traps
for ms in 000 001 003 01 03 1; do
    start 2
    wait_until is_executed
    sleep 0.$ms
    kill $vmm
    wait $vmm
    case $? in 0 | 143) ;; *) fail "a signal at the start is status $?" ;; esac
    no_sockets || fail 'sockets stay behind after a signal at the start'
done
vmm=0

start 1 loop
boots() { grep -q "boot number $1\$" "$dir/serial.log"; }
wait_until boots 5
seconds=$SECONDS
wait_until boots 16 || fail 'no reset after a triple fault'
[ $((SECONDS - seconds)) -ge 5 ] || fail "ten more resets took $((SECONDS - seconds)) s"
grep -q 'again and again' "$dir/err" || fail 'nothing says that it is slowed down'
[ "$(grep -c ': triple fault' "$dir/err")" = 8 ] || fail 'triple faults are said for ever'
expect "$(qmp stop cont query-status)" '"status": *"running"'
kill $vmm
wait $vmm || fail "a signal is status $?"
start 1 loop --no-reboot
wait $vmm || fail "--no-reboot: status $?"
vmm=0
[ "$(grep -c ready "$dir/serial.log")" = 1 ] || fail '--no-reboot'
echo 'a guest that goes on resetting itself is slowed down, and with --no-reboot ends'

start 1 '' '' 5G
await ready 1
grep -q 'ram above 4 GiB, MiB 3072' "$dir/serial.log" && grep -q 'ram ends at KiB 2097152' "$dir/serial.log" ||
    fail 'memory of 5 GiB'
type_in q
wait $vmm
vmm=0
build/bin/delias-vmm --version | grep -q '^delias-vmm (Delias) .*, arena [0-9]*$' || fail '--version'
echo 'memory above 4 GiB'

# Bad input: one line, status 1.
refuse() {
    local words=$1
    shift
    build/bin/delias-vmm "$@" > "$dir/out" 2> "$dir/err" < /dev/null
    [ $? -eq 1 ] || fail "$words: status"
    [ "$(wc -l < "$dir/err")" = 1 ] || fail "$words: not one line"
    grep -q -- "$words" "$dir/err" || fail "$words"
}
head -c 300 build/tests/probe.elf > "$dir/short"
echo text > "$dir/text"
refuse 'No such file' --kernel "$dir/none"
mkfifo "$dir/fifo"
refuse 'not a file' --kernel "$dir/fifo"
refuse 'not an ELF' --kernel "$dir/text"
refuse 'outside the file' --kernel "$dir/short"
refuse 'fixed addresses' --kernel build/bin/delias-vmm
refuse 'No such file' --kernel build/tests/probe.elf --archive "$dir/none"
refuse 'can be had' --kernel build/tests/probe.elf --ram 4096
refuse 'too long' --kernel build/tests/probe.elf --qmp "$dir/$(head -c 200 /dev/zero | tr '\0' x)"
echo 'refuses what it should'
echo 'all passed'
