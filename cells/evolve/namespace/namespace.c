/* See namespace.h. The tree: finding, branching, removing. What is in a namespace is change.c's business. */
#include "cells/evolve/namespace/namespace.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/history/history.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/simd/simd.h"

CELL("namespace", KERNEL, 1);
FOUNDATION();
EXPORT(namespace_find, APPLICATION);
EXPORT(namespace_branch, KERNEL);
EXPORT(namespace_remove, KERNEL);
EXPORT(namespace_reap, KERNEL);
EXPORT(namespace_reap_in_background, KERNEL);

#define NAME_BYTES 32

static bool is_live(struct namespace_ref namespace_)
{
    return arena_namespace(namespace_)->name && arena_namespace(namespace_)->state == NAMESPACE_LIVE;
}

static const char *name_of_namespace(struct namespace_ref namespace_)
{
    return arena_string(arena_namespace(namespace_)->name);
}

struct namespace_ref namespace_find(const char *name)
{
    GUARD(arena) held = arena_change();

    for_each_namespace (i)
        if (is_live(i) && string_equal(name_of_namespace(i), name))
            return i;
    return NO_NAMESPACE;
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

static enum err check_branch(struct namespace_ref parent, const char *name, const struct namespace_options *options,
                             struct report *report)
{
    if (!is_name(name))
        return report_refuse(report, ERR_INVALID, "a namespace's name is of a-z, 0-9 and _, and has up to %u",
                             NAME_BYTES - 1);
    if (namespace_find(name).index)
        return report_refuse(report, ERR_EXISTS, "there is a namespace %s already", name);
    if (!parent.index || !is_live(parent))
        return report_refuse(report, ERR_NOT_FOUND, "there is nothing to make %s a branch of", name);
    if (options->cpu > cpu_count())
        return report_refuse(report, ERR_RANGE, "there is no CPU %u", options->cpu - 1);
    if (options->flags & ~(uint32_t)NAMESPACE_FLAGS)
        return report_refuse(report, ERR_INVALID, "a namespace cannot be what is asked for %s", name);
    if (options->flags & NAMESPACE_SIMD && !simd_works())
        return report_refuse(report, ERR_UNSUPPORTED, "%s cannot have SIMD: this processor lacks AVX2 or FMA", name);
    return ERR_OK;
}

enum err namespace_branch(struct namespace_ref parent, const char *name, const struct namespace_options *options,
                          struct namespace_ref *ret_namespace, struct report *report)
{
    static const struct namespace_options defaults;
    GUARD(loader) locked = loader_hold();
    enum err e = check_branch(parent, name, options ? options : &defaults, report);

    if (e)
        return e;
    if (!options)
        options = &defaults;
    GUARD(arena) held = arena_change();
    struct namespace_ref child = {arena_new_named(ARENA_NAMESPACES, name)};
    if (!child.index)
        return arena_refuse_full(ARENA_NAMESPACES, report);
    struct arena_namespace *n = arena_namespace(child);
    n->parent = parent;
    n->flags = options->flags | arena_namespace(parent)->flags;
    n->cpu = options->cpu ? options->cpu : arena_namespace(parent)->cpu;
    n->since = arena_header()->swap_seq;
    n->since_ns = cpu_ns();
    n->state = NAMESPACE_LIVE;
    arena_seal(child);
    *ret_namespace = child;
    return ERR_OK;
}

/* ---- remove ---- */

static struct namespace_ref child_of(struct namespace_ref namespace_)
{
    for_each_namespace (i)
        if (arena_namespace(i)->name && same(arena_namespace(i)->parent, namespace_))
            return i;
    return NO_NAMESPACE;
}

static struct task_ref task_in(struct namespace_ref namespace_)
{
    for_each_task (i)
        if (arena_task(i)->state != TASK_FREE && same(arena_task(i)->namespace_, namespace_))
            return i;
    return NO_TASK;
}

/* Cells that an edge ties together are freed together. */
struct group {
    size_t count;
    struct cell_ref cell[];
};

static bool is_member(struct cell_ref cell, struct namespace_ref namespace_)
{
    return arena_cell(cell)->state != CELL_FREE && same(arena_cell(cell)->namespace_, namespace_);
}

static struct group *group_of_namespace(struct namespace_ref namespace_)
{
    size_t members = 0;

    for_each_cell (i)
        members += is_member(i, namespace_);
    struct group *group = heap_alloc(sizeof *group + members * sizeof *group->cell);
    if (!group)
        return NULL;
    group->count = 0;
    for_each_cell (i)
        if (group->count < members && is_member(i, namespace_))
            group->cell[group->count++] = i;
    return group;
}

/* A cell of another namespace with an edge to `cell`, or none. */
static struct cell_ref user_of(struct namespace_ref namespace_, struct cell_ref cell)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s) {
            struct cell_ref from = arena_section(arena_edge(e)->from)->cell;
            if (!same(arena_cell(from)->namespace_, namespace_))
                return from;
        }
    return NO_CELL;
}

