/* See request.h. Loading and swapping are the loader's and the swap cell's work. */
#include "cells/kernel/request/request.h"
#include "cells/kernel/application/application.h"
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/history/history.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

CELL("request", KERNEL, 1);
EXPORT(request_execute, APPLICATION);
EXPORT(request_execute_seen, KERNEL);
EXPORT(request_execute_member, APPLICATION);

_Static_assert((int)REQUEST_DRY_RUN == (int)SWAP_DRY_RUN);
_Static_assert(sizeof(((struct arena_completion *)0)->detail) == sizeof(struct loader_detail));

/* A request that was decoded, and the namespace that it is about. */
struct asked {
    struct arena_request request;
    uint32_t namespace_;
    struct preview *preview; /* NULL: nobody wants to see what a dry run plans */
};

typedef enum err request_handler(const struct asked *asked, const void *body, struct arena_completion *completion);

static struct loader_detail *detail_of(struct arena_completion *completion)
{
    return (struct loader_detail *)completion->detail;
}

/* A stage of a request that ended just now: its time is what has passed since the stages before it. */
static void add_phase(struct arena_completion *completion, const char *name, uint64_t *started_ns)
{
    uint64_t now = cpu_ns();

    if (completion->phases >= ARENA_PHASES)
        return;
    struct arena_phase *phase = &completion->phase[completion->phases++];
    string_copy(phase->name, name, sizeof phase->name);
    phase->ns = now - *started_ns;
    *started_ns = now;
}

static enum err ping(const struct asked *, const void *, struct arena_completion *completion)
{
    uint64_t now = cpu_ns();

    add_phase(completion, "ping", &now);
    return ERR_OK;
}

/* An object that is dropped at the end of the scope unless a cell was made from it; held within one turn of the loader,
 * as its record may be another object's afterwards. */
struct object_guard {
    uint32_t object;
};

static void object_guard_end(struct object_guard *kept)
{
    if (kept->object)
        loader_drop_object(kept->object);
}

static bool is_cell_name(const char target[32])
{
    size_t n = 0;

    while (n < 32 &&
           ((target[n] >= 'a' && target[n] <= 'z') || (target[n] >= '0' && target[n] <= '9') || target[n] == '_'))
        n++;
    return n > 0 && n < 32 && !target[n];
}

/* Objects that are dropped at the end of the scope unless cells were made from them; one turn of the loader, likewise. */
struct order_guard {
    struct swap_order order;
};

static void order_guard_end(struct order_guard *kept)
{
    for (size_t i = 0; i < kept->order.objects; i++)
        loader_drop_object(kept->order.object[i]);
}

static enum err find_old(struct swap_order *order, const char name[32], struct arena_completion *completion)
{
    uint32_t cell = is_cell_name(name) ? namespace_cell(order->namespace_, name) : 0;

    if (cell) {
        order->old[order->olds++] = cell;
        return ERR_OK;
    }
    format_print(completion->detail, sizeof completion->detail, "no cell %.31s is loaded", name);
    return ERR_NOT_FOUND;
}

/* One that has been here before; `name` has as many bytes as are said there, at most. */
static enum err find_kept(struct swap_order *order, const uint8_t *name, const struct swap_set_object *where,
                          struct arena_completion *completion)
{
    char cell[32] = "";

    if (where->bytes >= sizeof cell)
        return ERR_RANGE;
    memcpy(cell, name, where->bytes);
    if (!is_cell_name(cell))
        return ERR_INVALID;
    uint32_t object = history_find(cell, where->hash);
    if (object) {
        order->object[order->objects++] = object;
        return ERR_OK;
    }
    format_print(completion->detail, sizeof completion->detail, "object %016lx of %s is not kept any more", where->hash,
                 cell);
    return ERR_NOT_FOUND;
}

static enum err keep_object(struct swap_order *order, const uint8_t *body, size_t bytes,
                            const struct swap_set_object *where, struct arena_completion *completion)
{
    if (where->offset < sizeof(struct swap_set) || where->offset > bytes || where->bytes > bytes - where->offset) {
        format_print(completion->detail, sizeof completion->detail, "an object reaches out of the set");
        return ERR_TRUNCATED;
    }
    if (where->hash)
        return find_kept(order, body + where->offset, where, completion);
    enum err e =
        loader_keep_object(body + where->offset, where->bytes, &order->object[order->objects], detail_of(completion));
    order->objects += e == ERR_OK;
    return e;
}

