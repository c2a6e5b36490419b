/* See namespace.h. The tree: finding, branching, removing. What is in a namespace is change.c's business. */
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/history/history.h"
#include "cells/kernel/simd/simd.h"
#include "cells/kernel/swap/swap.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

CELL("namespace", KERNEL, 1);
EXPORT(namespace_find, APPLICATION);
EXPORT(namespace_branch, KERNEL);
EXPORT(namespace_remove, KERNEL);
EXPORT(namespace_reap, KERNEL);

#define NAME_BYTES 32

static bool is_live(uint32_t namespace_)
{
    return arena_namespace(namespace_)->name && arena_namespace(namespace_)->state == NAMESPACE_LIVE;
}

static const char *name_of(uint32_t namespace_)
{
    return arena_string(arena_namespace(namespace_)->name);
}

uint32_t namespace_find(const char *name)
{
    GUARD(arena) held = arena_change();

    for (uint32_t i = 1; i < ARENA_NAMESPACES_MAX; i++)
        if (is_live(i) && string_equal(name_of(i), name))
            return i;
    return 0;
}

/* ---- branch ---- */

static bool is_name(const char *name)
{
    size_t n = 0;

    for (; name[n]; n++)
        if (n == NAME_BYTES - 1 ||
            !((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= '0' && name[n] <= '9') || name[n] == '_'))
            return false;
    return n > 0;
}

static enum err check_branch(uint32_t parent, const char *name, const struct namespace_options *options,
                             struct loader_detail *detail)
{
    if (!is_name(name)) {
        format_print(detail->text, sizeof detail->text, "a namespace's name is of a-z, 0-9 and _, and has up to %u",
                     NAME_BYTES - 1);
        return ERR_INVALID;
    }
    if (namespace_find(name)) {
        format_print(detail->text, sizeof detail->text, "there is a namespace %s already", name);
        return ERR_EXISTS;
    }
    if (!parent || !is_live(parent)) {
        format_print(detail->text, sizeof detail->text, "there is nothing to make %s a branch of", name);
        return ERR_NOT_FOUND;
    }
    if (options->cpu > cpu_count()) {
        format_print(detail->text, sizeof detail->text, "there is no CPU %u", options->cpu - 1);
        return ERR_RANGE;
    }
    if (options->flags & ~(uint32_t)NAMESPACE_FLAGS) {
        format_print(detail->text, sizeof detail->text, "a namespace cannot be what is asked for %s", name);
        return ERR_INVALID;
    }
    if (options->flags & NAMESPACE_SIMD && !simd_works()) {
        format_print(detail->text, sizeof detail->text, "%s cannot have SIMD: this processor lacks AVX2 or FMA", name);
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

enum err namespace_branch(uint32_t parent, const char *name, const struct namespace_options *options,
                          uint32_t *ret_namespace, struct loader_detail *detail)
{
    static const struct namespace_options defaults;
    GUARD(loader) turn = loader_hold();
    enum err e = check_branch(parent, name, options ? options : &defaults, detail);

    if (e)
        return e;
    if (!options)
        options = &defaults;
    GUARD(arena) held = arena_change();
    uint32_t child = arena_new_named(ARENA_NAMESPACES, name);
    if (!child) {
        format_print(detail->text, sizeof detail->text, "no free record for namespace %s; remove one first", name);
        return ERR_FULL;
    }
    struct arena_namespace *n = arena_namespace(child);
    n->parent = parent;
    n->flags = options->flags | arena_namespace(parent)->flags;
    n->cpu = options->cpu ? options->cpu : arena_namespace(parent)->cpu;
    n->since = arena_header()->swap_seq;
    n->since_ns = cpu_ns();
    n->state = NAMESPACE_LIVE;
    arena_seal(ARENA_NAMESPACES, child);
    *ret_namespace = child;
    return ERR_OK;
}

/* ---- remove ---- */

static uint32_t child_of(uint32_t namespace_)
{
    for (uint32_t i = 1; i < ARENA_NAMESPACES_MAX; i++)
        if (arena_namespace(i)->name && arena_namespace(i)->parent == namespace_)
            return i;
    return 0;
}

static uint32_t task_in(uint32_t namespace_)
{
    for (uint32_t i = 1; i < ARENA_TASKS_MAX; i++)
        if (arena_task(i)->state != TASK_FREE && arena_task(i)->namespace_ == namespace_)
            return i;
    return 0;
}

/* Cells that an edge ties together are freed together. */
struct group {
    size_t count;
    uint32_t cell[ARENA_CELLS_MAX];
};

static struct group *group_of(uint32_t namespace_)
{
    struct group *group = heap_alloc(sizeof *group);
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    if (!group)
        return NULL;
    group->count = 0;
    for (uint32_t i = 1; i < used && i < ARENA_CELLS_MAX; i++)
        if (arena_cell(i)->state != CELL_FREE && arena_cell(i)->namespace_ == namespace_)
            group->cell[group->count++] = i;
    return group;
}

static bool is_in(const struct group *group, uint32_t cell)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->cell[i] == cell)
            return true;
    return false;
}