static enum err refuse_for_task(struct namespace_ref namespace_, struct task_ref task, struct report *report)
{
    return report_refuse(report, ERR_BUSY, "task %u (%s) is in %s", arena_task(task)->id, arena_task(task)->name,
                         name_of_namespace(namespace_));
}

static enum err check_remove(struct namespace_ref namespace_, const struct group *group, struct report *report)
{
    const char *name = name_of_namespace(namespace_);
    struct task_ref task = task_in(namespace_);
    struct namespace_ref child = child_of(namespace_);

    if (same(namespace_, NAMESPACE_ROOT))
        return report_refuse(report, ERR_REFUSED, "%s is what all others come from", name);
    if (child.index)
        return report_refuse(report, ERR_BUSY, "%s is a branch of %s; %s", name_of_namespace(child), name,
                             is_live(child) ? "remove it first" : "it is removed, but something holds its memory yet");
    if (task.index)
        return refuse_for_task(namespace_, task, report);
    for (size_t i = 0; i < group->count; i++) {
        struct cell_ref user = user_of(namespace_, group->cell[i]);
        if (!user.index)
            continue;
        return report_refuse(report, ERR_BUSY, "%s of %s is used by %s of %s",
                             arena_string(arena_cell(group->cell[i])->name), name, arena_string(arena_cell(user)->name),
                             name_of_namespace(arena_cell(user)->namespace_));
    }
    return ERR_OK;
}

/* True: all of it is gone, and the namespace too. */
static bool reap(struct namespace_ref namespace_, struct group *group)
{
    if (reap_cells(group->cell, group->count) < group->count)
        return false;
    GUARD(arena) held = arena_change();
    arena_free(namespace_);
    return true;
}

/* Marks the namespace as removed and hides its cells: no task can start in it any more. */
static enum err close(struct namespace_ref namespace_, const struct group *group, struct report *report)
    NEEDS(loader_lock)
{
    GUARD(arena) held = arena_change();
    struct task_ref task = task_in(namespace_);

    if (task.index)
        return refuse_for_task(namespace_, task, report);
    for (size_t i = 0; i < group->count; i++)
        if (arena_cell(group->cell[i])->state == CELL_LIVE)
            lifecycle_retract(group->cell[i]);
    arena_namespace(namespace_)->state = NAMESPACE_REMOVED;
    return ERR_OK;
}

enum err namespace_remove(struct namespace_ref namespace_, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    OWN(heap) struct group *group = group_of_namespace(namespace_);

    if (!group)
        return ERR_NOMEM;
    enum err e = is_live(namespace_) ? check_remove(namespace_, group, report) : ERR_NOT_FOUND;
    if (e)
        return e;
    if ((e = close(namespace_, group, report)))
        return e;
    /* Before its objects are freed with its cells: other namespaces may need them. */
    history_keep();
    if (!reap(namespace_, group))
        format_print(report->text, sizeof report->text, "its memory is freed when nothing holds it");
    return ERR_OK;
}

static bool is_removed(struct namespace_ref namespace_)
{
    return arena_namespace(namespace_)->state == NAMESPACE_REMOVED;
}

/* False: the namespace is removed, and something still holds its cells. */
static bool try_namespace(struct namespace_ref namespace_)
{
    GUARD(loader) locked = loader_hold();
    OWN(heap) struct group *group = is_removed(namespace_) ? group_of_namespace(namespace_) : NULL;

    return !is_removed(namespace_) || (group && reap(namespace_, group));
}

size_t namespace_reap(void)
{
    size_t still = 0;

    for_each_namespace (i)
        still += !try_namespace(i);
    return still;
}

/* The next removed namespace in the circle of all records; none: there is none. */
static struct namespace_ref next_removed(struct namespace_ref after)
{
    struct namespace_ref first = NO_NAMESPACE;

    for_each_namespace (i) {
        if (!is_removed(i))
            continue;
        if (i.index > after.index)
            return i;
        if (!first.index)
            first = i;
    }
    return first;
}

void namespace_reap_in_background(void)
{
    static struct namespace_ref namespace_; /* tried last */
    static struct reap_share share;

    while (reap_may_try(&share) && (namespace_ = next_removed(namespace_)).index) {
        uint64_t began_ns = cpu_ns();
        if (try_namespace(namespace_))
            continue;
        reap_failed(&share, began_ns);
        return;
    }
}
