#!/usr/bin/env bash
# From one build to another, under load: a manifest is made, tried and applied in one step; the data of a cell whose
# structures have changed keep their values while a task uses them. What would lose something is refused with the
# reason.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin evolve
root=$PWD
names=(--rename whole=entire --rename total=sum_of_all)
back_names=(--rename entire=whole --rename sum_of_all=total)

put() { # BUILD CELL OBJECT: build/cells/OBJECT.o is CELL of a build
    mkdir -p "$work/$1/cells" "$work/$1/cells.debug"
    cp "build/cells/$3.o" "$work/$1/cells/$2.o"
    cp "build/cells.debug/$3.o" "$work/$1/cells.debug/$2.o"
}
version() { "$delias" cells $machine --json | jq -r "[.[] | select(.name == \"$1\") | .version] | join(\" \")"; }
has() { jq -e "$1" "$2" > /dev/null || fail "not so in $2: $1"; }
edit() { jq "$1" "$work/m" > "$work/edited"; }
compile_to() { # BUILD CELL SOURCE [FOLDER]: as the Makefile does, headers in the source's folder first
    local to=$1 cell=$2 source=$3
    mkdir -p "$to/cells" "$to/cells.debug"
    (cd "${4:-.}" && gcc -std=gnu2x -I"$root" -I"${source%/*}" -g -O2 -ffreestanding -mcmodel=kernel -mno-red-zone \
        -mgeneral-regs-only -fno-pic -ffunction-sections -fdata-sections -fvisibility=hidden -fno-common \
        -fno-stack-protector -fcf-protection=none -fexceptions -fnon-call-exceptions -w -c -o "$to/$cell.raw" \
        "$source") || fail "cannot compile $source"
    ld -r -o "$to/$cell.r" "$to/$cell.raw"
    build/bin/cell make "$to/$cell.r" -o "$to/cells/$cell.o" --debug "$to/cells.debug/$cell.o" ||
        fail 'cannot make a cell'
}
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
grep -q 'refused   whole: is gone, and .data.books points to it; say --rename whole=entire' "$work/out" ||
    fail 'the renamed function is not named'
grep -q 'refused   total: is gone, and sum_of_all of the same type is new' "$work/out" || fail 'nor the renamed datum'
has '[.added[].cell] == ["left"]' "$work/lossy"
must 1 evolve diff "$work/old" "$work/new" --drop books.nothing
grep -q 'books.nothing: no such field' "$work/err" || fail 'a field that is not there may be dropped'
rm "$work/new/cells/left.o"
must 0 evolve diff "$work/old" "$work/new" "${names[@]}" --drop books.forgotten -o "$work/m" --json
[ "$(jq . "$work/out")" = "$(jq . "$work/m")" ] || fail 'the manifest is not what is printed'
has '[.changed[].cell] == ["channel", "ledger"]' "$work/m"
has '.added == [] and .removed == [] and .stale == [] and .transfer.refused == []' "$work/m"
has '.changed[1] | .old_version == 1 and .new_version == 2' "$work/m"
has '[.transfer.recipes[].old.section] | sort == [".bss.total", ".data.books", ".text.whole"]' "$work/m"
has '[.transfer.changed[].field] | index("books.account[].limit") != null' "$work/m"
has '[.transfer.left_over[].field] == ["totals"]' "$work/m"
must 0 evolve diff "$work/old" "$work/old" --json
has '.changed == [] and .transfer.recipes == []' "$work/out"
must 1 evolve diff "$work/old" "$work/new" "${names[@]}" --drop books.forgotten -o /dev/full
grep -q '/dev/full: cannot be written: No space left' "$work/err" || fail 'a full disk is no error'
[ -c /dev/full ] || fail 'an output file that is a device is gone'
must 1 evolve diff "$work/old" "$work/none"
must 2 evolve diff "$work/old"
echo 'ok: a manifest says what differs, and what would be lost'

# ---- in plain words ----

