#!/usr/bin/env bash
# Machines from the command line, on whichever backend `auto` is here: one name one machine, pause, reset, console,
# every kind of death, and what is refused in which words.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
delias=build/bin/delias
dir=$XDG_RUNTIME_DIR/delias
other=
trap '"$delias" stop one > /dev/null 2>&1; "$delias" stop two > /dev/null 2>&1
    [ -z "$other" ] || kill $other; rm -rf "$work"' EXIT

fail() {
    echo "machine: $*"
    tail -n 20 "$work/out" "$work/err" "$dir"/*/serial.log "$dir"/*/log 2> /dev/null
    exit 1
}

# must STATUS COMMAND...: output goes to $work/out and $work/err
must() {
    local want=$1 got
    shift
    timeout $wait_seconds "$@" > "$work/out" 2> "$work/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "status $got, not $want: $*"
}

# refused STATUS WORDS COMMAND...: one line with these words
refused() {
    local status=$1 words=$2
    shift 2
    must "$status" "$@"
    [ "$(wc -l < "$work/err")" -eq 1 ] || fail "not one line: $*"
    grep -q -- "$words" "$work/err" || fail "not '$words': $*"
}

state() { "$delias" ps --json | jq -r --arg n "$1" '.[] | select(.name == $n) | .state'; }
pid() { "$delias" ps --json | jq -r --arg n "$1" '.[] | select(.name == $n) | .pid'; }
starts() { grep -c 'first cell loaded' "$dir/$1/serial.log"; }
gone() { [ "$(state "$1")" != running ]; }
started() { [ "$(starts "$1")" -ge "$2" ]; }

must 0 $delias run --name one --detach
[ "$(stat -c %a "$dir")" = 700 ] || fail 'run directory is open to others'
[ "$(state one)" = running ] || fail 'does not run'
"$delias" ps --json | jq -e '.[0] | .backend and .pid and .ram_file and .qmp and has("gdb")' > /dev/null ||
    fail 'keys of ps'
backend=$("$delias" ps --json | jq -r '.[0].backend')
if kvm_works; then expected=kvm; else expected=tcg; fi
[ "$backend" = $expected ] || fail "auto took $backend"
first=$(pid one)
[ "$(stat -Lc %s "$(jq -r .ram_file "$dir/one/machine.json")")" = 67108864 ] || fail 'size of the RAM file'
echo "runs on $backend"

refused 1 "runs already" $delias run --name one --detach
[ "$(pid one)" = "$first" ] && [ "$(state one)" = running ] || fail 'a refused start harmed the machine'
mkdir "$work/a,b"
cp build/delias.elf build/cells.archive "$work/a,b"
must 0 $delias run --name two --detach --cpus 1 --kernel "$work/a,b/delias.elf" --archive "$work/a,b/cells.archive"
[ "$("$delias" ps --json | jq length)" = 2 ] || fail 'two machines side by side'
echo 'one machine a name'

must 0 $delias pause one
[ "$(state one)" = paused ] && [ "$(state two)" = running ] || fail 'pause'
must 0 $delias pause one
must 0 $delias resume one
[ "$(state one)" = running ] || fail 'resume'
before=$(starts one)
must 0 $delias reset one
wait_until started one $((before + 1)) || fail 'nothing started after the reset'
must 0 $delias pause one
must 0 $delias reset one
[ "$(state one)" = paused ] || fail 'a reset let a paused machine go'
must 0 $delias resume one
wait_until started one $((before + 2)) || fail 'nothing started after the second reset'
# At any moment, also while an NMI is under way, which the firmware then begins with.
for more in 3 4 5 6 7 8 9 10; do
    must 0 $delias reset one
    wait_until started one $((before + more)) || fail "nothing started after reset $more"
done
[ "$(pid one)" = "$first" ] || fail 'a reset changed the process'
echo 'pause, resume, reset'

# A line of the log may come behind the prompt.
has_shell() { awk '/first cell loaded/ { found = 0; next } /delias> / { found = 1 } END { exit !found }' "$1"; }
wait_until has_shell "$dir/one/serial.log" || fail 'no shell on the serial line'
{ printf 'help\r'; wait_until grep -q tasks "$work/console"; } |
    timeout $wait_seconds $delias console one > "$work/console" 2>&1
grep -q tasks "$work/console" || fail 'the console does not carry both ways'
echo 'console'

# A QMP client that holds the public socket does not keep delias out.
socat -u "UNIX-CONNECT:$dir/one/qmp.sock" - > /dev/null &
holder=$!
sleep 0.3
must 0 $delias pause one
must 0 $delias resume one
kill $holder 2> /dev/null
echo 'QMP is for everyone'

