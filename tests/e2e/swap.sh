#!/usr/bin/env bash
# Swaps from the host, under the workload: fifty times between two versions, no frame and no message lost; a dry run and
# refused objects change nothing; core cells are replaced by fresh copies of themselves.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin swap

cells() {
    "$delias" cells $machine --json |
        jq -c '[.[] | [.name, .version, .bytes, .sections, .dependencies, .dependents]] | sort'
}
version() { "$delias" cells $machine --json | jq -r '[.[] | select(.name == "channel") | .version] | join(" ")'; }
is_alone() { [ "$("$delias" cells $machine --all --json | jq '[.[] | select(.name == "channel")] | length')" -eq 1 ]; }
await_alone() { wait_until is_alone || fail 'the old version is not freed'; }

v1=build/cells/channel.o v2=build/cells/channel_v2.o
must 0 run configs/machines/default.yaml --name $machine --detach
await rounds 2

# Once there and back, so that page tables for two versions at once are made before frames are counted.
must 0 swap $machine channel=$v2
must 0 swap $machine channel=$v1
await_alone
before=$(cells)
must 0 swap $machine channel=$v2 --dry-run --json
[ "$(jq -r '"\(.ok) \(.relocations > 0)"' "$work/out")" = 'true true' ] || fail 'the dry run has no plan'
[ "$(cells)" = "$before" ] || fail 'the dry run has changed something'
plan() { # FILTER: true for the plan that was printed
    jq -e "$1" "$work/out" > /dev/null || fail "the plan does not say: $1"
}
plan '.plan | .lost == 0 and (.cells | map([.cell, .version, .new_version, .what])) == [["channel", 1, 2, "swapped"]]'
plan '([.plan.dependents[].relocations] | add) == .relocations and (.plan.tasks | length) == .tasks and
    ([.plan.words[].words] | add // 0) == .words and all(.plan.dependents[]; .bytes >= 4 * .relocations)'
plan '.plan.dependents | any(.dependent == "workload:.text.produce" and .needs == "channel:channel_send")'
plan '.plan.sections | any(.section == "channel:.text.channel_send" and .to == .section and .what == "other") and
    any(.section == "channel:.bss.totals")'
must 0 reload $machine scheduler --dry-run --json
plan '.plan.waits == [] and all(.plan.sections[]; .what == "same" or .what == "carried") and
    (.plan.words | any(.in == "timer:.bss.tick_handler" and .points_to == "scheduler:.text.on_clock_tick"))'
must 0 swap $machine channel=build/cells/channel_v3.o --dry-run
grep -q 'waits until nobody is inside' "$work/out" && grep -q '^channel:.bss.totals .*by function$' "$work/out" ||
    fail 'another type of data does not wait, or nobody takes it over'
must 1 swap $machine run_queue=build/cells/run_queue_v2.o --dry-run --json # alone: the scheduler needs the old one
plan '.ok == false and (.plan.sections | length > 10) and .plan.cells[0].new_version == 2'
[ "$(cells)" = "$before" ] || fail 'a dry run has changed something'
[ "$("$delias" swaps $machine --json | jq '[.[] | select(.cells | test("run_queue|scheduler"))] | length')" -eq 0 ] ||
    fail 'a dry run is in the log'
echo 'ok: a dry run shows what it would touch, also when it is refused, and changes nothing'

refuse() { # WORDS OBJECT
    must 1 swap $machine "channel=$2"
    grep -q -- "$1" "$work/err" || fail "not '$1': $2"
    [ "$(cells)" = "$before" ] || fail "refusing $2 has changed something"
}
head -c 2000 $v2 > "$work/truncated.o"
: > "$work/empty.o"
echo 'no object file' > "$work/text.o"
{ head -c 16 $v2; printf '\002'; tail -c +18 $v2; } > "$work/executable.o"
{ head -c 18 $v2; printf '\267'; tail -c +20 $v2; } > "$work/arm.o"
refuse . "$work/truncated.o"
refuse 'empty' "$work/empty.o"
refuse 'ELF' "$work/text.o"
refuse 'relocatable' "$work/executable.o"
refuse 'x86-64\|architecture' "$work/arm.o"
refuse 'channel' build/cells/checksum.o
must 2 swap $machine channel=$v2 channel
misused() { # WORDS OPERAND
    must 2 swap $machine "$2"
    grep -qF -- "$1" "$work/err" || fail "not '$1': $2"
}
for operand in ,=, ,= =, ,=$v2 channel=, channel,=$v2 ,channel=$v2 channel,,log=$v2 channel=$v2,,$v1 channel=$v2,; do
    misused "'$operand' has nothing before or behind a comma" "$operand"
done
misused 'names neither a cell nor an object' =
misused "',' is not OLD" ,
for operand in 'a b=' ' =' "channel =$v2"; do
    must 3 swap $machine "$operand"
    grep -qF "${operand%%=*}" "$work/err" || fail "the name is not said: $operand"
done
must 1 swap $machine channel=' '
must 1 swap $machine channel="$work/no such file.o"
grep -q 'no such file.o: No such file' "$work/err" || fail 'a path with spaces'
[ "$(cells)" = "$before" ] || fail 'wrong usage has changed something'
must 3 spawn $machine a_name_that_is_longer_than_31_bytes
grep -q 'so long a name' "$work/err" || fail 'a name that is too long for a request'
echo 'ok: objects that are none of this cell are refused with the reason'

frames=$(counter frames_free) swaps=$(counter swaps)
for ((i = 1; i <= 25; i++)); do
    must 0 swap $machine channel=$v2
    [ "$(version)" = 2 ] || [ "$(version)" = '1 2' ] || [ "$(version)" = '2 1' ] ||
        fail "version $(version) after swap $i"
    must 0 swap $machine channel=$v1 --json
done
pause=$(jq -r .pause_ns "$work/out")
[ "$(counter swaps)" -eq $((swaps + 50)) ] || fail "$(counter swaps) swaps counted"
await rounds $(($(counter rounds) + 3))
await_alone
[ "$(counter checksums_bad)" -eq 0 ] || fail 'a checksum is wrong'
[ "$(counter faults)" -eq 0 ] || fail 'there were faults'
[ "$(version)" = 1 ] || fail "version $(version)"
frames_are_back() { now=$(counter frames_free); [ "$now" -ge "$frames" ]; }
wait_until frames_are_back || fail "frames: $frames free, then $now"
echo "ok: 50 swaps under the workload, $(counter rounds) rounds right, the last pause $pause ns"

for cell in scheduler task wait_queue run_queue heap timer unwind fault swap loader arena lock page; do
    must 0 swap $machine $cell=build/cells/$cell.o
done
await rounds $(($(counter rounds) + 3))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'the core is not well after its swap'
echo 'ok: scheduler, task, wait_queue, run_queue, heap, timer, unwind, fault, swap, loader, arena, lock and page' \
    'replaced while they run'

# ---- the thesis's case studies, from the host, while the workload sends, receives and checks
goes_on() { # no round is lost, none is wrong, messages go on
    await rounds $(($(counter rounds) + 3))
    [ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail "$1: a checksum is wrong, or a fault"
    [ "$(counter messages)" -gt "$messages" ] || fail "$1: no message has come through"
    messages=$(counter messages)
}
logged() { # CELLS: how the newest swap went, as the log has it
    must 0 swaps $machine --last 1 --json
    jq -e --arg cells "$1" '.[0] | .cells == $cells and .outcome == "swapped" and .pause_ns > 0 and .tasks > 0 and
        ([.frames, .words, .relocations] | all(. >= 0)) and ([.phases | split(",")[] | split(" ")[0]]
        | contains(["stage", "verify", "scan", "wait", "park", "transfer", "relocate", "publish"]))' "$work/out" \
        > /dev/null || fail "the log does not have the swap of $1"
    must 0 swaps $machine --last 1
    grep -q "$1 .*swapped" "$work/out" || fail "the table does not have the swap of $1"
}
races() { grep -ao $'racers: .*\r' "$XDG_RUNTIME_DIR/delias/$machine/serial.log" | tr -d '\r'; } # whole lines
raced() { [ "$(races | wc -l)" -gt "$1" ]; }
race() { # low and high priority, and how far each came
    local before
    before=$(races | wc -l)
    must 0 spawn $machine racers
    wait_until raced "$before" || fail 'the race does not end'
    race=$(races | tail -n 1)
    case $race in *failed*) fail "$race" ;; esac
    read -r _ low high <<< "$race"
}
messages=$(counter messages)
must 0 swap $machine channel=build/cells/channel_v3.o # keeps nothing: a send returns when its message is taken
logged 'channel 1>3'
goes_on 'channel_v3'
must 0 swap $machine channel=$v1
logged 'channel 3>1'
goes_on 'channel again'
echo 'ok: a rendezvous channel for a buffered one, and back, with messages in flight'

must 0 load $machine build/cells/racers.o
race
[ "$high" -lt $((low * 2)) ] && [ "$low" -lt $((high * 2)) ] || fail "turns are not equal: $race"
equal=$race
must 0 swap $machine scheduler=build/cells/scheduler_v2.o run_queue=build/cells/run_queue_v2.o
logged 'scheduler 1>2,run_queue 1>2'
goes_on 'scheduler_v2'
race
[ "$high" -gt $((low * 3)) ] || fail "priorities make no difference: $race"
must 0 swap $machine scheduler=build/cells/scheduler.o run_queue=build/cells/run_queue.o
logged 'scheduler 2>1,run_queue 2>1'
goes_on 'scheduler again'
echo "ok: another scheduler changes who goes first ($equal; then $race)"
must 3 swap $machine nano_core=build/cells/nano_core.o # it is gone
must 0 verify $machine
echo 'swap: all passed'