/* A copy that nobody else writes; NULL: there are none, or with an error, no sound ones. */
static enum err copy_recipes(const struct swap_set *set, const uint8_t *body, void **ret_recipes,
                             struct arena_completion *completion)
{
    *ret_recipes = NULL;
    if (!set->recipes_bytes)
        return ERR_OK;
    if (set->recipes_offset < sizeof *set || set->recipes_offset > set->bytes ||
        set->recipes_bytes > set->bytes - set->recipes_offset) {
        format_print(completion->detail, sizeof completion->detail, "the recipes reach out of the set");
        return ERR_TRUNCATED;
    }
    *ret_recipes = heap_alloc(set->recipes_bytes);
    if (!*ret_recipes)
        return ERR_NOMEM;
    memcpy(*ret_recipes, body + set->recipes_offset, set->recipes_bytes);
    return ERR_OK;
}

static enum err swap(const struct asked *asked, const void *body, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    GUARD(order)
    kept = {.order = {.namespace_ = asked->namespace_, .flags = request->flags, .preview = asked->preview}};
    struct swap_order *order = &kept.order;
    enum err e = find_old(order, request->target, completion);

    if (!e)
        e = loader_keep_object(body, request->mailbox_bytes, &order->object[0], detail_of(completion));
    if (e)
        return e;
    order->objects = 1;
    const char *name = arena_string(arena_object(order->object[0])->name);
    if (!string_equal(name, request->target)) {
        format_print(completion->detail, sizeof completion->detail, "the object is of cell %s, not of %s", name,
                     request->target);
        return ERR_INVALID;
    }
    return namespace_swap(order, completion);
}

/* The header is copied before it is believed; so are the recipes, and each object when it is kept. */
static enum err swap_set(const struct asked *asked, const void *body, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;
    OWN(heap) struct swap_set *set = heap_alloc(sizeof *set);
    OWN(heap) void *recipes = NULL;
    GUARD(loader) held = loader_hold();
    GUARD(order)
    kept = {.order = {.namespace_ = asked->namespace_, .flags = request->flags, .preview = asked->preview}};
    enum err e = ERR_OK;

    if (!set)
        return ERR_NOMEM;
    if (request->mailbox_bytes < sizeof *set)
        return ERR_TRUNCATED;
    memcpy(set, body, sizeof *set);
    if (set->bytes != request->mailbox_bytes || set->olds > SWAP_SET_MAX || set->objects > SWAP_SET_MAX ||
        !(set->olds + set->objects))
        return ERR_CORRUPT;
    e = copy_recipes(set, body, &recipes, completion);
    kept.order.recipes = recipes;
    kept.order.recipe_bytes = set->recipes_bytes;
    for (uint32_t i = 0; i < set->olds && !e; i++)
        e = find_old(&kept.order, set->old[i], completion);
    for (uint32_t i = 0; i < set->objects && !e; i++)
        e = keep_object(&kept.order, body, request->mailbox_bytes, &set->object[i], completion);
    return e ? e : namespace_swap(&kept.order, completion);
}

/* Where the namespace has it from. */
static enum err reload(const struct asked *asked, const void *, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    struct swap_order order = {.namespace_ = asked->namespace_, .flags = request->flags, .preview = asked->preview};
    enum err e = find_old(&order, request->target, completion);

    if (e)
        return e;
    order.namespace_ = arena_cell(order.old[0])->namespace_;
    order.object[0] = arena_cell(order.old[0])->object;
    order.objects = order.object[0] != 0;
    return swap_cells(&order, completion);
}

/* A staged cell that is taken back at the end of the scope unless it was initialized. */
struct staged_guard {
    uint32_t cell;
};

static void staged_guard_end(struct staged_guard *staged)
{
    if (staged->cell)
        loader_unstage(&staged->cell, 1);
}

static enum err load_into_root(uint32_t object, uint64_t since, struct arena_completion *completion)
{
    GUARD(staged) staged = {0};
    const struct loader_order order = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};
    enum err e = loader_stage(&order, &staged.cell, detail_of(completion));

    if (e != ERR_OK)
        return e;
    loader_publish(staged.cell);
    add_phase(completion, "link", &since);
    e = loader_initialize(staged.cell, detail_of(completion));
    if (e != ERR_OK)
        return e;
    add_phase(completion, "init", &since);
    completion->result = staged.cell;
    staged.cell = 0;
    return ERR_OK;
}