must 0 $delias pause one # it would take time from what follows

kill -9 "$(pid two)"
wait_until gone two || fail 'a killed machine runs'
refused 3 'two' $delias pause two
must 0 $delias run --name two --detach --ram 96M
[ "$(state two)" = running ] || fail 'a dead machine was in the way'
[ "$(stat -Lc %s "$(jq -r .ram_file "$dir/two/machine.json")")" = $((96 << 20)) ] || fail '--ram'
kill -STOP "$(pid two)"
stopped() { [ "$(state two)" = stopped ]; }
wait_until stopped || fail 'ps does not say that a process is stopped'
[ "$(state one)" = paused ] || fail 'ps does not ask the others'
refused 1 'kill -CONT' $delias pause two
must 0 $delias stop two
refused 3 'two' $delias stop two
mkdir -p "$dir/two"
echo '{"name": 7, "pid": "x"' > "$dir/two/machine.json"
: > "$dir/two/qmp.sock"
must 0 $delias ps
must 0 $delias run --name two --detach
must 0 $delias stop two
# A description whose process number is now somebody else's: nothing is done to that process.
sleep $guest_seconds &
other=$!
mkdir -p "$dir/two"
jq --argjson p $other '.name = "two" | .pid = $p' "$dir/one/machine.json" > "$dir/two/machine.json"
must 0 $delias run --name two --detach
kill -0 $other || fail 'another process was killed'
must 0 $delias stop two
kill -0 $other || fail 'another process was stopped'
kill $other
other=
echo 'every kind of death'

# RAM above 4 GiB, of which hardly anything is touched.
must 0 $delias run --name two --detach --ram 6G
[ "$(stat -Lc %s "$(jq -r .ram_file "$dir/two/machine.json")")" = $((6 << 30)) ] || fail '--ram 6G'
must 0 $delias verify two
must 0 $delias inject two --into phys:0x1fffffff8+8 --model flip --seed 7
refused 1 'not within the machine.s 6144 MiB' $delias inject two --into phys:0x1fffffff8+9 --model flip
refused 1 'not within the machine.s 6144 MiB' $delias inject two --into phys:0x80000000+1 --model flip
must 0 $delias swap two checksum=build/cells/checksum_v2.o
must 0 $delias stop two
echo 'more memory than 2 GiB'

echo 'no ELF' > "$work/text"
head -c 2000 build/delias.elf > "$work/short"
: > "$work/empty"
refused 1 'No such file' $delias run --name two --detach --kernel "$work/none"
refused 1 'not an x86-64 ELF' $delias run --name two --detach --kernel "$work/text"
refused 1 "did not start with kernel $work/short" $delias run --name two --detach --kernel "$work/short"
head -c 100000 build/cells.archive > "$work/cut"
refused 1 "$work/cut gave up: archive: PANIC: truncated" $delias run --name two --detach --archive "$work/cut"
refused 1 'not a file with cells' $delias run --name two --detach --archive "$work/empty"
printf 'name: two\nspeed: 7\n' > "$work/key.yaml"
refused 1 'speed' $delias run "$work/key.yaml" --detach
printf 'ram: many\n' > "$work/ram.yaml"
refused 1 'many' $delias run "$work/ram.yaml" --detach
refused 1 'No such file' $delias run "$work/none.yaml" --detach
must 2 $delias run --name two --ram 64MB --detach
must 2 $delias run --name two --ram 4K --detach
must 2 $delias run --name two --ram 65G --detach
must 2 $delias run --name two --cpus 0 --detach
must 2 $delias run --name two --accel fast --detach
grep -q 'accel.*fast' "$work/err" || fail 'an unknown accelerator is not named'
refused 1 'name' $delias run --name ../two --detach
[ -e /dev/kvm ] || refused 1 'no KVM' $delias run --name two --accel kvm --detach
XDG_RUNTIME_DIR=$work/none refused 1 'XDG_RUNTIME_DIR' $delias run --name two --detach
XDG_RUNTIME_DIR=/$(printf 'x%.0s' $(seq 200)) refused 1 'XDG_RUNTIME_DIR' $delias run --name two --detach
[ "$("$delias" ps --json | jq length)" = 1 ] || fail 'a refused start left something'
[ "$(pid one)" = "$first" ] && [ "$(state one)" = paused ] || fail 'the other machine was harmed'
must 0 $delias resume one
[ "$(state one)" = running ] || fail 'the other machine does not continue'
echo 'refusals'

must 0 $delias stop one
[ -z "$(ls "$dir")" ] || fail 'something is left in the run directory'
grep -qs '^State:.*[RSDTt] ' "/proc/$first/status" && fail 'the process is still there'
echo 'all passed'