must 0 evolve diff "$work/old" "$work/new" "${names[@]}" --drop books.forgotten
said() { grep -qF -- "$1" "$work/out" || fail "not said: $1"; }
said '          function ledger_book has changed'
said '          data books.calls: widened: was uint32_t, is uint64_t'
said '          data books.year: new, with the value that the new version begins with'
said '          its data are carried over by recipe'
said "          data totals: gone; left to the new version's transfer function"
has '.restart == [] and .brought == []' "$work/m"
has '.meaning[] | select(.cell == "ledger") | .functions | map(.function) | index("ledger_book") != null' "$work/m"
must 0 evolve diff "$work/old" "$work/old"
[ "$(cat "$work/out")" = 'nothing differs' ] || fail 'a build differs from itself'
must 0 evolve diff "$work/old" "$work/new" --only channel -o "$work/only"
has '[.changed[].cell] == ["channel"] and .brought == []' "$work/only"
must 1 evolve diff "$work/old" "$work/new" --only checksum
grep -q 'checksum: is no cell that differs' "$work/err" || fail 'a cell that is the same may be chosen'
echo 'ok: what changes is said in plain words, and cells can be chosen'

# The same source in other folders, by another path, from another directory.
mkdir -p "$work/here" "$work/there/deep"
cp tests/guest/fixtures/ledger/ledger.[ch] "$work/here"
cp tests/guest/fixtures/ledger/ledger.[ch] "$work/there/deep"
compile_to "$work/build1" ledger "$work/here/ledger.c"
compile_to "$work/build2" ledger "$work/there/../there/deep/ledger.c" "$work/there"
cmp -s "$work/build1/cells.debug/ledger.o" "$work/build2/cells.debug/ledger.o" &&
    fail 'the folders make no difference at all'
must 0 evolve diff "$work/build1" "$work/build2"
[ "$(cat "$work/out")" = 'nothing differs' ] || fail 'the same source in another folder differs'

# What is not in the archive of a build is no part of it.
put build1 clerk clerk
build/bin/cell archive -o "$work/build1/cells.archive" "$work/build1/cells/ledger.o"
must 0 evolve diff "$work/build1" "$work/build2"
[ "$(cat "$work/out")" = 'nothing differs' ] || fail 'a cell of tests that was built differs'
echo 'ok: the same sources in two folders do not differ'

# ---- types of functions ----

mkdir -p "$work/typed/cells" "$work/typed/cells.debug"
cp "$work"/old/cells/{channel,checksum,clerk}.o "$work/typed/cells/"
cp "$work"/old/cells.debug/{channel,checksum,clerk}.o "$work/typed/cells.debug/"
adapt() { sed "$1; s|\"tests/guest/fixtures/ledger/ledger.h\"|\"ledger.h\"|" "tests/guest/fixtures/$2"; }
narrower='s/int64_t ledger_last(void)/int32_t ledger_last(void)/'
adapt "$narrower" ledger/ledger.c > "$work/ledger.c"
adapt "$narrower" ledger/ledger.h > "$work/ledger.h"
compile_to "$work/typed" ledger "$work/ledger.c"
must 0 evolve diff "$work/old" "$work/typed" -o "$work/stale"
has '.types == [{cell: "ledger", symbol: "ledger_last", old: "int64_t ledger_last(void)",
                 new: "int32_t ledger_last(void)"}]' "$work/stale"
has '.stale == [{cell: "clerk", symbol: "ledger_last", of: "ledger"}]' "$work/stale"
echo 'ok: functions of another type are shown, and the cells that were built with the old one'

# Built with the new type, the user has to come along, and needs the cell to come.
adapt "$narrower" clerk/clerk.c > "$work/clerk.c"
compile_to "$work/typed2" ledger "$work/ledger.c"
compile_to "$work/typed2" clerk "$work/clerk.c"
put typed2 channel channel_v2
put typed2 checksum checksum
must 0 evolve diff "$work/old" "$work/typed2" --only ledger -o "$work/only"
has '[.changed[].cell] == ["clerk", "ledger"] and .stale == []' "$work/only"
has '.brought == [{cell: "clerk", why: "it uses ledger_last of ledger, which is not what it was"}]' "$work/only"
must 0 evolve diff "$work/old" "$work/typed2" --only clerk
said '          brought in: clerk needs its new ledger_last'
sed 's/uint32_t calls;/void *calls;/; s/return books.calls/return (uint64_t)books.calls/' "$work/here/ledger.c" \
    > "$work/there/ledger.c"