/* A cell that came into the root, or went, otherwise than by a swap. */
static void note_down(uint32_t old, uint32_t object, uint32_t new_, const struct arena_completion *completion)
{
    OWN(heap) struct swap_order *order = heap_alloc(sizeof *order);

    if (!order)
        return;
    *order = (struct swap_order){.namespace_ = old ? arena_cell(old)->namespace_ : NAMESPACE_ROOT,
                                 .olds = old != 0,
                                 .old = {old},
                                 .objects = object != 0,
                                 .object = {object}};
    swap_log(order, &new_, completion);
}

static enum err load(const struct asked *asked, const void *body, struct arena_completion *completion)
{
    uint64_t since = cpu_ns();
    GUARD(loader) held = loader_hold();
    GUARD(object) kept = {0};
    enum err e = loader_keep_object(body, asked->request.mailbox_bytes, &kept.object, detail_of(completion));

    if (e != ERR_OK)
        return e;
    const char *name = arena_string(arena_object(kept.object)->name);
    if (namespace_cell(asked->namespace_, name)) {
        format_print(completion->detail, sizeof completion->detail, "%s is loaded already; swap replaces it", name);
        return ERR_EXISTS;
    }
    add_phase(completion, "copy", &since);
    if (asked->namespace_ != NAMESPACE_ROOT)
        return namespace_change(asked->namespace_, &kept.object, 1, 0, completion);
    e = completion->error = load_into_root(kept.object, since, completion);
    note_down(0, kept.object, completion->result, completion);
    return e;
}

/* A cell that has an edge into `cell`, but itself; 0: none. */
static uint32_t user_of(uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in) {
            uint32_t from = arena_section(arena_edge(e)->from)->cell;
            if (from != cell)
                return from;
        }
    return 0;
}

/* The cell's symbols vanish at once; its memory is given back when no task is inside of it any more. */
static enum err unload(const struct asked *asked, const void *, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    uint32_t cell = namespace_cell(asked->namespace_, request->target);

    if (cell && arena_cell(cell)->namespace_ != asked->namespace_) {
        format_print(completion->detail, sizeof completion->detail, "%s is inherited; unload it where it is",
                     request->target);
        return ERR_REFUSED;
    }
    if (!cell || arena_in_image(arena_cell(cell))) {
        string_copy(completion->detail, request->target, sizeof completion->detail);
        return cell ? ERR_NOT_SWAPPABLE : ERR_NOT_FOUND;
    }
    uint32_t user = user_of(cell);
    if (user) {
        format_print(completion->detail, sizeof completion->detail, "%s is used by %s", request->target,
                     arena_string(arena_cell(user)->name));
        return ERR_BUSY;
    }
    loader_retract(cell);
    completion->result = cell;
    note_down(cell, 0, 0, completion);
    if (swap_reap() && arena_cell(cell)->state == CELL_OLD)
        string_copy(completion->detail, "its memory is freed when nothing holds it", sizeof completion->detail);
    return ERR_OK;
}

struct arguments {
    int count;
    const char *argv[REQUEST_ARGUMENTS_MAX + 1];
    char text[REQUEST_ARGUMENT_BYTES + 1];
};

/* Copies NUL-separated strings, then takes them apart; argv[0] is the target. */
static enum err read_arguments(struct arguments *arguments, const struct arena_request *request, const void *body)
{
    if (request->mailbox_bytes > REQUEST_ARGUMENT_BYTES)
        return ERR_RANGE;
    memcpy(arguments->text, body, request->mailbox_bytes);
    arguments->text[request->mailbox_bytes] = 0;
    arguments->argv[arguments->count++] = request->target;
    for (size_t at = 0; at < request->mailbox_bytes; at += string_length(arguments->text + at) + 1) {
        if (arguments->count >= REQUEST_ARGUMENTS_MAX)
            return ERR_RANGE;
        arguments->argv[arguments->count++] = arguments->text + at;
    }
    return ERR_OK;
}

static enum err spawn(const struct asked *asked, const void *body, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;
    OWN(heap) struct arguments *arguments = heap_alloc(sizeof *arguments);
    OWN(task) struct task *task = NULL;

    if (!arguments)
        return ERR_NOMEM;
    enum err e = read_arguments(arguments, request, body);
    if (e != ERR_OK)
        return e;
    e = application_run_in(asked->namespace_, request->target, arguments->count, arguments->argv, &task,
                           detail_of(completion));
    if (e != ERR_OK)
        return e;
    completion->result = task->id;
    return ERR_OK;
}

