#!/usr/bin/env bash
# Injections into a running guest: what was changed is reported and found by `verify`; a dry run changes nothing; a
# fault that was provoked is logged, the cell is reloaded, and the workload continues; what is refused.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin inject

refused() { # STATUS WORDS ARGUMENT...
    local words=$2
    must "$1" "${@:3}"
    grep -q -- "$words" "$work/err" || fail "not '$words': delias ${*:3}"
}

refused 3 'start one with' inject $machine --into cell:channel:.text
must 0 run configs/machines/default.yaml --name $machine --append scrub=no --detach
await rounds 1

# Code that ran at boot only: the flip stays where it is.
must 0 inject $machine --into cell:acpi:.text --seed 7 --dry-run --json
cp "$work/out" "$work/planned"
must 0 verify $machine
must 0 inject $machine --into cell:acpi:.text --model flip --seed 7 --json
diff "$work/planned" "$work/out" > /dev/null || fail 'the same seed chose differently'
place=$(jq -r '.changes[0].place' "$work/out")
before=$(($(jq -r '.changes[0].before' "$work/out"))) after=$(($(jq -r '.changes[0].after' "$work/out")))
bit=$(jq -r '.changes[0].bit' "$work/out")
[ $((before ^ after)) -eq $((1 << bit)) ] || fail "bit $bit does not turn $before into $after"
timeout $wait_seconds "$delias" verify $machine --json > "$work/out"
found=$(jq -r '.differing[] | "\(.cell):\(.section)+\(.offset) \(.expected) \(.found)"' "$work/out")
[ "$found" = "${place%+*}+$((${place##*+})) $before $after" ] || fail "verify says '$found', not '$place'"
echo "ok: $place, bit $bit, found by verify"

# The same flip again puts it back.
must 0 inject $machine --into cell:acpi:.text --model flip --seed 7
must 0 verify $machine
echo 'ok: and back'

# A trap takes the place of an instruction: it begins where the disassembly has one.
must 0 pause $machine
for seed in 1 2 3 4 5 6; do
    must 0 inject $machine --into cell:acpi:.text --model trap --seed $seed --dry-run --json
    place=$(jq -r '.changes[0].place' "$work/out")
    must 0 disasm $machine "${place%+*}" --json
    start=$(jq -r '.[0].address' "$work/out")
    grep -q "\"$(printf '0x%x' $((start + ${place##*+})))\"" "$work/out" || fail "a trap within an instruction: $place"
done
must 0 resume $machine
echo 'ok: traps begin where instructions begin'

for target in cell:acpi:.rodata task:idle0:stack phys:0x2000+16 cell:acpi; do
    must 0 inject $machine --into $target --model byte --seed 3 --dry-run
done
must 0 inject $machine --into phys:0x8ff0+8 --model zero --seed 1 --at ms:20
must 0 inject $machine --into phys:0x8ff0+1 --model stuck1 --seed 1 --at rounds:1 --hold 50

# ud2 where every sender executes it: only reloading the cell helps.
rounds=$(counter rounds)
must 0 inject $machine --into symbol:channel_send+0+2 --model trap --seed 1
await faults 1
await reloads 1
await rounds $((rounds + 5))
[ "$(counter checksums_bad)" -eq 0 ] || fail 'a checksum is wrong'
fault=$("$delias" faults $machine --json | jq -r '.[0] | "\(.cell) \(.symbol) \(.offset) \(.action) \(.outcome)"')
[ "$fault" = 'channel channel_send 0 reload recovered' ] || fail "the fault log says '$fault'"
must 0 verify $machine
echo "ok: trap in channel_send, $(counter reloads) reload, $(counter restarts) restart," \
    "$(counter landing_pads) landing pads"

# A value that the workload compares its own with: no exception, but it is noticed before anything is delivered.
faults=$(counter faults)
must 0 inject $machine --into cell:workload:.rodata.rounds_value --model flip --seed 1
await faults $((faults + 1))
await reloads 2
await rounds $(($(counter rounds) + 20)) # more than the cycle has
[ "$(counter checksums_bad)" -eq 0 ] || fail 'something wrong was delivered'
for _ in $(seq 100); do # until the damaged cell has gone, in the background
    "$delias" verify $machine > /dev/null && break
    sleep 0.1
