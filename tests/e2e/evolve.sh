#!/usr/bin/env bash
# From one build to another, under load: a manifest is made, tried and applied in one step; the data of a cell whose
# structures have changed keep their values while a task uses them. What would lose something is refused with the reason.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin evolve

put() { # BUILD CELL OBJECT: build/cells/OBJECT.o is CELL of a build
    mkdir -p "$work/$1/cells" "$work/$1/cells.debug"
    cp "build/cells/$3.o" "$work/$1/cells/$2.o"
    cp "build/cells.debug/$3.o" "$work/$1/cells.debug/$2.o"
}
version() { "$delias" cells $machine --json | jq -r "[.[] | select(.name == \"$1\") | .version] | join(\" \")"; }
has() { jq -e "$1" "$2" > /dev/null || fail "not so in $2: $1"; }
edit() { jq "$1" "$work/m" > "$work/edited"; }
refuse() { # STATUS WORDS MANIFEST
    must "$1" evolve $machine "$3"
    grep -q -- "$2" "$work/err" || fail "not '$2'"
    [ "$(version ledger) $(version channel)" = '1 1' ] || fail 'a refused evolution has changed something'
}

for cell in ledger channel checksum clerk; do
    put old $cell $cell
done
put new ledger ledger_v2
put new channel channel_v2
put new checksum checksum
put new clerk clerk
put new left left
cp "$work/old/cells/clerk.o" "$work/old/cells/other_v2.o" # versions that are swapped in by hand are no part of it

# ---- what differs ----

must 0 evolve diff "$work/old" "$work/new" -o "$work/lossy"
grep -q 'refused   books.forgotten: is gone' "$work/out" || fail 'the lost field is not named'
has '[.added[].cell] == ["left"]' "$work/lossy"
must 1 evolve diff "$work/old" "$work/new" --drop books.nothing
grep -q 'books.nothing: no such field' "$work/err" || fail 'a field that is not there may be dropped'
rm "$work/new/cells/left.o"
must 0 evolve diff "$work/old" "$work/new" --drop books.forgotten -o "$work/m" --json
[ "$(jq . "$work/out")" = "$(jq . "$work/m")" ] || fail 'the manifest is not what is printed'
has '[.changed[].cell] == ["channel", "ledger"]' "$work/m"
has '.added == [] and .removed == [] and .stale == [] and .transfer.refused == []' "$work/m"
has '.changed[1] | .old_version == 1 and .new_version == 2' "$work/m"
has '[.transfer.recipes[].old.section] == [".data.books"]' "$work/m"
has '[.transfer.changed[].field] | index("books.account[].limit") != null' "$work/m"
has '[.transfer.left_over[].field] == ["totals"]' "$work/m"
must 0 evolve diff "$work/old" "$work/old" --json
has '.changed == [] and .transfer.recipes == []' "$work/out"
must 1 evolve diff "$work/old" "$work/none"
must 2 evolve diff "$work/old"
echo 'ok: a manifest says what differs, and what would be lost'

# ---- types of functions ----

mkdir -p "$work/typed/cells" "$work/typed/cells.debug"
cp "$work"/old/cells/{channel,checksum,clerk}.o "$work/typed/cells/"
cp "$work"/old/cells.debug/{channel,checksum,clerk}.o "$work/typed/cells.debug/"
sed 's/int64_t ledger_last(void)/int32_t ledger_last(void)/; s|"tests/guest/ledger/ledger.h"|"ledger.h"|' \
    tests/guest/ledger/ledger.c > "$work/ledger.c"
sed 's/int64_t ledger_last(void)/int32_t ledger_last(void)/' tests/guest/ledger/ledger.h > "$work/ledger.h"
gcc -std=gnu2x -I. -I"$work" -g -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic \
    -ffunction-sections -fdata-sections -fvisibility=hidden -fno-common -fno-stack-protector -fcf-protection=none \
    -fexceptions -fnon-call-exceptions -c -o "$work/ledger.raw" "$work/ledger.c" || fail 'cannot compile'
