#!/usr/bin/env bash
# References to records of the arena: the compiler tells the tables apart. Each pair below is one line in a function,
# once as it should be, which compiles without a warning, and once with a reference to another table, which does not
# compile.
set -u
cd "$(dirname "$0")/../.." || exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

compiles() { # SIDE LINE
    local flags=() headers='#include "introspect/view.h"'
    if [ "$1" = guest ]; then
        flags=(-ffreestanding -mgeneral-regs-only)
        headers=$'#include "cells/core/edge/edge.h"\n#include "cells/core/loader/loader.h"'
    fi
    cat > "$work/line.c" <<END
$headers
extern struct cell_ref cell;
extern struct section_ref section;
extern struct symbol_ref symbol;
extern struct edge_ref edge;
extern struct object_ref object;
extern struct namespace_ref namespace_;
extern struct task_ref task;
extern const struct arena_edge *e;
extern const struct view *view;
extern uint32_t index_;
void f(void);
void f(void)
{
    $2
}
END
    gcc -std=gnu2x -I. -Wall -Wextra -Werror "${flags[@]}" -fsyntax-only "$work/line.c" 2> "$work/errors"
}

of_types='incompatible|invalid (initializer|operands)|not a structure|used struct type|not compatible'
try() { # SIDE RIGHT WRONG
    if ! compiles "$1" "$2"; then
        echo "$1: does not compile: $2"
        grep error: "$work/errors"
        failed=1
    fi
    if compiles "$1" "$3"; then
        echo "$1: compiles, but should not: $3"
        failed=1
    elif grep error: "$work/errors" | grep -qvE "$of_types"; then
        echo "$1: does not compile, but for another reason than its types: $3"
        grep error: "$work/errors"
        failed=1
    fi
}

# A reference as an argument.
try guest '(void)arena_cell(cell);'                   '(void)arena_cell(section);'
try guest '(void)arena_section(e->from);'             '(void)arena_section(e->symbol);'
try guest '(void)arena_task(task);'                   '(void)arena_task(index_);'
try guest '(void)edge_at(section, 0);'                '(void)edge_at(edge, 0);'
try guest '(void)arena_cell_find(namespace_, "log");' '(void)arena_cell_find(1, "log");'
try guest 'loader_drop_object(object);'               'loader_drop_object(cell);'
try guest 'loader_discard(&cell, 1);'                 'loader_discard(&section, 1);'
try host '(void)view_cell(view, cell);'               '(void)view_cell(view, section);'
try host '(void)view_edges_out(view, section);'       '(void)view_edges_out(view, symbol);'

# Two references compared.
try guest '(void)same(e->from, e->to);'             '(void)same(e->from, e->symbol);'
try guest '(void)same(arena_section(section)->cell, cell);' '(void)same(arena_section(section)->cell, section);'
try guest '(void)same(namespace_, NAMESPACE_ROOT);' '(void)same(cell, NAMESPACE_ROOT);'
try host '(void)same(object, object);'              '(void)same(object, cell);'
try host '(void)same(cell, cell);'                  '(void)(cell == cell);'

# A reference stored, and an index where a reference belongs.
try guest 'section = arena_cell(cell)->first_section;' 'section = arena_cell(cell)->first_symbol;'
try guest 'edge = arena_section(section)->first_in;'   'index_ = arena_section(section)->first_in;'
try guest 'cell = (struct cell_ref){index_};'           'cell = index_;'
try host 'task = NO_TASK;'                             'task = NO_CELL;'
try host 'if (cell.index) return;'                     'if (cell) return;'

# The table follows from the reference; a list is one of the right kind.
try guest '(void)arena_sound(cell);'                       '(void)arena_sound(index_);'
try guest 'for_each_section_of (i, cell) (void)arena_section(i);' 'for_each_section_of (i, cell) (void)arena_cell(i);'
try guest 'for_each_edge_from (i, section) edge = i;'      'for_each_edge_from (i, cell) edge = i;'
try guest 'for_each_cell (i) (void)arena_cell(i);'         'for_each_cell (i) (void)arena_section(i);'

exit $failed
