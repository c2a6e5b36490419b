#!/usr/bin/env bash
# Cells that clang builds beside those of gcc: loaded, called and swapped for each other in either direction, with their
# data, whatever the order of functions and wherever the compiler puts them. Other types are refused, field by field.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin compilers

flags='-std=gnu2x -I. -g -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic
    -ffunction-sections -fdata-sections -fvisibility=hidden -fno-common -fno-stack-protector -fcf-protection=none
    -fno-strict-aliasing -fno-omit-frame-pointer -fno-optimize-sibling-calls -fexceptions -fasynchronous-unwind-tables'
mkdir -p "$work/cells" "$work/cells.debug"
make_cell() { # COMPILER NAME, the source comes on stdin
    cat > "$work/$2.c"
    # shellcheck disable=SC2086
    $1 $flags -I"$work" -c -o "$work/$2.raw" "$work/$2.c" && ld -r -o "$work/$2.r" "$work/$2.raw" &&
        build/bin/cell make "$work/$2.r" -o "$work/cells/$2.o" --debug "$work/cells.debug/$2.o" || fail "no cell $2"
}
cat > "$work/shelf.h" << 'END'
#pragma once
#include "cells/cell.h"
struct shelf { uint64_t apples; int more; };
uint64_t shelf_apples(uint64_t n), shelf_pears(uint64_t n), shelf_hook(uint64_t n);
const struct shelf *shelf_look(void);
END
shelf() { # VERSION: functions in another order, and one of them cold in even versions
    local apples='uint64_t shelf_apples(uint64_t n) { static volatile uint64_t stock; return stock += n; }'
    local pears='uint64_t shelf_pears(uint64_t n) { static volatile uint64_t stock; return stock += n; }'
    local cold='' first=$apples second=$pears
    [ $(($1 % 2)) = 1 ] || { cold='__attribute__((cold, noinline))' first=$pears second=$apples; }
    cat << END
#include "shelf.h"
CELL("shelf", LIBRARY, $1);
EXPORT(shelf_apples, APPLICATION);
EXPORT(shelf_pears, APPLICATION);
EXPORT(shelf_hook, APPLICATION);
EXPORT(shelf_look, APPLICATION);
$cold static uint64_t twice(uint64_t n) { return 2 * n; }
static uint64_t thrice(uint64_t n) { return 3 * n; }
static struct { uint64_t (*volatile call)(uint64_t); } hook;
static struct shelf shelf;
$first
$second
uint64_t shelf_hook(uint64_t n) { if (!hook.call) hook.call = n & 1 ? twice : thrice; return hook.call(n); }
const struct shelf *shelf_look(void) { return &shelf; }
END
}
cat > "$work/visitor_text" << 'END'
#include "shelf.h"
#include "cells/host/log/log.h"
CELL("visitor", APPLICATION, 1);
static int visitor_main(int argc, char **argv)
{
    bool fill = argv[argc - 1][0] == 'f';
    uint64_t apples = shelf_apples(fill ? 100 : 0), pears = shelf_pears(fill ? 7 : 0);
    log_info("shelf: %lu apples, %lu pears, %lu", apples, pears, shelf_hook(21));
    return 0;
}
MAIN(visitor_main);
END
make_cell clang visitor < "$work/visitor_text"
shelf 1 > "$work/shelf_1" && make_cell gcc shelf < "$work/shelf_1"
for version in 2 3; do
    for compiler in gcc clang; do
        shelf $version > "$work/text" && make_cell $compiler "${compiler}_$version" < "$work/text"
    done
done

must 0 run --detach --name $machine --accel tcg
must 0 load $machine "$work/cells/shelf.o"
must 0 load $machine "$work/cells/visitor.o"
visits() { grep -aoE "$shop: [0-9]+ apples, [0-9]+ pears, [0-9]+" "$XDG_RUNTIME_DIR/delias/$machine/serial.log"; }
visited() { [ "$(visits | wc -l)" -gt "$1" ]; }
visit() { # [ARGUMENT]
    local before
    before=$(visits | wc -l)
    must 0 spawn $machine "$who" "$@"
    wait_until visited "$before" || fail 'the visitor says nothing'
    [ "$(visits | tail -n 1)" = "$shop: 100 apples, 7 pears, 42" ] || fail "not so: $(visits | tail -n 1)"
}
who=visitor shop=shelf
visit fill
for object in clang_2 gcc_3 gcc_2 clang_3 clang_2 clang_3; do
    must 0 swap $machine "shelf=$work/cells/$object.o"
    visit
done
must 0 verify $machine
echo 'ok: cells of gcc and clang take the place of each other, with their data'

must 0 swap $machine "shelf=$work/cells/shelf.o"
sed -i 's/int more/long more/' "$work/shelf.h"
shelf 3 > "$work/text" && make_cell clang other < "$work/text"
must 1 swap $machine "shelf=$work/cells/other.o"
grep -qE 'struct shelf: was int more at 8, is long( int)? more at 8' "$work/err" ||
    fail 'the difference of types is not shown'
must 1 swap $machine "shelf=$work/cells/other.o" --dry-run
grep -q 'struct shelf: was int more at 8' "$work/err" || fail 'a dry run does not show the difference'
visit
echo 'ok: a refusal shows which field has another type'

# Functions that share a section: a pointer to one that is not the first keeps the old cell, or the swap is refused.
flags="$flags -fno-function-sections -fno-toplevel-reorder"
sed 's/shelf/rack/g; s/int more/long more/' "$work/shelf.h" > "$work/rack.h"
rack() { # VERSION [ORDER]
    shelf "$1" | sed "s/shelf/rack/g; /^ *static uint64_t twice/i\\
        __attribute__((used, noinline)) static uint64_t once(uint64_t n) { return n + $1; }" | if [ $# = 1 ]; then
        cat
    else
        sed '/ once(/{h;d}; /^static uint64_t thrice/G'
    fi
}
rack 1 > "$work/text" && make_cell gcc rack < "$work/text"
rack 3 > "$work/text" && make_cell gcc rack_3 < "$work/text"
rack 5 other > "$work/text" && make_cell gcc rack_5 < "$work/text"
sed 's/shelf/rack/g; s/"visitor"/"rack_guest"/' "$work/visitor_text" > "$work/text"
make_cell gcc rack_guest < "$work/text"
must 0 load $machine "$work/cells/rack.o"
must 0 load $machine "$work/cells/rack_guest.o"
who=rack_guest shop=rack
visit fill
must 1 swap $machine "rack=$work/cells/rack_5.o"
grep -q 'hook.call points to .text#.* which has no counterpart' "$work/err" ||
    fail 'functions in another order are a pair'
must 0 swap $machine "rack=$work/cells/rack_3.o"
await ticks $(($(counter ticks) + 300))
visit
must 0 faults $machine --json
[ "$(jq length "$work/out")" = 0 ] || fail 'a pointer was left dangling'
echo 'ok: a pointer to a function within a section keeps its cell'
echo 'compilers: all passed'