static enum err branch(const struct asked *asked, const void *, struct arena_completion *completion)
{
    const struct namespace_options options = {.cpu = asked->request.argument,
                                              .flags = asked->request.flags & REQUEST_SIMD ? NAMESPACE_SIMD : 0};

    return namespace_branch(asked->namespace_, asked->request.target, &options, &completion->result,
                            detail_of(completion));
}

static enum err remove(const struct asked *asked, const void *, struct arena_completion *completion)
{
    uint32_t namespace_ = namespace_find(asked->request.target);

    if (namespace_)
        return namespace_remove(namespace_, detail_of(completion));
    format_print(completion->detail, sizeof completion->detail, "no namespace %s", asked->request.target);
    return ERR_NOT_FOUND;
}

static const struct kind {
    const char *name;
    request_handler *handler;
    bool needs_target, needs_body;
    uint32_t flags; /* that it may have */
} kinds[] = {
    [REQUEST_PING] = {"ping", ping, false, false, 0},
    [REQUEST_SWAP] = {"swap", swap, true, true, REQUEST_DRY_RUN},
    [REQUEST_RELOAD] = {"reload", reload, true, false, REQUEST_DRY_RUN},
    [REQUEST_LOAD] = {"load", load, false, true, 0},
    [REQUEST_SPAWN] = {"spawn", spawn, true, false, 0},
    [REQUEST_UNLOAD] = {"unload", unload, true, false, 0},
    [REQUEST_SWAP_SET] = {"swap", swap_set, false, true, REQUEST_DRY_RUN},
    [REQUEST_BRANCH] = {"branch", branch, true, false, REQUEST_SIMD},
    [REQUEST_REMOVE] = {"remove", remove, true, false, 0},
};

/* Cells and namespaces have the same sort of names. */
static enum err find_namespace(struct asked *asked, struct arena_completion *completion)
{
    const char *name = asked->request.namespace_;

    asked->namespace_ = NAMESPACE_ROOT;
    if (!*name)
        return ERR_OK;
    if (!is_cell_name(name))
        return ERR_INVALID;
    asked->namespace_ = namespace_find(name);
    if (asked->namespace_)
        return ERR_OK;
    format_print(completion->detail, sizeof completion->detail, "no namespace %s", name);
    return ERR_NOT_FOUND;
}

static enum err decode(struct asked *asked, const struct kind **ret_kind, struct arena_completion *completion)
{
    const struct arena_request *request = &asked->request;

    if (request->kind >= array_size(kinds) || !kinds[request->kind].handler)
        return ERR_UNSUPPORTED;
    const struct kind *kind = &kinds[request->kind];
    if (kind->needs_target && !is_cell_name(request->target))
        return ERR_INVALID;
    if (request->flags & ~kind->flags)
        return ERR_UNSUPPORTED;
    if (request->argument && request->kind != REQUEST_BRANCH)
        return ERR_UNSUPPORTED;
    if (kind->needs_body && !request->mailbox_bytes)
        return ERR_TRUNCATED;
    *ret_kind = kind;
    return find_namespace(asked, completion);
}

void request_execute_seen(const struct arena_request *request, const void *body, struct preview *preview,
                          struct arena_completion *ret_completion)
{
    struct asked own = {.request = *request, .preview = preview};
    const struct kind *kind;

    memset(ret_completion, 0, sizeof *ret_completion);
    enum err e = decode(&own, &kind, ret_completion);
    if (e == ERR_OK) {
        arena_event(EVENT_REQUEST, own.request.kind, own.request.mailbox_bytes, kind->name);
        e = kind->handler(&own, body, ret_completion);
    }
    ret_completion->error = e;
}

void request_execute(const struct arena_request *request, const void *body, struct arena_completion *ret_completion)
{
    request_execute_seen(request, body, NULL, ret_completion);
}

void request_execute_member(const struct arena_request *request, const char *member,
                            struct arena_completion *ret_completion)
{
    struct arena_request own = *request;
    struct archive_member file;
    enum err e = archive_find(member, &file);

    if (e != ERR_OK) {
        memset(ret_completion, 0, sizeof *ret_completion);
        format_print(ret_completion->detail, sizeof ret_completion->detail, "no member %s in the archive", member);
        ret_completion->error = e;
        return;
    }
    own.mailbox_bytes = (uint32_t)file.bytes;
    request_execute(&own, file.data, ret_completion);
}
