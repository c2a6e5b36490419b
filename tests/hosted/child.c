/* See child.h. */
#include "tests/hosted/child.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/audit.h"
#include <check.h>
#include <string.h>

struct stand_in_use child_before;
struct report report;
struct namespace_ref child;

void child_setup(void)
{
    struct cell_ref cell;

    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    ck_assert_msg(loader_load("figure_app", &cell, &report) == LOAD_OK, "%s", report.text);
    heap_trim();
    child_before = stand_in_use();
    ck_assert_msg(namespace_branch(NAMESPACE_ROOT, "child", NULL, &child, &report) == ERR_OK, "%s", report.text);
}

void check_use(const struct stand_in_use *expected)
{
    const char *what = audit();

    heap_trim();
    struct stand_in_use now = stand_in_use();
    ck_assert_msg(!what, "%s", what);
    ck_assert_msg(stand_in_same_use(expected, &now), "%s", stand_in_difference(expected, &now));
}

void child_teardown(void)
{
    stand_in.call_result = ERR_OK;
    if (child.index)
        ck_assert_msg(namespace_remove(child, &report) == ERR_OK, "%s", report.text);
    check_use(&child_before);
}

void child_keep(void)
{
    heap_trim();
    child_before = stand_in_use();
}

enum err change(const char *path, unsigned flags)
{
    struct object_ref object = stand_in_keep(path);

    ck_assert(object.index);
    stand_in.calls = 0;
    enum err err = namespace_change(child, &object, 1, flags, &report);
    loader_drop_object(object);
    return err;
}

struct cell_ref in(struct namespace_ref namespace_, const char *name)
{
    struct cell_ref cell = namespace_cell(namespace_, name);

    ck_assert_msg(cell.index, "there is no %s", name);
    return cell;
}

bool is_own(struct namespace_ref namespace_, const char *name)
{
    return same(arena_cell(in(namespace_, name))->namespace_, namespace_);
}

void check_ways(struct namespace_ref namespace_)
{
    size_t own = 0;

    for_each_edge (e) {
        if (!arena_edge(e)->check)
            continue;
        struct cell_ref from = arena_section(arena_edge(e)->from)->cell, to = arena_section(arena_edge(e)->to)->cell;
        const char *name = arena_string(arena_cell(to)->name);
        if (same(arena_cell(from)->namespace_, namespace_))
            ck_assert_msg(same(namespace_cell(namespace_, name), to), "%s refers to another %s",
                          arena_string(arena_cell(from)->name), name);
        else
            ck_assert_msg(!same(arena_cell(to)->namespace_, namespace_), "%s refers to the child's %s",
                          arena_string(arena_cell(from)->name), name);
        own += same(arena_cell(from)->namespace_, namespace_);
    }
    ck_assert_uint_gt(own, 0);
}

uint32_t version_of(struct namespace_ref namespace_, const char *name)
{
    return arena_cell(in(namespace_, name))->version;
}

enum err load_into(struct namespace_ref namespace_, const struct craft *craft)
{
    struct object_ref object = craft_keep(craft);
    struct cell_ref new_;
    const struct loader_input load = {.namespace_ = namespace_, .object = &object, .objects = 1};

    ck_assert(object.index);
    enum err err = loader_stage(&load, &new_, &report);
    if (err) {
        loader_drop_object(object);
        return err;
    }
    lifecycle_publish(new_);
    return loader_initialize(new_, &report);
}