done
must 0 verify $machine
"$delias" faults $machine | grep -q 'panic .* is wrong$' || fail 'no fault says what was wrong'
"$delias" faults $machine --json | jq -e 'any(.kind == "panic" and (.message | test(" is wrong$")))' > /dev/null ||
    fail 'no fault says in JSON what was wrong'
echo 'ok: wrong values are faults, and are not delivered'

refused 3 "there is no cell 'nothing'" inject $machine --into cell:nothing:.text
refused 3 'has nothing in .moon' inject $machine --into cell:channel:.moon
refused 3 "there is no symbol 'nothing'" inject $machine --into symbol:nothing
refused 3 "there is no task 'nobody'" inject $machine --into task:nobody:stack
refused 1 'is not within' inject $machine --into phys:0xffffffffffff
refused 2 'is none of' inject $machine --into moon
refused 2 "model 'melt' is none of" inject $machine --into random --model melt
refused 2 "trigger 'soon' is none of" inject $machine --into random --at soon
refused 2 'into TARGET is missing' inject $machine
refused 2 'wants a number' inject $machine --into random --seed seven
refused 3 'there is no machine' inject elsewhere --into random
await rounds $(($(counter rounds) + 1))

# The first instruction of a function is left out once, which moves its stack: memory stays as it is.
gdb=$("$delias" ps --json | jq -r ".[] | select(.name == \"$machine\").gdb")
if [ -n "$gdb" ]; then
    must 0 verify $machine
    faults=$(counter faults)
    must 0 inject $machine --into symbol:channel_send+0+1 --model skip --seed 1
    grep -q 'channel_send+0  phys .* left out$' "$work/out" || fail 'says nothing of the instruction'
    await faults $((faults + 1))
    await rounds $(($(counter rounds) + 1))
    must 0 verify $machine
    refused 1 'there is no code' inject $machine --into cell:channel:.rodata --model skip
    echo 'ok: an instruction is skipped'
fi

# Under QEMU a debugger keeps text from being written: nothing is said to have been injected.
if [ -n "$gdb" ]; then
    socat -u "UNIX-CONNECT:$gdb" - > /dev/null &
    debugger=$!
    stands_still() { [ "$("$delias" ps --json | jq -r ".[] | select(.name == \"$machine\").state")" = paused ]; }
    wait_until stands_still || fail 'a debugger that comes does not stop the machine'
    refused 1 'a debugger is attached' inject $machine --into cell:acpi:.text --seed 7
    [ ! -s "$work/out" ] || fail 'says that something was injected'
    refused 1 'a debugger is attached' inject $machine --into cell:acpi:.text --seed 7 --json
    [ ! -s "$work/out" ] || fail 'says in JSON that something was injected'
    kill $debugger
    wait $debugger 2> /dev/null
    "$delias" resume $machine # a debugger that comes stops the machine
    await rounds $(($(counter rounds) + 1))
    gdb_mode=$(printf '$qqemu.PhyMemMode#2c' | socat -t $wait_seconds - "UNIX-CONNECT:$gdb" | tr -d '\0')
    [[ $gdb_mode == *'$0#'* ]] || fail "a debugger would see physical memory: $gdb_mode"
    "$delias" resume $machine
    echo 'ok: nothing injected, nothing claimed'
fi

# The machine ends before the moment comes.
pid=$("$delias" ps --json | jq ".[] | select(.name == \"$machine\") | .pid")
"$delias" inject $machine --into cell:acpi:.rodata --at ms:$((250 * hang_seconds)) > "$work/out" 2> "$work/err" &
waiting=$!
sleep 0.5
kill -9 "$pid"
wait $waiting && fail 'an injection into a machine that has ended'
echo 'inject: all passed'
