#!/usr/bin/env bash
# A stock gdb on a machine: cells as libraries, breakpoints, backtraces and sources before and after a swap, and in the
# new cell before it runs; what is left of it when gdb is gone, however; clients that are none. Under QEMU.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
host_begin gdb
export HOME=$work TMPDIR=$work LC_ALL=C
log=$XDG_RUNTIME_DIR/delias/$machine/serial.log
server=
trap '[ -z "$server" ] || kill $server 2> /dev/null
    timeout $wait_seconds "$delias" stop $machine > /dev/null 2>&1; rm -rf "$work"' EXIT

debug() { # STATUS COMMAND...: of gdb, each a line; output to $work/out
    local want=$1 got=0
    shift
    printf '%s\n' 'set pagination off' 'set width 0' "$@" > "$work/commands"
    timeout $wait_seconds "$delias" gdb $machine -batch -x "$work/commands" > "$work/out" 2> "$work/err" < /dev/null ||
        got=$?
    [ $got -eq "$want" ] || fail "status $got, not $want: gdb: $*"
}
shows() { grep -qE -- "$1" "$work/out" || fail "not shown: $1"; }
hides() { ! grep -qE -- "$1" "$work/out" || fail "shown: $1"; }
state() { "$delias" ps --json | jq -r ".[] | select(.name == \"$machine\").state"; }
runs_on() { # it stands nowhere, and nothing of the debugger is left
    [ "$(state)" = running ] || fail "$1: the machine is $(state)"
    await rounds $(($(counter rounds) + 2))
    [ -z "$(find "$work" -maxdepth 1 -name 'delias-gdb-*')" ] || fail "$1: files are left"
}
connects() { socat -u "UNIX-CONNECT:$1" /dev/null 2> /dev/null < /dev/null; }
# In the background, while gdb lets the machine run; gdb is interrupted if nothing has stopped it by then.
swap_to() {
    echo "shell (sleep 1; $delias swap $machine channel=build/cells/$1 > $work/swap 2>&1; sleep 10; kill -INT \$PPID) &"
}

must 0 run --name $machine --accel tcg --detach
await rounds 1

# ---- cells as libraries
debug 0 'info sharedlibrary' 'b channel_send' 'c' 'bt' 'list' 'info symbol $pc' 'p sender->ring != 0' 'info threads'
[ "$(grep -cE '^0x.*Yes +/.*\.o$' "$work/out")" -ge 50 ] || fail 'cells are missing among the libraries'
shows '^0xffffffffa[0-9a-f]+ .*/channel\.o$'
hides '^0x0+ .*\.o$'
shows 'hit Breakpoint 1, channel_send \(sender=.* at cells/channel/channel/channel\.c:'
shows '^#1 .* at cells/app/workload/parts\.c:'
shows '^#[0-9]+ .*in task_begin .* at cells/task/task/task\.c:'
shows 'enum channel_err channel_send\(struct channel_end \*sender'
shows 'channel_send in section \.text\.channel_send of .*/channel\.o'
shows '^\$1 = 1'
shows 'Thread 1\.2 \(CPU#1'
runs_on 'after a breakpoint'
echo 'cells as libraries'

# ---- data, registers, single steps, a watchpoint, the end of a function
debug 0 'tbreak channel_send' 'c' 'stepi' 'stepi' 'next' 'finish' 'watch -l totals' 'c' 'p totals' 'info registers rip'
shows 'Value returned is .* = CHANNEL_OK|Run till exit'
shows 'Hardware watchpoint [0-9]+: '
shows '^rip +0xf'
runs_on 'after a watchpoint'
echo 'steps and watchpoints'

# ---- a swap: breakpoints move, and the new cell's are there before it runs
debug 0 'b channel_transfer' "$(swap_to channel_v2.o)" 'c' 'info breakpoints' 'bt' 'info sharedlibrary channel' \
    'delete' 'b channel_send' 'c' 'bt' 'list'
shows 'hit Breakpoint 1.*, channel_transfer .* at cells/channel/channel_v2/channel_v2\.c:'
shows '^#[0-9]+ .* swap_cells .* at cells/evolve/swap/swap\.c:'
shows '/channel-2\.o$'
shows 'hit Breakpoint 2.*, channel_send .* at cells/channel/channel_v2/channel_v2\.c:'
runs_on 'after a swap'
grep -q 'channel swapped' "$work/swap" || fail "the swap under gdb: $(cat "$work/swap")"
debug 0 'info sharedlibrary channel' 'b channel_send' 'c' 'bt'
[ "$(grep -c '/channel.*\.o$' "$work/out")" -eq 1 ] || fail 'the replaced cell is still there'
shows 'hit Breakpoint 1, channel_send .* at cells/channel/channel_v2/channel_v2\.c:'
shows '^#1 .* at cells/app/workload/parts\.c:'
echo 'before and after a swap'

