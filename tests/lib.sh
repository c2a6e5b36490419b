# Sourced by test scripts: running the guest and judging it by the lines that it printed, or steering it with `delias`.

# Limits end what hangs and judge nothing: on an idle machine everything takes a small part of them.
wait_seconds=$((300 * ${TEST_PATIENCE:-1}))  # for one thing to come about
guest_seconds=$((900 * ${TEST_PATIENCE:-1})) # for a machine that ends by itself
hang_seconds=$((20 * ${TEST_PATIENCE:-1}))   # for what may really hang, an experiment
lab_script_seconds=$((2 * guest_seconds))
lab_seconds=$((12 * guest_seconds))
lab_patience=$((4 * ${TEST_PATIENCE:-1}))    # for scripts in the lab, where all is emulated

# True where --accel auto is to take delias-vmm: a KVM that opens, on a processor that virtualizes.
kvm_works() { [ -c /dev/kvm ] && [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; }

# guest_run KERNEL ARCHIVE WORDS CPUS LOG [OPTION...]: boots a machine with this command line and waits for its end. The
# hypervisor's status; 124 after $guest_seconds. Serial output goes to LOG. Runs on delias-vmm where /dev/kvm works, on
# QEMU where it does not, and always where there are options for QEMU.
guest_run() {
    local kernel=$1 archive=$2 words=$3 cpus=$4 log=$5 ram=${GUEST_RAM:-64}
    shift 5
    if kvm_works && [ $# -eq 0 ]; then
        timeout $guest_seconds build/bin/delias-vmm --cpus "$cpus" --ram $((ram << 20)) --kernel "$kernel" \
            --archive "$archive" --append "$words" --serial-log "$log"
    else
        timeout $guest_seconds qemu-system-x86_64 -accel tcg -cpu max -smp "$cpus" -m "$ram" -kernel "$kernel" \
            -initrd "$archive" -append "$words" -display none -serial "file:$log" \
            -device isa-debug-exit,iobase=0xf4 -no-reboot "$@"
    fi
}

# lab_scripts FILE: the command lines in a list of the lab's, a line for each guest test in place of their list.
lab_scripts() {
    local script
    sed '/^#/d' "$1" | while read -r script; do
        case $script in
            tests/guest/list) awk '!/^#/ { print "tests/guest/run.sh " $1 }' tests/guest/list ;;
            *) echo "$script" ;;
        esac
    done
}

# host_begin NAME: a run directory of the script's own, in the folder $work; both go at the end, and $machine, which the
# script may start. The rest is for scripts that have begun so.
host_begin() {
    name=$1 machine=$1$$ delias=build/bin/delias
    work=$(mktemp -d)
    export XDG_RUNTIME_DIR=$work/run XDG_STATE_HOME=$work/state
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    trap 'timeout $wait_seconds "$delias" stop $machine > /dev/null 2>&1; rm -rf "$work"' EXIT
}
fail() {
    echo "$name: $*"
    tail -n 20 "$work/out" "$work/err" "$XDG_RUNTIME_DIR"/delias/*/serial.log 2> /dev/null
    timeout $wait_seconds "$delias" faults $machine
    exit 1
}
must() { # STATUS ARGUMENT...: delias ends so; output goes to $work/out and $work/err
    local want=$1 got
    shift
    timeout $wait_seconds "$delias" "$@" > "$work/out" 2> "$work/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "status $got, not $want: delias $*"
}
counter() { timeout $wait_seconds "$delias" counters $machine --json | jq -r ".$1"; }
await() { # COUNTER AT_LEAST
    wait_until reached "$1" "$2" || fail "$1 is $(counter "$1") and does not reach $2"
}
reached() { [ "$(counter "$1")" -ge "$2" ]; }
wait_until() { # COMMAND...: until it succeeds; 1: it does not
    local end=$((SECONDS + wait_seconds))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# ---- programs that are steered by what one types ----

# qemu_qmp SOCKET: commands for QEMU's monitor, a line each on standard input, each sent when the one before is
# answered: what is still unanswered at the end of a connection, QEMU forgets.
qemu_qmp() {
    perl -MIO::Socket::UNIX -we '
        my $qemu = IO::Socket::UNIX->new($ARGV[0]) or die "$ARGV[0]: $!\n";
        my $command = qq({"execute":"qmp_capabilities"}\n);
        do {
            print $qemu $command;
            while (<$qemu>) { last if /^\{"(return|error)"/ }
        } while ($command = <STDIN>)' "$1"
}
qemu_press() { # SOCKET KEY...: with pauses, as a keyboard that is read slowly loses keys
    local socket=$1 key
    shift
    for key in "$@"; do
        printf '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"%s"}]}}\n' "$key"
        sleep 0.3
    done | qemu_qmp "$socket"
}
qemu_screen() { # SOCKET: the characters in text memory, without their attributes
    local text=$work/text.$$
    rm -f "$text"
    echo "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":753664,\"size\":4000,\"filename\":\"$text\"}}" |
        qemu_qmp "$1"
    perl -e 'local $/; $_ = <STDIN>; s/(.)./$1/gs; print join "\n", unpack "(A80)*"' < "$text"
}

# type_keys KEY...: into the pane t of $tmux, each when the one before was read: Escape and the key after it, read
# together, would be another key.
type_keys() {
    local key tty
    tty=$($tmux display-message -p -t t '#{pane_tty}')
    for key in "$@"; do
        $tmux send-keys -t t "$key"
        wait_until all_read "$tty" || return 1
        [ "$key" != Escape ] || sleep 0.3
    done
}
all_read() { # TTY: FIONREAD counts what waits in a terminal in raw mode
    perl -we 'open my $tty, "<", $ARGV[0] or die "$ARGV[0]: $!\n";
        my $bytes = pack "i", 0;
        ioctl $tty, 0x541b, $bytes or die "FIONREAD: $!\n";
        exit(unpack("i", $bytes) != 0)' "$1"
}
