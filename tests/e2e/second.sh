#!/usr/bin/env bash
# A second fault amid the recovery from a first one, and faults in the steps of swaps (configs/campaigns/second.yaml,
# swap.yaml, swap_core.yaml): the first few of each campaign are recovered, and the same again is the same, to the
# instruction. Faults in registers (registers.yaml). SECOND=N runs N of each (default: 12).
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
root=$PWD
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
delias=$root/build/bin/delias
trap 'for m in $(timeout $wait_seconds "$delias" ps --json | jq -r ".[].name"); do
        timeout $wait_seconds "$delias" stop $m > /dev/null 2>&1
    done
    rm -rf "$work"' EXIT

fail() {
    echo "second: $*"
    exit 1
}
# run_campaign NAME COUNT DATABASE: its report into $work/DATABASE.json
run_campaign() {
    sed "s#\.\./machines#$root/configs/machines#; s#\.\./\.\./build#$root/build#; s/^count:.*/count: $2/" \
        "configs/campaigns/$1.yaml" > "$work/$3.yaml"
    timeout $guest_seconds "$delias" campaign run "$work/$3.yaml" -o "$work/$3.db" --json > "$work/$3.json" \
        2> "$work/$3.log" < /dev/null || { tail -n 5 "$work/$3.log"; fail "$1 ended early"; }
}

count=${SECOND:-12}
for name in second swap swap_core; do
    run_campaign $name "$count" $name
    jq -r '.moments | "\(.recovered) of \(.manifested) recovered, the moment did not come: \(.missed)"' \
        "$work/$name.json" | sed "s/^/$name: /"
    jq -e --argjson count "$count" '.done == $count and .moments.missed < .done / 2
        and ([.moments.rows[].outcomes | add] | add) == .done - .moments.missed
        and (.outcomes | .wrong + .failed + .hang + .crash) == 0' "$work/$name.json" > /dev/null ||
        { cat "$work/$name.log"; fail "$name: lost"; }
done

# A register that is overwritten may make a loop endless, of which recovery knows nothing.
run_campaign registers $((2 * count)) registers
jq -r '"registers: \(.recovered) of \(.manifested) recovered"' "$work/registers.json"
jq -e --argjson count "$count" '.done == 2 * $count and .manifested >= .done / 8 and .recovered >= .manifested - 1
    and .outcomes.crash + .outcomes.wrong == 0' "$work/registers.json" > /dev/null ||
    { cat "$work/registers.log"; fail 'registers: lost'; }
sqlite3 "$work/registers.db" 'select distinct place from change' |
    grep -v '^register:r[a-z0-9]*\(@[a-z_]*:.text.*+0x*[0-9a-f]*\)*$' && fail 'a register has another name'
waited=$(sqlite3 "$work/registers.db" "select min(idx) from experiment join change on idx = experiment
    where outcome = 'restart' and place like 'register:%@%'")
timeout $guest_seconds "$delias" campaign replay "$work/registers.db" "$waited" --json > "$work/replay" &&
    jq -e '.outcome == .recorded and (.changes | length) == 1 and (tostring | contains("not yet") | not)' \
        "$work/replay" > /dev/null ||
    fail 'a replay of a register ended differently'

# Most moments are so many steps after the entry that they are in another function by then.
far=$(sqlite3 "$work/second.db" "select count(*) from moment where came and steps > 8
    and place not like '%.' || substr(function, instr(function, '.') + 1) || '+%'")
[ "$far" -ge 3 ] || fail "only $far moments came some steps after the entry of a function"
# Right when a swap of a cell of the core has taken effect, the old cell still runs: there damage is mended, too.
sed "s#\.\./machines#$root/configs/machines#; /^  - [a-z_]*\.[a-z_]*\$/d; s/^count:.*/count: 4/
     s/^moments:.*/moments: [lifecycle.lifecycle_publish]/; s/^moment_steps:.*/moment_steps: 60/" \
    configs/campaigns/swap_core.yaml > "$work/old.yaml"
timeout $guest_seconds "$delias" campaign run "$work/old.yaml" -o "$work/old.db" --json > "$work/old.json" \
    2> "$work/old.log" < /dev/null || { tail -n 5 "$work/old.log"; fail 'old ended early'; }
jq -e '.moments.missed == 0 and .moments.recovered == 4' "$work/old.json" > /dev/null ||
    { cat "$work/old.log"; fail 'a cell that was replaced and still runs: lost'; }
[ "$(sqlite3 "$work/old.db" "select count(*) from moment where place like 'lock:%'")" -ge 1 ] ||
    fail 'no fault came into the cell that was replaced'
# A function that runs all the time, after a first fault that nobody comes to: there is no moment of recovery.
{
    echo "machine: $root/configs/machines/exact_unscrubbed.yaml"
    printf '%s\n' 'during: recovery' 'first: [symbol:acpi.acpi_find+0+2]' 'moments: [lock.lock_take]' \
        'targets: [here]' 'model: trap' 'count: 2' 'seed: 1' 'exact: yes' 'rounds: 2'
} > "$work/idle.yaml"
timeout $guest_seconds "$delias" campaign run "$work/idle.yaml" -o "$work/idle.db" --json > "$work/idle.json" \
    2> "$work/idle.log" < /dev/null || { tail -n 5 "$work/idle.log"; fail 'idle ended early'; }
jq -e '.moments.missed == 2 and .outcomes.benign == 2' "$work/idle.json" > /dev/null ||
    fail 'a moment came while nothing was recovered'

columns='idx, delay_switches, outcome, rounds, faults, recoveries, restarts, reloads, fault_ip, fault_address,
    recovery_ns, function, steps, came, moment.place, change.phys, change.after'
run_campaign second 3 again
for name in second again; do
    sqlite3 "$work/$name.db" "select $columns from experiment join moment on idx = moment.experiment
        left join change on idx = change.experiment where idx < 3 order by idx" > "$work/$name.rows"
done
[ "$(wc -l < "$work/again.rows")" -eq 3 ] && diff "$work/second.rows" "$work/again.rows" ||
    fail 'the same experiments ended differently'
came=$(sqlite3 "$work/again.db" 'select min(experiment) from moment where came')
timeout $guest_seconds "$delias" campaign replay "$work/again.db" "$came" --json > "$work/replay" &&
    jq -e '.outcome == .recorded and (.changes | length) == 1' "$work/replay" > /dev/null ||
    fail 'a replay ended differently'
echo 'ok: three experiments again, to the instruction; a replay'
echo 'second: all passed'