# ---- a list that changes without a swap: within a moment
debug 0 'set breakpoint pending on' 'set stop-on-solib-events 1' \
    "shell (sleep 1; $delias load $machine build/cells/echo_args.o > $work/swap 2>&1) &" \
    'c' 'info sharedlibrary echo_args'
shows '/echo_args\.o$'
runs_on 'after a load'
echo 'loads'

# ---- nothing of it is left: a swap stops at no watchpoint on any CPU
for n in 1 2 3 4 5; do
    debug 0 'detach'
    must 0 reload $machine channel
    runs_on "after detaching $n times"
done
echo 'nothing is left'

# ---- a machine that is paused stays so
must 0 pause $machine
debug 0 'b channel_send' 'bt' 'detach'
[ "$(state)" = paused ] || fail "a paused machine is $(state)"
must 0 resume $machine
runs_on 'after a pause'

# ---- one debugger at a time; gdb is killed while it steps; so is the proxy told to end
printf '%s\n' 'b channel_receive' 'while 1' 'stepi' 'end' > "$work/commands"
timeout $wait_seconds "$delias" gdb $machine -batch -x "$work/commands" > "$work/steps" 2>&1 < /dev/null &
server=$!
wait_until grep -q '^0x' "$work/steps" || fail 'gdb does not step'
must 1 gdb $machine -batch
grep -q 'a debugger is attached' "$work/err" || fail 'a second debugger is not told why'
kill -KILL "$(pgrep -f "gdb -q .*$work/commands" | head -1)"
wait $server
[ $? -eq 1 ] || fail 'the end of gdb is no failure'
runs_on 'after gdb was killed'
echo 'gdb killed'

# ---- clients that are none
socket=$work/listen
"$delias" gdb --listen "$socket" $machine > "$work/listens" 2>&1 &
server=$!
wait_until test -S "$socket" || fail 'nothing listens'
must 1 gdb --listen "$socket" $machine
for bytes in '$#00' '+++---' '$g#67$g#67$g#67' '$m0,ffffffff#00' '$qXfer:libraries:read::zz,1#00' '%note#00\3\3\3' \
    '$vCont;c#a8$vCont;s:p1.1#00\3' '$Z0,0,0,0,0#00$z9#00' "$(head -c 40000 /dev/zero | tr '\0' 'A' | sed 's/^/$/')"; do
    printf "${bytes//%/%%}" | socat -t 1 - "UNIX-CONNECT:$socket" > /dev/null 2>&1
done
head -c 200000 /dev/urandom | socat -t 1 - "UNIX-CONNECT:$socket" > /dev/null 2>&1
# One that asks for much and never reads.
perl -MIO::Socket::UNIX -we 'my $s = IO::Socket::UNIX->new($ARGV[0]) or die; $SIG{ALRM} = sub { exit };
    alarm 3; print $s "\$qXfer:libraries:read::0,3000#" . "99" for 1 .. 100000' "$socket"
timeout $wait_seconds gdb -q -batch -iex 'set sysroot' -ex "target remote $socket" -ex 'b channel_send' -ex c -ex bt \
    build/delias.elf > "$work/out" 2>&1 < /dev/null
shows '^#[0-9]+ .*in task_begin .* at cells/task/task/task\.c:'
kill $server
wait $server
server=
[ ! -e "$socket" ] || fail 'the socket is left'
runs_on 'after bad clients'
echo 'bad clients'

# ---- where no build is known, the guest's own objects have symbols
must 0 stop $machine
mkdir "$work/bin" "$work/other"
cp build/bin/delias "$work/bin"
cp build/delias.elf build/cells.archive "$work/other"
delias=$work/bin/delias
must 0 run --name $machine --accel tcg --detach --kernel "$work/other/delias.elf" --archive "$work/other/cells.archive"
await rounds 1
debug 0 'b channel_send' 'c' 'bt 2' 'info sharedlibrary channel'
shows 'hit Breakpoint 1, .*channel_send \(\)'
shows 'Yes \(\*\).*/channel\.o$'
runs_on 'without a build'

# ---- and at the machine's end gdb is told
debug 0 "shell (sleep 1; $delias stop $machine) &" 'c'
shows 'exited normally|Remote connection closed'
echo 'all passed'