/* A cell outside of the group that leads to `cell`; 0: none. */
static uint32_t user_of(const struct group *group, uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in) {
            uint32_t from = arena_section(arena_edge(e)->from)->cell;
            if (!is_in(group, from))
                return from;
        }
    return 0;
}

static enum err say_task(uint32_t namespace_, uint32_t task, struct loader_detail *detail)
{
    format_print(detail->text, sizeof detail->text, "task %u (%s) is in %s", arena_task(task)->id,
                 arena_task(task)->name, name_of(namespace_));
    return ERR_BUSY;
}

static enum err check_remove(uint32_t namespace_, const struct group *group, struct loader_detail *detail)
{
    const char *name = name_of(namespace_);
    uint32_t task = task_in(namespace_), child = child_of(namespace_);

    if (namespace_ == NAMESPACE_ROOT) {
        format_print(detail->text, sizeof detail->text, "%s is what all others come from", name);
        return ERR_REFUSED;
    }
    if (child) {
        format_print(detail->text, sizeof detail->text, "%s is a branch of %s; remove it first", name_of(child), name);
        return ERR_BUSY;
    }
    if (task)
        return say_task(namespace_, task, detail);
    for (size_t i = 0; i < group->count; i++) {
        uint32_t user = user_of(group, group->cell[i]);
        if (!user)
            continue;
        format_print(detail->text, sizeof detail->text, "%s of %s is used by %s of %s",
                     arena_string(arena_cell(group->cell[i])->name), name, arena_string(arena_cell(user)->name),
                     name_of(arena_cell(user)->namespace_));
        return ERR_BUSY;
    }
    return ERR_OK;
}

/* True: all of it is gone, and the namespace too. */
static bool reap(uint32_t namespace_, struct group *group)
{
    if (swap_free(group->cell, group->count) < group->count)
        return false;
    GUARD(arena) held = arena_change();
    arena_free(ARENA_NAMESPACES, namespace_);
    return true;
}

/* From here on no task begins in there. */
static enum err close(uint32_t namespace_, const struct group *group, struct loader_detail *detail)
{
    GUARD(arena) held = arena_change();
    uint32_t task = task_in(namespace_);

    if (task)
        return say_task(namespace_, task, detail);
    for (size_t i = 0; i < group->count; i++)
        if (arena_cell(group->cell[i])->state == CELL_LIVE)
            loader_retract(group->cell[i]);
    arena_namespace(namespace_)->state = NAMESPACE_REMOVED;
    return ERR_OK;
}

enum err namespace_remove(uint32_t namespace_, struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();
    OWN(heap) struct group *group = group_of(namespace_);

    if (!group)
        return ERR_NOMEM;
    enum err e = is_live(namespace_) ? check_remove(namespace_, group, detail) : ERR_NOT_FOUND;
    if (e)
        return e;
    if ((e = close(namespace_, group, detail)))
        return e;
    history_keep(); /* before its objects go with its cells: other namespaces may need them, and nobody what it had before */
    if (!reap(namespace_, group))
        format_print(detail->text, sizeof detail->text, "its memory is freed when nothing holds it");
    return ERR_OK;
}

size_t namespace_reap(void)
{
    size_t still = 0;

    for (uint32_t i = 1; i < ARENA_NAMESPACES_MAX; i++) {
        if (arena_namespace(i)->state != NAMESPACE_REMOVED)
            continue;
        GUARD(loader) turn = loader_hold();
        OWN(heap) struct group *group = arena_namespace(i)->state == NAMESPACE_REMOVED ? group_of(i) : NULL;
        if (group && !reap(i, group))
            still++;
    }
    return still;
}
