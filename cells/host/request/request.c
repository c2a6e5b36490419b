/* See request.h. Handlers check their operands; the loader, swap and namespace cells do the work. */
#include "cells/host/request/request.h"
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/history/history.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/request/room.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/kill/kill.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("request", KERNEL, 1);
EXPORT(request_execute, APPLICATION);
EXPORT(request_execute_seen, KERNEL);
EXPORT(request_execute_member, APPLICATION);

#define ENDS_MAX_NS  2000000000 /* what a request waits at most for tasks to end */
#define ENDS_LOOK_NS 2000000
#define ROOM_MAX_NS  4000000000 /* what a request waits at most for replaced cells to go */
#define ROOM_TRIES   4

_Static_assert((int)REQUEST_DRY_RUN == (int)SWAP_DRY_RUN);

/* A decoded request. */
struct asked {
    struct arena_request request;
    struct namespace_ref namespace_;
    struct preview *preview; /* NULL: nobody wants to see what a dry run plans */
};

typedef enum err request_handler(const struct asked *asked, const void *body, struct report *report);

static enum err handle_ping(const struct asked *, const void *, struct report *report)
{
    uint64_t now = cpu_ns();

    report_phase(report, "ping", &now);
    return ERR_OK;
}

/* Drops an object at the end of the scope unless a cell was made from it. Use under the loader lock: once that is
 * released, the record may be reused for another object. */
struct object_guard {
    struct object_ref object;
};

static void object_guard_end(struct object_guard *kept)
{
    if (kept->object.index)
        loader_drop_object(kept->object);
}

static bool is_valid_name(const char target[32])
{
    size_t n = 0;

    while (n < 32 &&
           ((target[n] >= 'a' && target[n] <= 'z') || (target[n] >= '0' && target[n] <= '9') || target[n] == '_'))
        n++;
    return n > 0 && n < 32 && !target[n];
}

/* The name may not end, and may hold anything. */
static enum err refuse_name(const char name[32], struct report *report)
{
    char shown[32];

    string_copy(shown, name, sizeof shown);
    for (size_t i = 0; shown[i]; i++)
        if (shown[i] < ' ' || shown[i] > '~')
            shown[i] = '?';
    return report_refuse(report, ERR_INVALID, "'%s' is no name: that is of a-z, 0-9 and _, and has up to %u", shown,
                         (unsigned)sizeof shown - 1);
}

/* The same for the objects of a swap. */
struct order_guard {
    struct swap_order order;
};

static void order_guard_end(struct order_guard *kept)
{
    for (size_t i = 0; i < kept->order.objects; i++)
        loader_drop_object(kept->order.object[i]);
}

static enum err resolve_old(struct swap_order *order, const char name[32], struct report *report)
{
    struct cell_ref cell = {};

    if (is_valid_name(name))
        cell = namespace_cell(order->namespace_, name);
    if (cell.index) {
        order->old[order->olds++] = cell;
        return ERR_OK;
    }
    char printable[32]; /* a name from the host need not end */
    string_copy(printable, name, sizeof printable);
    return report_refuse(report, ERR_NOT_FOUND, "no cell %s is loaded", printable);
}

/* An object that the guest has kept, by its hash. `name`: where->bytes bytes, the name of its cell. */
static enum err resolve_kept(struct swap_order *order, const uint8_t *name, const struct swap_set_object *where,
                             struct report *report)
{
    char cell[32] = "";

    if (where->bytes < sizeof cell)
        memcpy(cell, name, where->bytes);
    if (!is_valid_name(cell))
        return refuse_name(cell, report);
    struct object_ref object = history_find(cell, where->hash);
    if (object.index) {
        order->object[order->objects++] = object;
        return ERR_OK;
    }
    return report_refuse(report, ERR_NOT_FOUND, "object %016lx of %s is not kept any more", where->hash, cell);
}