cp "$work/here/ledger.h" "$work/there"
compile_to "$work/build3" ledger "$work/there/ledger.c"
must 0 evolve diff "$work/build1" "$work/build3" -o "$work/only"
said '          needs a restart: books.calls cannot be carried over: was uint32_t, is void *'
has '[.restart[].cell] == ["ledger"]' "$work/only"
echo 'ok: what has to come along is brought in with the reason, and what takes a restart is said'

# ---- refusals ----

must 0 run configs/machines/default.yaml --name $machine --detach
await rounds 2
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
edit '(.transfer.recipes[] | select(.old.section == ".data.books")).moves[1].count = -1'
refuse 1 'damaged: a move' "$work/edited"
edit '(.transfer.recipes[] | select(.old.section == ".data.books")).moves[1].kind = "guess"'
refuse 1 'damaged: a move' "$work/edited"
edit '(.transfer.recipes[] | select(.old.section == ".data.books")).moves[1].to = 4000000000'
refuse 1 'reaches out of its section' "$work/edited"
edit '(.transfer.recipes[] | select(.old.section == ".data.books")).new.type = "1111111111111111"'
refuse 1 'made for another new version' "$work/edited"
edit '.transfer.recipes = []'
refuse 1 'books' "$work/edited"
grep -q '^  books.calls: widened: was uint32_t, is uint64_t' "$work/err" || fail 'how the types differ is not shown'
must 1 swap $machine ledger,channel=build/cells/ledger_v2.o,build/cells/channel_v2.o
grep -q '^  books.calls: widened: was uint32_t, is uint64_t' "$work/err" || fail 'nor for a set'
mkdir -p "$work/far/cells" "$work/far/cells.debug"
cp build/cells/ledger_v2.o "$work/far/cells/"
cp build/cells.debug/ledger_v2.o "$work/far/cells.debug/"
must 1 swap $machine ledger="$work/far/cells/ledger_v2.o"
grep -q '^  books.calls: widened: was uint32_t, is uint64_t' "$work/err" || fail 'nor for an object in another folder'
echo 'ok: refused with the reason, and nothing has changed'

# ---- applied ----

must 0 evolve $machine "$work/m" --dry-run --json
[ "$(jq -r '"\(.ok) \(.transferred_bytes > 64)"' "$work/out")" = 'true true' ] || fail 'the dry run has no plan'
jq -e '.plan | (.sections | any(.what == "by recipe")) and (.cells | map(.cell) | contains(["channel", "ledger"]))' \
    "$work/out" > /dev/null || fail 'the plan has no recipe, or not all of the cells'
[ "$(version ledger) $(version channel)" = '1 1' ] || fail 'the dry run has changed something'
must 0 evolve $machine "$work/m"
evolved() { [ "$(version ledger) $(version channel)" = '2 2' ]; }
wait_until evolved || fail "versions $(version ledger) and $(version channel)"
await rounds $(($(counter rounds) + 3))
"$delias" tasks $machine --json | jq -e '[.[] | select(.name == "clerk")] | length == 1' > /dev/null ||
    fail 'the clerk is gone'
[ "$(counter faults)" -eq 0 ] || fail 'a booking is lost, or the books disagree'
[ "$(counter checksums_bad)" -eq 0 ] || fail 'a checksum is wrong'
must 1 evolve $machine "$work/m"
grep -q 'runs another build' "$work/err" || fail 'the same evolution twice'
echo 'ok: applied in one step under load, and every value is kept'

# ---- and back ----

