/* Fuzz target: any request that a host may write into the ring, with any bytes in the mailbox, for the cells host_link
 * and request on a real loader. A request that is refused leaves no frame, mapping or record behind; every one is
 * answered. Swapping and applications are left out. Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c cells
 */
#include "cells/host/host_link/host_link.c"
#include "cells/task/application/application.h"
#include "cells/memory/heap/heap.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/plan/recipe.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/recover/kill/kill.h"
#include "tests/hosted/stand_in.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What an input begins with. The rest is the mailbox's bytes or, when `object` names a file, changes of that file's:
 * 32 bits for where, 8 bits for what. */
struct input {
    uint8_t ahead; /* so many requests are skipped, and may have left the ring */
    uint8_t torn;  /* a multiple of 16: the record is not the one that is announced */
    uint16_t object;
    uint32_t kind, flags;
    uint32_t mailbox_bytes; /* beyond the mailbox's end: as it is; else what there is */
    char target[32];
};

#define CHANGE_BYTES 5

static struct {
    const char *path;
    uint8_t *data;
    size_t bytes;
} objects[] = {
    {.path = "build/cells/channel_v2.o"}, {.path = "build/cells/checksum.o"}, {.path = "build/cells/shell.o"}};

/* ---- the cells that are left out ---- */

static jmp_buf quiet;

void scheduler_sleep_ns(uint64_t ns)
{
    (void)ns;
    longjmp(quiet, 1); /* nothing is asked any more */
}

struct task *task_this(void)
{
    return NULL;
}

const struct arena_fault *fault_of_task(const struct task *, uint64_t)
{
    return NULL;
}

enum err fault_report(const struct arena_fault *, const char *, struct report *report)
{
    return report->error = ERR_INIT_FAILED;
}

struct arena_fault *fault_record(uint64_t seq)
{
    (void)seq;
    return NULL;
}

struct task *task_spawn(const char *name, void (*entry)(uint64_t argument), uint64_t argument,
                        const struct task_options *options)
{
    (void)name, (void)entry, (void)argument, (void)options;
    return NULL;
}

void task_put(struct task *task)
{
    assert(!task);
}

/* There are no tasks. */
size_t kill_all_in(struct cell_ref cell)
{
    assert(cell.index);
    return 0;
}

enum err kill_by_id(uint32_t id, struct report *report)
{
    return report_refuse(report, ERR_NOT_FOUND, "no task %u", id);
}

size_t kill_again(void)
{
    return 0;
}

void *heap_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

void heap_free(void *block)
{
    free(block);
}

enum err application_run_in(struct namespace_ref namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct report *ret_report)
{
    size_t length = strlen(name);

    assert(same(namespace_, NAMESPACE_ROOT));
    (void)ret_task, (void)ret_report;
    for (int i = 0; i < argc; i++)
        length += strlen(argv[i]);
    return length ? ERR_NOT_FOUND : ERR_INVALID;
}

/* There is the root alone. */
struct namespace_ref namespace_find(const char *name)
{
    return strcmp(name, "root") ? NO_NAMESPACE : NAMESPACE_ROOT;
}

struct cell_ref namespace_cell(struct namespace_ref namespace_, const char *name)
{
    return arena_cell_find(namespace_, name);
}

enum err namespace_branch(struct namespace_ref parent, const char *name, const struct namespace_options *options,
                          struct namespace_ref *ret_namespace, struct report *report)
{
    assert(same(parent, NAMESPACE_ROOT) && strlen(name) < 32);
    (void)options, (void)ret_namespace, (void)report;
    return ERR_FULL;
}

enum err namespace_remove(struct namespace_ref namespace_, struct report *report)
{
    assert(same(namespace_, NAMESPACE_ROOT));
    (void)report;
    return ERR_REFUSED;
}

enum err namespace_change(struct namespace_ref namespace_, const struct object_ref *object, size_t count,
                          unsigned flags, struct report *report)
{
    (void)object, (void)count, (void)flags, (void)report;
    assert(!same(namespace_, NAMESPACE_ROOT));
    return ERR_REFUSED;
}

/* Longer than the mailbox, and into it: what has been read of it may be gone. */
static void show_plan(const struct swap_order *order)
{
    const struct plan_item item = {.kind = PLAN_CELL};

    for (size_t i = 0; order->flags & SWAP_DRY_RUN && i < ARENA_MAILBOX_BYTES / sizeof item + 2; i++)
        preview_add(order->preview, &item);
}