static enum err keep_object(struct swap_order *order, const uint8_t *body, size_t bytes,
                            const struct swap_set_object *where, struct report *report)
{
    if (where->offset < sizeof(struct swap_set) || where->offset > bytes || where->bytes > bytes - where->offset)
        return report_refuse(report, ERR_TRUNCATED, "an object reaches out of the set");
    if (where->hash)
        return resolve_kept(order, body + where->offset, where, report);
    enum err e = lifecycle_keep_object(body + where->offset, where->bytes, &order->object[order->objects], report);
    order->objects += e == ERR_OK;
    return e;
}

/* Copies the recipes of a set, since the host may change the mailbox. *ret_recipes is NULL when the set has none. */
static enum err copy_recipes(const struct swap_set *set, const uint8_t *body, void **ret_recipes, struct report *report)
{
    *ret_recipes = NULL;
    if (!set->recipes_bytes)
        return ERR_OK;
    if (set->recipes_offset < sizeof *set || set->recipes_offset > set->bytes ||
        set->recipes_bytes > set->bytes - set->recipes_offset)
        return report_refuse(report, ERR_TRUNCATED, "the recipes reach out of the set");
    *ret_recipes = heap_alloc(set->recipes_bytes);
    if (!*ret_recipes)
        return ERR_NOMEM;
    memcpy(*ret_recipes, body + set->recipes_offset, set->recipes_bytes);
    return ERR_OK;
}

static struct swap_order order_of(const struct asked *asked)
{
    return (struct swap_order){.namespace_ = asked->namespace_,
                               .flags = asked->request.flags,
                               .transfer_ms = asked->request.argument,
                               .preview = asked->preview};
}

static enum err handle_swap(const struct asked *asked, const void *body, struct report *report)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    GUARD(order) kept = {.order = order_of(asked)};
    struct swap_order *order = &kept.order;
    enum err e = resolve_old(order, request->target, report);

    if (!e)
        e = lifecycle_keep_object(body, request->mailbox_bytes, &order->object[0], report);
    if (e)
        return e;
    order->objects = 1;
    const char *name = arena_string(arena_object(order->object[0])->name);
    if (!string_equal(name, request->target))
        return report_refuse(report, ERR_INVALID, "the object is of cell %s, not of %s", name, request->target);
    return namespace_swap(order, report);
}

/* The header and the recipes are copied before they are checked; an object is, when it is kept. */
static enum err handle_swap_set(const struct asked *asked, const void *body, struct report *report)
{
    const struct arena_request *request = &asked->request;
    OWN(heap) struct swap_set *set = heap_alloc(sizeof *set);
    OWN(heap) void *recipes = NULL;
    GUARD(loader) held = loader_hold();
    GUARD(order) kept = {.order = order_of(asked)};
    enum err e = ERR_OK;

    if (!set)
        return ERR_NOMEM;
    if (request->mailbox_bytes < sizeof *set)
        return report_refuse(report, ERR_TRUNCATED, "the set has no header");
    memcpy(set, body, sizeof *set);
    if (set->bytes != request->mailbox_bytes || set->olds > SWAP_SET_MAX || set->objects > SWAP_SET_MAX ||
        set->inherits > set->objects || !(set->olds + set->objects))
        return report_refuse(report, ERR_CORRUPT, "the set has another size than it says, or nothing in it");
    e = copy_recipes(set, body, &recipes, report);
    kept.order.recipes = recipes;
    kept.order.recipe_bytes = set->recipes_bytes;
    kept.order.inherits = set->inherits;
    for (uint32_t i = 0; i < set->olds && !e; i++)
        e = resolve_old(&kept.order, set->old[i], report);
    for (uint32_t i = 0; i < set->objects && !e; i++)
        e = keep_object(&kept.order, body, request->mailbox_bytes, &set->object[i], report);
    return e ? e : namespace_swap(&kept.order, report);
}

