# Sourced by test scripts: running the guest and judging it by the lines that it printed, or steering it with `delias`.

# True where --accel auto is to take delias-vmm: a KVM that opens, on a processor that virtualizes.
kvm_works() { [ -c /dev/kvm ] && [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; }

# guest_run KERNEL ARCHIVE CMDLINE CPUS LOG: the hypervisor's status; 124 after GUEST_SECONDS (120). Serial output goes to
# LOG. Runs on delias-vmm where /dev/kvm works, on QEMU where it does not, there with GUEST_CPU.
guest_run() {
    local ram=${GUEST_RAM:-64M}
    if kvm_works; then
        timeout "${GUEST_SECONDS:-120}" build/bin/delias-vmm --cpus "$4" --ram "$((${ram%M} << 20))" --kernel "$1" \
            --archive "$2" --append "$3" --serial-log "$5"
    else
        timeout "${GUEST_SECONDS:-120}" qemu-system-x86_64 -accel tcg,thread=multi -cpu "${GUEST_CPU:-max}" -smp "$4" -m "$ram" \
            -kernel "$1" -initrd "$2" -append "$3" -display none -serial "file:$5" \
            -device isa-debug-exit,iobase=0xf4 -no-reboot
    fi
}

# guest_test NAME CPUS...: runs test cell NAME on each number of CPUs, as an application or, GUEST_BY=start, as first
# cell. It passes by its line "TEST NAME: done".
guest_test() {
    local name=$1 cpus log status
    shift
    mkdir -p build/tests/log
    for cpus in "$@"; do
        log=build/tests/log/$name.$cpus.serial
        status=0
        guest_run build/delias.elf build/tests/guest.archive "${GUEST_BY:-app}=$name on_panic=exit ${GUEST_OPTIONS:-}" "$cpus" "$log" || status=$?
        if ! grep -aq "TEST $name: done" "$log" || grep -aqE 'FAILED|PANIC' "$log"; then
            tail -n 40 "$log"
            echo "$name: failed on $cpus CPUs, the hypervisor's status $status, all of the output: $log" >&2
            return 1
        fi
        echo "$cpus CPUs:"
        tr -d '\r' < "$log" | grep -a "TEST $name: " | sed 's/^.*TEST /  /'
    done
}

# host_begin NAME: a run directory of the script's own, in the folder $work; both go at the end, and $machine, which the
# script may start. The rest is for scripts that have begun so.
host_begin() {
    name=$1 machine=$1$$ delias=build/bin/delias
    work=$(mktemp -d)
    export XDG_RUNTIME_DIR=$work/run
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    trap 'timeout 60 "$delias" stop $machine > /dev/null 2>&1; rm -rf "$work"' EXIT
}
fail() {
    echo "$name: $*"
    tail -n 20 "$work/out" "$work/err" "$XDG_RUNTIME_DIR"/delias/*/serial.log 2> /dev/null
    timeout 60 "$delias" faults $machine
    exit 1
}
must() { # STATUS ARGUMENT...: delias ends so; output goes to $work/out and $work/err
    local want=$1 got
    shift
    timeout 60 "$delias" "$@" > "$work/out" 2> "$work/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "status $got, not $want: delias $*"
}
counter() { timeout 60 "$delias" counters $machine --json | jq -r ".$1"; }
await() { # SECONDS COUNTER AT_LEAST
    local end=$((SECONDS + $1))
    until [ "$(counter "$2")" -ge "$3" ]; do
        [ $SECONDS -lt $end ] || fail "$2 is $(counter "$2") and does not reach $3"
        sleep 0.2
    done
}