ld -r -o "$work/ledger.r" "$work/ledger.raw"
build/bin/cell make "$work/ledger.r" -o "$work/typed/cells/ledger.o" --debug "$work/typed/cells.debug/ledger.o" ||
    fail 'cannot make a cell'
must 0 evolve diff "$work/old" "$work/typed" -o "$work/stale"
has '.types == [{cell: "ledger", symbol: "ledger_last", old: "int64_t ledger_last(void)", new: "int32_t ledger_last(void)"}]' "$work/stale"
has '.stale == [{cell: "clerk", symbol: "ledger_last", of: "ledger"}]' "$work/stale"
echo 'ok: functions of another type are shown, and the cells that were built with the old one'

# ---- refusals ----

must 0 run configs/machines/default.yaml --name $machine --detach
await 60 rounds 2
must 0 load $machine build/cells/ledger.o
must 0 load $machine build/cells/clerk.o
must 0 spawn $machine clerk
refuse 1 'books.forgotten: is gone' "$work/lossy"
refuse 1 'clerk: was built with another type of ledger_last' "$work/stale"
refuse 1 'expected' tests/lib.sh
echo '{}' > "$work/edited"
refuse 1 'no manifest' "$work/edited"
echo '{"format": "delias-evolution", "version": 2}' > "$work/edited"
refuse 1 'another version' "$work/edited"
edit 'del(.along)'
refuse 1 'damaged: along' "$work/edited"
edit '.changed[1].cell = "../ledger"'
refuse 1 "damaged: a cell's name" "$work/edited"
edit '.changed[1].old_object = "0000000000000000"'
refuse 1 'runs another build of cell ledger' "$work/edited"
edit '.changed[1].new_object = "0000000000000000"'
refuse 1 'is not the object that' "$work/edited"
edit '.transfer.recipes[0].moves[1].count = -1'
refuse 1 'damaged: a move' "$work/edited"
edit '.transfer.recipes[0].moves[1].kind = "guess"'
refuse 1 'damaged: a move' "$work/edited"
edit '.transfer.recipes[0].moves[1].to = 4000000000'
refuse 1 'reaches out of its section' "$work/edited"
edit '.transfer.recipes[0].new.type = "1111111111111111"'
refuse 1 'made for another new version' "$work/edited"
edit '.transfer.recipes = []'
refuse 1 'books' "$work/edited"
echo 'ok: refused with the reason, and nothing has changed'

# ---- applied ----

must 0 evolve $machine "$work/m" --dry-run --json
[ "$(jq -r '"\(.ok) \(.transferred_bytes > 64)"' "$work/out")" = 'true true' ] || fail 'the dry run has no plan'
jq -e '.plan | (.sections | any(.what == "by recipe")) and (.cells | map(.cell) | contains(["channel", "ledger"]))' \
    "$work/out" > /dev/null || fail 'the plan has no recipe, or not all of the cells'
[ "$(version ledger) $(version channel)" = '1 1' ] || fail 'the dry run has changed something'
must 0 evolve $machine "$work/m"
end=$((SECONDS + 30))
until [ "$(version ledger) $(version channel)" = '2 2' ]; do
    [ $SECONDS -lt $end ] || fail "versions $(version ledger) and $(version channel)"
    sleep 0.2
done
await 60 rounds $(($(counter rounds) + 3))
"$delias" tasks $machine --json | jq -e '[.[] | select(.name == "clerk")] | length == 1' > /dev/null || fail 'the clerk is gone'
[ "$(counter faults)" -eq 0 ] || fail 'a booking is lost, or the books disagree'
[ "$(counter checksums_bad)" -eq 0 ] || fail 'a checksum is wrong'
must 1 evolve $machine "$work/m"
grep -q 'runs another build' "$work/err" || fail 'the same evolution twice'
echo 'ok: applied in one step under load, and every value is kept'