must 0 evolve diff "$work/new" "$work/old" "${back_names[@]}" --drop books.year -o "$work/back"
has '[.transfer.recipes[].moves[].kind] | contains(["refuse-signed", "cut-bits"])' "$work/back"
must 1 evolve $machine "$work/back"
grep -q 'ledger.books.account\[0\].limit is 5, and would be lost; say --drop books.account\[\].limit' "$work/err" ||
    fail 'the field that would be lost is not named'
evolved || fail 'a refused evolution has changed something'
must 0 evolve diff "$work/new" "$work/old" "${back_names[@]}" --drop books.year --drop 'books.account[].limit' \
    -o "$work/back"
jq '(.transfer.recipes[].moves[] | select(.kind == "refuse-signed")).why = "\u001b[2J"' "$work/back" > "$work/edited"
must 1 evolve $machine "$work/edited"
grep -q 'the text of the recipes cannot be printed' "$work/err" || fail 'a manifest may print anything'
must 0 evolve $machine "$work/back"
taken_back() { [ "$(version ledger) $(version channel)" = '1 1' ]; }
wait_until taken_back || fail "versions $(version ledger) and $(version channel)"
await rounds $(($(counter rounds) + 3))
[ "$(counter faults) $(counter checksums_bad)" = '0 0' ] || fail 'a booking is lost, or a checksum is wrong'
echo 'ok: taken back under load, and what would be lost is named'

# ---- types of the core's own data ----

# As the Makefile compiles the cell. A field is added to a structure of the page cell, which moves the others; a number
# of the frame cell is narrower.
flags=$(jq -r '.[] | select(.file | endswith("core/frame/frame.c")) | .command // (.arguments | join(" "))' \
    build/compile_commands.json | sed 's/ -c .*//; s/ -MMD//; s/ -MP//')
sed 's/uint64_t next, end;/uint64_t taken, next, end;/
     s/regions\[region\].next += range;/&\n regions[region].taken++;/' cells/core/page/page.c > "$work/page.c"
sed 's/static size_t run_hint/static uint32_t run_hint/
     s/run_hint : found + frames/run_hint : (uint32_t)(found + frames)/' cells/core/frame/frame.c > "$work/frame.c"
mkdir -p "$work/core/cells" "$work/core/cells.debug"
for cell in page frame; do
    put plain $cell $cell
    $flags -c -o "$work/$cell.raw" "$work/$cell.c" || fail "cannot compile $cell"
    ld -r -o "$work/$cell.r" "$work/$cell.raw"
    build/bin/cell make "$work/$cell.r" -o "$work/core/cells/$cell.o" --debug "$work/core/cells.debug/$cell.o" ||
        fail "cannot make $cell"
done
must 0 evolve diff "$work/plain" "$work/core" -o "$work/m"
said '          data regions[].taken: new'
said '          data run_hint: narrowed: was size_t, is uint32_t'
has '.restart == []' "$work/m"
must 0 evolve $machine "$work/m"
await rounds $(($(counter rounds) + 3))
must 0 evolve diff "$work/core" "$work/plain" --drop 'regions[].taken' -o "$work/back"
must 0 evolve $machine "$work/back"
await rounds $(($(counter rounds) + 3))
must 1 evolve $machine "$work/back"
grep -q 'runs another build' "$work/err" || fail 'the core is not as it was'
must 0 verify $machine
[ "$(counter faults) $(counter checksums_bad)" = '0 0' ] || fail 'a fault, or a checksum is wrong'
echo 'ok: data of the core change their type under load, and back'

# ---- types of what carries out swaps ----

# Structures of the cells plan, quiescence and swap have one more field; those of plan are the others' too. In the same
# set is a cell with tasks that have to be got out of it.
mkdir -p "$work/other/cells/evolve/plan" "$work/other/cells/evolve/swap" "$work/switched/cells" \
    "$work/switched/cells.debug"
sed 's/^    struct mapped_pages \*memory;/    uint64_t serial;\n&/' cells/evolve/plan/plan.h \
    > "$work/other/cells/evolve/plan/plan.h"
sed 's/^    uint32_t changes;/    uint64_t serial;\n&/' cells/evolve/swap/record.h \
    > "$work/other/cells/evolve/swap/record.h"