/* The cell may be inherited: it is replaced in the namespace that holds it. */
static enum err handle_reload(const struct asked *asked, const void *, struct report *report)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    struct swap_order order = order_of(asked);
    enum err e = resolve_old(&order, request->target, report);

    if (e)
        return e;
    order.namespace_ = arena_cell(order.old[0])->namespace_;
    order.object[0] = arena_cell(order.old[0])->object;
    order.objects = order.object[0].index != 0;
    return swap_cells(&order, report);
}

/* Unloads a staged cell at the end of the scope. `cell` none: it was initialized. */
struct staged_guard {
    struct cell_ref cell;
};

static void staged_guard_end(struct staged_guard *staged)
{
    if (staged->cell.index)
        lifecycle_unstage(&staged->cell, 1);
}

static enum err load_into_root(struct object_ref object, uint64_t since, struct staged_guard *staged,
                               struct report *report)
{
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};
    enum err e = loader_stage(&input, &staged->cell, report);

    if (e != ERR_OK)
        return e;
    lifecycle_publish(staged->cell);
    report_phase(report, "link", &since);
    e = loader_initialize(staged->cell, report);
    if (e != ERR_OK)
        return e;
    report_phase(report, "init", &since);
    report->result = staged->cell.index;
    staged->cell = NO_CELL;
    return ERR_OK;
}

/* Logs a cell that was loaded or unloaded without a swap. */
static void log_root_change(struct cell_ref old, struct object_ref object, struct cell_ref new_,
                            const struct report *report)
{
    OWN(heap) struct swap_order *order = heap_alloc(sizeof *order);

    if (!order)
        return;
    *order = (struct swap_order){.namespace_ = old.index ? arena_cell(old)->namespace_ : NAMESPACE_ROOT,
                                 .olds = old.index != 0,
                                 .old = {old},
                                 .objects = object.index != 0,
                                 .object = {object}};
    swap_log(order, &new_, report);
}

/* Logs a load into the root that a fault has ended, when that unwinds it. */
struct load_log_guard {
    struct object_ref object; /* none: it is logged */
    struct report *report;
    uint64_t faults_before;
};

static void load_log_guard_end(struct load_log_guard *log)
{
    if (!log->object.index)
        return;
    (void)fault_report(fault_of_task(task_this(), log->faults_before), "load", log->report);
    log_root_change(NO_CELL, log->object, NO_CELL, log->report);
}

static enum err load_into_child(const struct asked *asked, struct object_ref object, struct report *report)
{
    struct swap_order order = order_of(asked);

    order.object[0] = object;
    order.objects = 1;
    return namespace_swap(&order, report);
}

static enum err handle_load(const struct asked *asked, const void *body, struct report *report)
{
    uint64_t since = cpu_ns();
    GUARD(loader) held = loader_hold();
    GUARD(object) kept = {};
    enum err e = lifecycle_keep_object(body, asked->request.mailbox_bytes, &kept.object, report);

    if (e != ERR_OK)
        return e;
    const char *name = arena_string(arena_object(kept.object)->name);
    if (namespace_cell(asked->namespace_, name).index)
        return report_refuse(report, ERR_EXISTS, "%s is loaded already; swap replaces it", name);
    report_phase(report, "copy", &since);
    if (!same(asked->namespace_, NAMESPACE_ROOT))
        return load_into_child(asked, kept.object, report);
    GUARD(staged) staged = {}; /* is logged before it goes, and its object with it */
    GUARD(load_log) log = {kept.object, report, arena_header()->fault_seq};
    e = report->error = load_into_root(kept.object, since, &staged, report);
    log.object = NO_OBJECT;
    log_root_change(NO_CELL, kept.object, (struct cell_ref){report->result}, report);
    return e;
}

