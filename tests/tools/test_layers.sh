#!/usr/bin/env bash
# tests/tools/layers on a small tree: it passes as it is, and each rule, broken by one line, fails with its message.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- a sound tree ----

source_of() { # FILE LINE ...
    mkdir -p "$(dirname "$1")"
    printf '%s\n' '#include "guest/abi/marks.h"' "${@:2}" > "$1"
}
sound_tree() {
    mkdir -p configs docs tests/tools guest/abi
    cp "$OLDPWD"/tests/tools/layers* tests/tools
    echo '<!-- drawn -->' > docs/layers.md
    cat > guest/abi/marks.h <<'END'
#define CORE()       _Static_assert(1)
#define FOUNDATION() _Static_assert(1)
END
    cat > configs/layers <<'END'
part All
layer guest/abi
layer cells/low  over guest/abi
layer cells/high over cells/low
free tests
public guest/abi   *
public cells/low/a extra.h
bound a slot : now and then
cycle p q : each needs the other
ignore landing : every cell has landing pads
no_foundation spare : recovery works without
END
    source_of tests/free.c '#include "cells/low/a/own.h"'
    source_of cells/low/a/a.h
    source_of cells/low/a/own.h
    source_of cells/low/a/extra.h
    source_of cells/low/a/a.c '#include "cells/low/a/own.h"' 'CORE();' \
        'void landing(void), edge_bind(void *, void *);' 'static void *slot;' \
        'void a_bind(void *f)' '{' 'edge_bind(&slot, f);' 'landing();' '}'
    source_of cells/low/p/p.c 'void q(void);' 'void p(void) { q(); }'
    source_of cells/low/q/q.c 'void p(void);' 'void q(void) { p(); }'
    source_of cells/low/spare/spare.c 'void spare(void) {}'
    source_of cells/high/b/b.h
    source_of cells/high/b/b.c '#include "cells/low/a/a.h"' '#include "cells/low/a/extra.h"' 'FOUNDATION();' \
        'void a_bind(void *);' 'void b(void) { a_bind(0); }'
    source_of cells/high/recovery/recovery.c 'FOUNDATION();' 'void a_bind(void *), spare(void);' \
        'void landing(void) {}' 'void recover(void) { a_bind(0), spare(); }'
    git init -q .
}
build() {
    local source
    mkdir -p build/cells
    for source in cells/*/*/*.c; do
        gcc -w -I. -c -o "build/cells/$(basename "$source" .c).o" "$source"
    done
}

mkdir "$work/sound"
cd "$work/sound"
sound_tree
build
tests/tools/layers --write
tests/tools/layers
echo "ok: a sound tree passes"

# ---- broken by one line ----

number=0
breaks() { # MESSAGE, then what breaks it
    number=$((number + 1))
    cp -r "$work/sound" "$work/$number"
    cd "$work/$number"
    eval "$2"
    if tests/tools/layers > "$work/log" 2>&1 || ! grep -qxF -- "$1" "$work/log"; then
        echo "not found: $1" >&2
        echo "after: $2" >&2
        cat "$work/log" >&2
        exit 1
    fi
    echo "ok: $1"
}
line() { # TEXT FILE
    echo "$1" >> "$2"
}

breaks 'cells/high/b/b.c:7: includes cells/low/a/own.h, which is private to cells/low/a' \
    "line '#include \"cells/low/a/own.h\"' cells/high/b/b.c"
breaks 'cells/low/a/a.c:11: includes cells/high/b/b.h, which is in no layer below cells/low' \
    "line '#include \"cells/high/b/b.h\"' cells/low/a/a.c"
breaks 'cells/high/b/b.c:7: includes tests/free.c, which is in no layer' \
    "line '#include \"tests/free.c\"' cells/high/b/b.c"
breaks 'cells/low/p: calls b of b, which is in no layer below cells/low' \
    "line 'void up(void) { extern void b(void); b(); }' cells/low/p/p.c; build"
breaks 'cells/low/p: is in a cycle of calls that is not declared: p q spare' \
    "line 'void more(void) { extern void spare(void); spare(); }' cells/low/q/q.c
     line 'void back(void) { extern void p(void); p(); }' cells/low/spare/spare.c; build"
breaks 'cells/other/x/x.c: is in no layer of configs/layers' "source_of cells/other/x/x.c; build"
breaks 'configs/layers:12: cells/none is not there' "line 'layer cells/none over cells/low' configs/layers"
breaks 'configs/layers:12: cells/low/a/none.h is not there' "line 'public cells/low/a none.h' configs/layers"
breaks 'configs/layers:12: there is no cell none' "line 'no_foundation none : why' configs/layers"
breaks 'configs/layers:12: nothing needs the exception for p' "line 'no_foundation p : why' configs/layers"
breaks 'configs/layers:12: nothing needs the exception for none' "line 'ignore none : why' configs/layers"
breaks 'configs/layers:12: there is no cycle of exactly a p' "line 'cycle a p : why' configs/layers"
breaks 'configs/layers:12: nobody else includes cells/low/a/own.h' "line 'public cells/low/a own.h' configs/layers"
breaks 'configs/layers:12: no_foundation without a reason behind " : "' "line 'no_foundation p' configs/layers"
breaks 'configs/layers:12: guest is not declared above as a layer' "line 'layer tests/tools over guest' configs/layers"
breaks 'configs/layers:12: "beside cells/low" is not understood' "line 'beside cells/low' configs/layers"
breaks 'cells/high/b: recovery needs it, by way of a, and it does not say FOUNDATION()' \
    "sed -i /FOUNDATION/d cells/high/b/b.c"
breaks 'cells/low/q/q.c:4: says FOUNDATION(), and recovery does not need it' "line 'FOUNDATION();' cells/low/q/q.c"
breaks 'cells/low/a_v2: differs from a in CORE()' "source_of cells/low/a_v2/a_v2.c; build"
breaks 'cells/low/a: slot is bound in hidden, which is not exported' \
    "sed -i 's/^void a_bind/static &/; s/a_bind/hidden/' cells/low/a/a.c; build"
breaks 'cells/low/a: binds slot of a, which is not declared as bound' "sed -i /^bound/d configs/layers"
breaks 'configs/layers:12: nothing binds none of a' "line 'bound a none : never' configs/layers"
breaks 'cells/high/b: build/cells/b.o is not there; build first' "rm build/cells/b.o"
breaks 'docs/layers.md is not what tests/tools/layers draws; if the layers have changed: tests/tools/layers --write' \
    "line more docs/layers.md"