sed 's/^    uint64_t switches, rip;/    uint64_t walks, switches, rip;/' cells/evolve/quiescence/quiescence.c \
    > "$work/other/quiescence.c"
for cell in plan quiescence swap; do
    put switching $cell $cell
    for file in cells/evolve/$cell/*.[cS]; do
        base=${file##*/}
        [ ! -e "$work/other/$base" ] || file=$work/other/$base
        ${flags/ / -I"$work/other" } -c -o "$work/$cell.$base.raw" "$file" || fail "cannot compile $file"
    done
    ld -r -o "$work/$cell.r" "$work/$cell".*.raw
    build/bin/cell make "$work/$cell.r" -o "$work/switched/cells/$cell.o" \
        --debug "$work/switched/cells.debug/$cell.o" || fail "cannot make $cell"
done
put switching channel channel
put switched channel channel_v2
must 0 evolve diff "$work/switching" "$work/switched" -o "$work/m"
said '          data findings[].walks: new'
said '          data swap_cells:record.serial: new'
has '[.changed[].cell] == ["channel", "plan", "quiescence", "swap"] and .restart == []' "$work/m"
must 0 evolve diff "$work/switched" "$work/switching" --drop 'findings[].walks' --drop swap_cells:record.serial \
    --drop swap_log:record.serial -o "$work/back"
swaps=$(counter swaps)
must 0 evolve $machine "$work/m" --dry-run
for _ in 1 2 3; do
    must 0 evolve $machine "$work/m"
    await rounds $(($(counter rounds) + 3))
    must 0 evolve $machine "$work/back"
    await rounds $(($(counter rounds) + 3))
done
[ "$(counter swaps)" -eq $((swaps + 6)) ] || fail 'another number of swaps'
alone() { [ "$("$delias" cells $machine --all --json | jq '[.[] | select(.name == "swap")] | length')" -eq 1 ]; }
wait_until alone || fail 'old versions of swap, or copies, stay'
must 0 verify $machine
[ "$(counter faults) $(counter checksums_bad)" = '0 0' ] || fail 'a fault, or a checksum is wrong'
echo 'ok: types of the cells that carry out swaps change under load, and back'

# ---- what no swap converts ----

# The tables of the arena are no static data: with another capacity, or another version, they would be misread.
put plain arena arena
other_arena() { # BUILD SUBSTITUTION HEADER: the arena cell as that header of guest/abi makes it
    local header=$work/$1/include/guest/abi/$3 part parts=()
    mkdir -p "${header%/*}" "$work/$1/cells" "$work/$1/cells.debug"
    sed "$2" "guest/abi/$3" > "$header"
    ! cmp -s "guest/abi/$3" "$header" || fail "$3 is as it was"
    for part in cells/core/arena/*.c; do
        parts+=("$work/$1/$(basename "$part" .c).raw")
        ${flags/ / -I"$work/$1/include" } -c -o "${parts[-1]}" "$part" || fail "cannot compile $part"
    done
    ld -r -o "$work/$1/arena.r" "${parts[@]}"
    build/bin/cell make "$work/$1/arena.r" -o "$work/$1/cells/arena.o" --debug "$work/$1/cells.debug/arena.o" ||
        fail 'cannot make an arena'
}
other_arena fewer 's/ARENA_EVENTS_MAX  *[0-9]*/ARENA_EVENTS_MAX 1601/' capacity.h
other_arena newer 's/ARENA_VERSION [0-9]*/&0/' arena.h
for build in fewer newer; do
    must 0 evolve diff "$work/plain" "$work/$build" --only arena -o "$work/m"
    said '          needs a restart: arena_contents cannot be carried over'
    must 1 evolve $machine "$work/m"
    must 1 swap $machine arena="$work/$build/cells/arena.o"
    grep -q 'bss.arena_contents refers to what has another type' "$work/err" || fail "the arena is exchanged: $build"
done
must 0 verify $machine
echo 'ok: another layout of the arena takes a restart'