/* A cell other than `cell` with an edge to it, or none. */
static struct cell_ref first_user(struct cell_ref cell)
{
    for_each_section_of (s, cell)
        for_each_edge_to (e, s) {
            struct cell_ref from = arena_section(arena_edge(e)->from)->cell;
            if (!same(from, cell))
                return from;
        }
    return NO_CELL;
}

/* What uses the cell of a child is redirected to that of the same name which the child inherits without it. ERR_BUSY:
 * there is none. */
static enum err give_up(const struct asked *asked, struct cell_ref cell, struct cell_ref user, struct report *report)
{
    struct cell_ref parents =
        namespace_cell(arena_namespace(asked->namespace_)->parent, arena_string(arena_cell(cell)->name));
    struct swap_order order = order_of(asked);

    if (!parents.index || !arena_cell(parents)->object.index)
        return report_refuse(report, ERR_BUSY, "%s is used by %s", asked->request.target,
                             arena_string(arena_cell(user)->name));
    order.old[0] = cell;
    order.object[0] = arena_cell(parents)->object;
    order.olds = order.objects = order.inherits = 1;
    enum err e = namespace_swap(&order, report);
    return e || arena_cell(cell)->state != CELL_LIVE ? e : ERR_BUSY; /* the report says why it stays */
}

/* Retracts the cell's symbols, and asks the tasks that run in it to end. *ret_cell is none if it was only given up. */
static enum err retract(const struct asked *asked, struct cell_ref *ret_cell, size_t *ret_tasks, struct report *report)
{
    const struct arena_request *request = &asked->request;
    GUARD(loader) held = loader_hold();
    struct cell_ref cell = namespace_cell(asked->namespace_, request->target);

    if (cell.index && !same(arena_cell(cell)->namespace_, asked->namespace_))
        return report_refuse(report, ERR_REFUSED, "%s is inherited; unload it where it is", request->target);
    if (!cell.index || arena_in_image(arena_cell(cell)))
        return report_refuse(report, cell.index ? ERR_NOT_SWAPPABLE : ERR_NOT_FOUND, "%s", request->target);
    struct cell_ref user = first_user(cell);
    if (user.index)
        return give_up(asked, cell, user, report);
    lifecycle_retract(cell);
    report->result = cell.index;
    log_root_change(cell, NO_OBJECT, NO_CELL, report);
    *ret_cell = cell;
    *ret_tasks = kill_all_in(cell);
    return ERR_OK;
}

/* Waits, for a moment, until the tasks that were asked to end have gone. Returns how many have not. */
static size_t await_ends(void)
{
    uint64_t since_ns = cpu_ns();
    size_t left;

    while ((left = kill_again()) && cpu_ns() - since_ns < ENDS_MAX_NS)
        scheduler_sleep_ns(ENDS_LOOK_NS);
    return left;
}

/* The teardown task frees the cell's memory when nothing refers to it, if that is later. */
static enum err handle_unload(const struct asked *asked, const void *, struct report *report)
{
    struct cell_ref cell = NO_CELL;
    size_t tasks = 0, left = 0;
    enum err e = retract(asked, &cell, &tasks, report);

    if (e || !cell.index)
        return e;
    if (tasks)
        left = await_ends();
    bool lingers = reap_replaced() && arena_cell(cell)->state == CELL_OLD;
    if (tasks)
        format_print(report->text, sizeof report->text, "%zu %s in it %s%s", tasks, tasks == 1 ? "task" : "tasks",
                     left         ? "will end"
                     : tasks == 1 ? "has ended"
                                  : "have ended",
                     lingers ? "; its memory is freed when nothing holds it" : "");
    else if (lingers)
        string_copy(report->text, "its memory is freed when nothing holds it", sizeof report->text);
    return ERR_OK;
}

static enum err handle_kill(const struct asked *asked, const void *, struct report *report)
{
    enum err e = kill_by_id(asked->request.argument, report);

    if (e)
        return e;
    report->result = asked->request.argument;
    if (await_ends())
        string_copy(report->text, "it ends when it is out of what it has called", sizeof report->text);
    return ERR_OK;
}

