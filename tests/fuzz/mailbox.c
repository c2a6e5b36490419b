/* Fuzz target: any request that a host may write into the ring, with any bytes in the mailbox, for the cells host_link
 * and request on a real loader. A request that is refused leaves no frame, mapping or record behind; every one is
 * answered. Swapping and applications are left out. Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c cells/kernel/arena/arena.c cells/kernel/archive/archive.c cells/kernel/history/history.c
 * sources: cells/kernel/arena/find.c cells/kernel/arena/index.c cells/kernel/arena/strings.c
 * sources: cells/kernel/loader/bind.c cells/kernel/loader/discard.c cells/kernel/loader/index.c
 * sources: cells/kernel/loader/keep.c cells/kernel/loader/loader.c cells/kernel/loader/nano_core.c
 * sources: cells/kernel/loader/object.c cells/kernel/loader/place.c cells/kernel/loader/pointers.c
 * sources: cells/kernel/loader/relocate.c
 * sources: cells/kernel/request/request.c cells/lib/format/format.c
 * sources: cells/kernel/swap/recipe.c
 */
#include "cells/kernel/host_link/host_link.c"
#include "cells/kernel/application/application.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/swap/recipe.h"
#include "cells/kernel/swap/swap.h"
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

void *heap_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

void heap_free(void *block)
{
    free(block);
}

enum err application_run_in(uint32_t namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct loader_detail *ret_detail)
{
    size_t length = strlen(name);

    assert(namespace_ == NAMESPACE_ROOT);
    (void)ret_task, (void)ret_detail;
    for (int i = 0; i < argc; i++)
        length += strlen(argv[i]);
    return length ? ERR_NOT_FOUND : ERR_INVALID;
}

/* There is the root alone. */
uint32_t namespace_find(const char *name)
{
    return strcmp(name, "root") ? 0 : NAMESPACE_ROOT;
}

uint32_t namespace_cell(uint32_t namespace_, const char *name)
{
    return arena_cell_find(namespace_, name);
}

enum err namespace_branch(uint32_t parent, const char *name, const struct namespace_options *options,
                          uint32_t *ret_namespace, struct loader_detail *detail)
{
    assert(parent == NAMESPACE_ROOT && strlen(name) < 32);
    (void)options, (void)ret_namespace, (void)detail;
    return ERR_FULL;
}

enum err namespace_remove(uint32_t namespace_, struct loader_detail *detail)
{
    assert(namespace_ == NAMESPACE_ROOT);
    (void)detail;
    return ERR_REFUSED;
}

enum err namespace_change(uint32_t namespace_, const uint32_t *object, size_t count, unsigned flags,
                          struct arena_completion *report)
{
    (void)object, (void)count, (void)flags, (void)report;
    assert(namespace_ != NAMESPACE_ROOT);
    return ERR_REFUSED;
}

/* Longer than the mailbox, and into it: what has been read of it may be gone. */
static void show_plan(const struct swap_order *order)
{
    const struct plan_item item = {.kind = PLAN_CELL};

    for (size_t i = 0; order->flags & SWAP_DRY_RUN && i < ARENA_MAILBOX_BYTES / sizeof item + 2; i++)
        preview_add(order->preview, &item);
}

enum err namespace_swap(const struct swap_order *order, struct arena_completion *report)
{
    const struct loader_order load = {.namespace_ = order->namespace_,
                                      .object = order->object,
                                      .objects = order->objects,
                                      .old = order->old,
                                      .olds = order->olds};
    uint32_t cell[SWAP_SET_MAX];
    struct recipes recipes;
    enum err err =
        order->recipes ? recipes_open(order->recipes, order->recipe_bytes, &recipes, (void *)report->detail) : ERR_OK;

    if (!err)
        err = loader_stage(&load, cell, (struct loader_detail *)report->detail);

    if (err)
        return err;
    loader_unstage(cell, order->objects);
    show_plan(order);
    return ERR_BUSY;
}

enum err swap_cells(const struct swap_order *order, struct arena_completion *report)
{
    (void)report;
    assert(order->olds == 1 && order->objects <= 1);
    return ERR_BUSY;
}

size_t swap_reap(void)
{
    return 0;
}

void swap_log(const struct swap_order *order, const uint32_t *new_, const struct arena_completion *report)
{
    (void)report;
    assert(order->objects <= SWAP_SET_MAX && order->olds <= SWAP_SET_MAX && (new_ || !order->objects));
}

/* ---- one input ---- */

static struct stand_in_use baseline;

static void boot(void)
{
    uint32_t cell;

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
    bool same = stand_in_same_use(&now, &baseline);
    assert(same || !answer->error);
    booted = same;
    return 0;
}