enum err namespace_swap(const struct swap_order *order, struct report *report)
{
    const struct loader_input load = {.namespace_ = order->namespace_,
                                      .object = order->object,
                                      .objects = order->objects,
                                      .old = order->old,
                                      .olds = order->olds};
    struct cell_ref cell[SWAP_SET_MAX];
    struct recipes recipes;
    enum err err = order->recipes ? recipes_open(order->recipes, order->recipe_bytes, &recipes, report) : ERR_OK;

    if (!err)
        err = loader_stage(&load, cell, report);

    if (err)
        return err;
    lifecycle_unstage(cell, order->objects);
    show_plan(order);
    return ERR_BUSY;
}

enum err swap_cells(const struct swap_order *order, struct report *report)
{
    (void)report;
    assert(order->olds == 1 && order->objects <= 1);
    return ERR_BUSY;
}

size_t reap_replaced(void)
{
    return 0;
}

void swap_log(const struct swap_order *order, const struct cell_ref *new_, const struct report *report)
{
    (void)report;
    assert(order->objects <= SWAP_SET_MAX && order->olds <= SWAP_SET_MAX && (new_ || !order->objects));
}

/* ---- one input ---- */

static struct stand_in_use baseline;

static void boot(void)
{
    struct cell_ref cell;

    stand_in_start();
    if (!stand_in_boot("build/delias.elf", "build/cells.archive") || loader_load("channel", &cell, NULL)) {
        fprintf(stderr, "mailbox: cannot boot build/delias.elf with build/cells.archive; run `make all` first: %s\n",
                stand_in.printed);
        exit(1);
    }
    for (size_t i = 0; i < array_size(objects); i++)
        if (!objects[i].data && !(objects[i].data = stand_in_file(objects[i].path, &objects[i].bytes)))
            exit(1);
    begun = 0;
    baseline = stand_in_use();
}

static size_t fill_mailbox(const struct input *input, const uint8_t *body, size_t bytes)
{
    uint8_t *to = (uint8_t *)arena_header() + arena_header()->table[ARENA_MAILBOX].offset;
    size_t which = input->object - 1u;

    if (which >= array_size(objects)) {
        bytes = bytes < ARENA_MAILBOX_BYTES ? bytes : ARENA_MAILBOX_BYTES;
        memcpy(to, body, bytes);
        return bytes;
    }
    memcpy(to, objects[which].data, objects[which].bytes);
    for (; bytes >= CHANGE_BYTES; bytes -= CHANGE_BYTES, body += CHANGE_BYTES) {
        uint32_t at;
        memcpy(&at, body, sizeof at);
        to[at % objects[which].bytes] = body[sizeof at];
    }
    return objects[which].bytes;
}

/* As the host does it, and as it does not. Returns the request's number. */
static uint64_t post_request(const struct input *input, size_t bytes)
{
    uint64_t seq = arena_header()->completion_seq + 1 + input->ahead % 32;
    struct arena_request *record = arena_record(ARENA_REQUESTS, ring_index(ARENA_REQUESTS, seq));

    record->kind = input->kind;
    record->flags = input->flags;
    record->mailbox_bytes = input->mailbox_bytes > ARENA_MAILBOX_BYTES ? input->mailbox_bytes : (uint32_t)bytes;
    memcpy(record->target, input->target, sizeof record->target);
    record->seq = input->torn % 16 ? seq : input->torn;
    arena_header()->request_seq = seq;
    return seq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input;
    static bool booted;

    if (bytes < sizeof input)
        return 0;
    memcpy(&input, data, sizeof input);
    if (!booted)
        boot();
    booted = true;
    stand_in.calls = 0;
    uint64_t seq = post_request(&input, fill_mailbox(&input, data + sizeof input, bytes - sizeof input));
    if (!setjmp(quiet))
        host_link_entry(0);
    const struct arena_completion *answer = arena_record(ARENA_COMPLETIONS, ring_index(ARENA_COMPLETIONS, seq));
    assert(arena_header()->completion_seq == seq && answer->seq == seq);
    assert(memchr(answer->detail, 0, sizeof answer->detail) && answer->phases <= ARENA_PHASES);
    assert(answer->items <= ARENA_MAILBOX_BYTES / sizeof(struct plan_item));
    assert(answer->items_lost == (answer->items ? 2 : 0));
    struct stand_in_use now = stand_in_use();
    bool clean = stand_in_same_use(&now, &baseline);
    assert(clean || !answer->error);
    booted = clean;
    return 0;
}