struct arguments {
    int count;
    const char *argv[REQUEST_ARGUMENTS_MAX + 1];
    char text[REQUEST_ARGUMENT_BYTES + 1];
};

/* Copies NUL-separated strings and splits the copy; argv[0] is the target. */
static enum err read_arguments(struct arguments *arguments, const struct arena_request *request, const void *body,
                               struct report *report)
{
    if (request->mailbox_bytes > REQUEST_ARGUMENT_BYTES)
        return report_refuse(report, ERR_RANGE, "the arguments have %u bytes; %u can be had", request->mailbox_bytes,
                             REQUEST_ARGUMENT_BYTES);
    memcpy(arguments->text, body, request->mailbox_bytes);
    arguments->text[request->mailbox_bytes] = 0;
    arguments->argv[arguments->count++] = request->target;
    for (size_t at = 0; at < request->mailbox_bytes; at += string_length(arguments->text + at) + 1) {
        if (arguments->count >= REQUEST_ARGUMENTS_MAX)
            return report_refuse(report, ERR_RANGE, "more than %u arguments", REQUEST_ARGUMENTS_MAX - 1);
        arguments->argv[arguments->count++] = arguments->text + at;
    }
    return ERR_OK;
}

static enum err handle_spawn(const struct asked *asked, const void *body, struct report *report)
{
    const struct arena_request *request = &asked->request;
    OWN(heap) struct arguments *arguments = heap_alloc(sizeof *arguments);
    OWN(task) struct task *task = NULL;

    if (!arguments)
        return ERR_NOMEM;
    enum err e = read_arguments(arguments, request, body, report);
    if (e != ERR_OK)
        return e;
    e = application_run_in(asked->namespace_, request->target, arguments->count, arguments->argv, &task, report);
    if (e != ERR_OK)
        return e;
    report->result = task->id;
    return ERR_OK;
}

static enum err handle_branch(const struct asked *asked, const void *, struct report *report)
{
    const struct namespace_options options = {.cpu = asked->request.argument,
                                              .flags = asked->request.flags & REQUEST_SIMD ? NAMESPACE_SIMD : 0};
    struct namespace_ref child = {};
    enum err e = namespace_branch(asked->namespace_, asked->request.target, &options, &child, report);

    report->result = child.index;
    return e;
}

static enum err handle_remove(const struct asked *asked, const void *, struct report *report)
{
    struct namespace_ref namespace_ = namespace_find(asked->request.target);

    if (namespace_.index)
        return namespace_remove(namespace_, report);
    return report_refuse(report, ERR_NOT_FOUND, "no namespace %s", asked->request.target);
}

static const struct kind {
    const char *name;
    request_handler *handler;
    bool needs_target, needs_body;
    uint32_t flags; /* allowed */
    uint32_t argument_max;
} kinds[] = {
    [REQUEST_PING] = {"ping", handle_ping, false, false, 0, 0},
    [REQUEST_SWAP] = {"swap", handle_swap, true, true, REQUEST_DRY_RUN, REQUEST_TRANSFER_MS_MAX},
    [REQUEST_RELOAD] = {"reload", handle_reload, true, false, REQUEST_DRY_RUN, REQUEST_TRANSFER_MS_MAX},
    [REQUEST_LOAD] = {"load", handle_load, false, true, 0, 0},
    [REQUEST_SPAWN] = {"spawn", handle_spawn, true, false, 0, 0},
    [REQUEST_UNLOAD] = {"unload", handle_unload, true, false, 0, 0},
    [REQUEST_SWAP_SET] = {"swap", handle_swap_set, false, true, REQUEST_DRY_RUN, REQUEST_TRANSFER_MS_MAX},
    [REQUEST_BRANCH] = {"branch", handle_branch, true, false, REQUEST_SIMD, UINT32_MAX},
    [REQUEST_REMOVE] = {"remove", handle_remove, true, false, 0, 0},
    [REQUEST_KILL] = {"kill", handle_kill, false, false, 0, UINT32_MAX},
};

