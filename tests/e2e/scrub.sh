#!/usr/bin/env bash
# The scrubber as the host sees it: a flipped bit in a table that nobody reads is put right, `verify` is clean again,
# and fault log, events and counters say what was done; with scrub=no it stays.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin scrub

is_clean() { timeout $wait_seconds "$delias" verify $machine > "$work/out" 2>&1; }
newest() { "$delias" faults $machine --json | jq -r "$1"; }

must 0 run configs/machines/default.yaml --name $machine --detach
await rounds 1
await scrubs 5
[ "$(counter scrub_mends)" -eq 0 ] || fail 'something was put right that nobody damaged'

must 0 inject $machine --into cell:channel:.eh_frame --model flip --seed 7 --json
place=$(jq -r '.changes[0].place' "$work/out")
wait_until is_clean || fail 'the flipped bit stays'
await scrub_mends 1
said=$(newest '.[-1] | "\(.kind) \(.cell):\(.section)+\(.offset) \(.action) \(.outcome)"')
[ "$said" = "damage ${place%+*}+$((${place##*+})) mend recovered" ] || fail "the fault log says '$said', not '$place'"
"$delias" events $machine --json | jq -e 'any(.[]; .kind == "mended")' > /dev/null || fail 'no event'
[ "$(counter faults) $(counter reloads)" = '0 0' ] || fail 'it counts as a fault'
echo "ok: $place is put right"

# Of many places in all cells, some are used before they are put right; what is left over is put right.
for seed in $(seq 12); do
    must 0 inject $machine --into cell:acpi:.text --model overwrite64 --seed "$seed"
    must 0 inject $machine --into cell:acpi:.rodata --model zero --seed "$seed"
done
wait_until is_clean || fail 'some damage stays'
[ "$(counter faults) $(counter checksums_bad)" = '0 0' ] || fail 'damage where nobody looks has done harm'
echo "ok: $(counter scrub_mends) sections put right"
must 0 stop $machine

# What it puts right is no manifested fault.
cat > "$work/unused.yaml" << END
machine: $PWD/configs/machines/default.yaml
targets: [cell:acpi:.text, cell:acpi:.rodata]
model: byte
count: 3
seed: 5
warmup_rounds: 1
rounds: 3
timeout_ms: $((1000 * hang_seconds))
END
must 0 campaign run "$work/unused.yaml" -o "$work/unused.db"
must 0 campaign report "$work/unused.db" --json
jq -e '.manifested == 0 and .outcomes.benign == 3' "$work/out" > /dev/null || fail 'a repair counts as manifested'
echo 'ok: benign in campaigns'

must 0 run configs/machines/default.yaml --name $machine --append scrub=no --detach
await rounds 1
must 0 inject $machine --into cell:acpi:.text --model flip --seed 7
await rounds $(($(counter rounds) + 3))
must 1 verify $machine
[ "$(counter scrubs) $(counter scrub_mends)" = '0 0' ] || fail 'it scrubs all the same'
echo 'scrub: all passed'