/* Names of namespaces follow the rule for names of cells. */
static enum err resolve_namespace(struct asked *asked, struct report *report)
{
    const char *name = asked->request.namespace_;

    asked->namespace_ = NAMESPACE_ROOT;
    if (!*name)
        return ERR_OK;
    if (!is_valid_name(name))
        return refuse_name(name, report);
    asked->namespace_ = namespace_find(name);
    if (asked->namespace_.index)
        return ERR_OK;
    return report_refuse(report, ERR_NOT_FOUND, "no namespace %s", name);
}

static const struct kind *find_kind(uint32_t number)
{
    return number < array_size(kinds) && kinds[number].handler ? &kinds[number] : NULL;
}

static enum err check(const struct kind *kind, struct asked *asked, struct report *report)
{
    const struct arena_request *request = &asked->request;

    if (kind->needs_target && !is_valid_name(request->target))
        return refuse_name(request->target, report);
    if (request->flags & ~kind->flags || request->argument > kind->argument_max)
        return report_refuse(report, ERR_UNSUPPORTED, "%s has no flags %x with argument %u", kind->name, request->flags,
                             request->argument);
    if (kind->needs_body && !request->mailbox_bytes)
        return report_refuse(report, ERR_TRUNCATED, "%s needs an object", kind->name);
    return resolve_namespace(asked, report);
}

/* What a dry run has shown may have been written over the body: then it is not tried again. */
static bool is_shown(const struct asked *asked)
{
    return asked->preview && asked->preview->count;
}

/* Nothing has changed when a request is refused. One for which there is no room is tried again when cells that were
 * replaced before are freed. */
static enum err handle(const struct kind *kind, const struct asked *asked, const void *body, struct report *report)
{
    enum err e = kind->handler(asked, body, report);

    if (!room_is_short(e) || is_shown(asked))
        return e;
    uint64_t until_ns = cpu_ns() + ROOM_MAX_NS;
    for (int i = 1; i < ROOM_TRIES && room_is_short(e) && !is_shown(asked) && room_make(until_ns); i++) {
        memset(report, 0, sizeof *report);
        e = kind->handler(asked, body, report);
    }
    return e;
}

static enum err check_and_handle(const struct kind *kind, struct asked *asked, const void *body, struct report *report)
{
    enum err e = check(kind, asked, report);

    if (e != ERR_OK)
        return e;
    arena_event(EVENT_REQUEST, asked->request.kind, asked->request.mailbox_bytes, kind->name);
    return handle(kind, asked, body, report);
}

void request_execute_seen(const struct arena_request *request, const void *body, struct preview *preview,
                          struct report *ret_report)
{
    struct asked own = {.request = *request, .preview = preview};
    const struct kind *kind = find_kind(request->kind);

    memset(ret_report, 0, sizeof *ret_report);
    if (kind)
        ret_report->error = check_and_handle(kind, &own, body, ret_report);
    else
        ret_report->error = report_refuse(ret_report, ERR_UNSUPPORTED, "there is no request %u", request->kind);
}

void request_execute(const struct arena_request *request, const void *body, struct report *ret_report)
{
    request_execute_seen(request, body, NULL, ret_report);
}

void request_execute_member(const struct arena_request *request, const char *member, struct report *ret_report)
{
    struct arena_request own = *request;
    struct archive_member file;
    enum err e = archive_find(member, &file);

    if (e != ERR_OK) {
        memset(ret_report, 0, sizeof *ret_report);
        (void)report_refuse(ret_report, e, "no member %s in the archive", member);
        return;
    }
    own.mailbox_bytes = (uint32_t)file.bytes;
    request_execute(&own, file.data, ret_report);
}
