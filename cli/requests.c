/* The verbs that ask the guest for something: swap, reload, load, unload, spawn, kill, ping. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/verbs.h"

/* Whether there is nothing before or behind a comma. */
static bool has_gap(const char *words, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (words[i] == ',' && (i == 0 || i + 1 == length || words[i + 1] == ','))
            return true;
    return false;
}

static enum cli_status check_operand_pair(const char *pair)
{
    const char *equals = strchr(pair, '=');

    if (!equals)
        return cli_fail(CLI_USAGE, "'%s' is not OLD[,OLD]=NEW.o[,NEW.o]", pair);
    if (!pair[1])
        return cli_fail(CLI_USAGE, "'=' names neither a cell nor an object; say OLD[,OLD]=NEW.o[,NEW.o]");
    if (has_gap(pair, (size_t)(equals - pair)) || has_gap(equals + 1, strlen(equals + 1)))
        return cli_fail(CLI_USAGE, "'%s' has nothing before or behind a comma; say OLD[,OLD]=NEW.o[,NEW.o]", pair);
    return CLI_DONE;
}

/* Adds OLD[,OLD...]=NEW.o[,NEW.o...] to the set. With one side empty, cells are added or removed. */
static enum cli_status add_operand_pair(struct asking *a, struct bundle *b, char *pair)
{
    char *equals = pair + strcspn(pair, "="), *rest, *word;
    enum cli_status status = CLI_DONE;

    *equals = '\0';
    for (word = strtok_r(pair, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = bundle_old(a, b, word);
    for (word = strtok_r(equals + 1, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = bundle_add(b, word, bundle_object);
    return status;
}

static enum cli_status add_operands(struct asking *a, struct bundle *b)
{
    enum cli_status status = CLI_DONE;

    for (int i = 0; i < a->call->argc && !status; i++)
        status = check_operand_pair(a->call->argv[i]);
    for (int i = 0; i < a->call->argc && !status; i++)
        status = add_operand_pair(a, b, a->call->argv[i]);
    return status || !a->call->recipes ? status : bundle_add(b, a->call->recipes, bundle_recipes);
}

/* A machine's name has no '=': where the first operand has none, it is one. */
static int count_pairs(const struct call *call)
{
    int pairs = 0;

    for (int i = 0; i < call->argc; i++)
        pairs += strchr(call->argv[i], '=') != NULL;
    return pairs ? pairs : 1;
}

/* All pairs in one transaction. */
enum cli_status verb_swap(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    CLOSED_BY(bundle_close) struct bundle b = {0};
    char what[64];

    call->most = count_pairs(call);
    enum cli_status status = asking_open(&a, call);
    if (status)
        return status;
    const char *first = call->argv[0] + (*call->argv[0] == '='); /* what is only added has the name of its file */
    snprintf(what, sizeof what, "%.*s", (int)strcspn(first, "="), first);
    status = bundle_open(&a, &b, what);
    OWN(memory) char **operands = explain_operands(call);
    if (!status)
        status = add_operands(&a, &b);
    if (!status && (status = bundle_swap(&a, &b)) && !call->json)
        explain_types(&a, operands);
    return status;
}

/* The verbs whose one operand is a loaded cell: NAMESPACE/CELL is one that NAMESPACE holds itself. `print` tells what
 * was done. */
static enum cli_status request_about_cell(struct call *call, enum request_kind kind,
                                          void (*print)(const struct asking *a, const char *cell,
                                                        const struct arena_completion *c))
{
    CLOSED_BY(asking_close) struct asking a = {0};
    struct arena_completion c = {0};
    enum cli_status status = asking_open(&a, call);

    if (status)
        return status;
    char name[ASKING_CELL];
    const struct request r = {.kind = kind,
                              .flags = call->dry_run ? REQUEST_DRY_RUN : 0,
                              .argument = (uint32_t)call->transfer_ms.value,
                              .target = name};
    status = asking_cell(&a, call->argv[0], QUALIFIED_HELD, name);
    if (!status)
        status = asking_post(&a, &r, call->argv[0], &c);
    if (!status && !call->json)
        print(&a, call->argv[0], &c);
    return status;
}

enum cli_status verb_reload(struct call *call)
{
    return request_about_cell(call, REQUEST_RELOAD, bundle_print_swap);
}

static bool is_object_name(const char *word)
{
    size_t length = strlen(word);

    return length > 2 && strcmp(word + length - 2, ".o") == 0;
}

static enum cli_status load_file(struct asking *a, const char *path, struct cell_ref *ret_cell)
{
    OWN(memory) void *data = NULL;
    struct request r = {.kind = REQUEST_LOAD};
    struct arena_completion c = {0};
    enum cli_status status =
        bundle_file(path, request_room(a->target.ram, a->target.ram_bytes), &data, &r.mailbox_bytes);

    if (status)
        return status;
    r.mailbox = data;
    status = asking_post(a, &r, path, &c);
    if (!status)
        *ret_cell = (struct cell_ref){c.result};
    return status;
}

static void print_loaded(const struct view *view, const struct cell_ref *cell, int count)
{
    for (int i = 0; i < count; i++) {
        char name[QUALIFIED_BYTES];
        qualified_name(view, cell[i], name, sizeof name);
        printf("loaded %s\n", name);
    }
}

/* One by one, in their order: what one needs of another may come before it. The first that is refused ends it. */
enum cli_status verb_load(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    int loaded = 0;

    if (call->argc > 1 && !call->machine && !is_object_name(call->argv[0])) /* it is the machine's name */
        call->most = call->argc - 1;
    enum cli_status status = asking_open(&a, call);
    if (status)
        return status;
    OWN(memory) struct cell_ref *cell = calloc((size_t)call->argc, sizeof *cell);
    if (!cell)
        return cli_fail(CLI_FAILED, "out of memory");
    while (!status && loaded < call->argc)
        if (!(status = load_file(&a, call->argv[loaded], &cell[loaded])))
            loaded++;
    if (!call->json && loaded > 0 && !target_look(&a.target))
        print_loaded(a.target.view, cell, loaded);
    return status;
}

static void print_unload(const struct asking *, const char *cell, const struct arena_completion *c)
{
    printf("unloaded %s%s%s\n", cell, *c->detail ? ": " : "", c->detail);
}

enum cli_status verb_unload(struct call *call)
{
    return request_about_cell(call, REQUEST_UNLOAD, print_unload);
}

/* Packs words as NUL-terminated strings, owned by the caller. */
static enum cli_status pack_words(char *const *word, int words, char **ret_data, size_t *ret_bytes)
{
    OWN(memory) char *data = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&data, &bytes);

    for (int i = 0; f && i < words; i++)
        fwrite(word[i], 1, strlen(word[i]) + 1, f);
    if (!f || fclose(f) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    *ret_data = MOVE(data);
    *ret_bytes = bytes;
    return CLI_DONE;
}

/* The application may have options of its own, so that ours come before the operands; but --namespace NS also at the
 * very end. */
enum cli_status verb_spawn(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    OWN(memory) char *data = NULL;
    struct request r = {.kind = REQUEST_SPAWN};
    struct arena_completion c = {0};

    if (call->argc > 2 && strcmp(call->argv[call->argc - 2], "--namespace") == 0) {
        call->namespace_ = call->argv[call->argc - 1];
        call->argc -= 2;
    }
    enum cli_status status = asking_open(&a, call);
    if (!status) /* the guest puts the cell's name before them */
        status = pack_words(call->argv + 1, call->argc - 1, &data, &r.mailbox_bytes);
    if (status)
        return status;
    char name[ASKING_CELL];
    status = asking_name(&a, call->argv[0], name);
    if (status)
        return status;
    r.mailbox = data;
    r.target = name;
    status = asking_post(&a, &r, call->argv[0], &c);
    if (!status && !call->json)
        printf("spawned task %u\n", c.result);
    return status;
}

/* The id that the word is, or that of the only task that has this name. */
static enum cli_status find_task(struct asking *a, const char *word, uint32_t *ret_id)
{
    const struct arena_task *found = NULL;
    unsigned count = 0;
    enum cli_status status = target_look(&a->target);

    if (status)
        return status;
    bool number = *word && strspn(word, "0123456789") == strlen(word);
    view_each_task (ref, a->target.view) {
        const struct arena_task *task = view_task(a->target.view, ref);
        if (task->state == TASK_FREE)
            continue;
        if (number ? task->id == strtoul(word, NULL, 10) : strcmp(task->name, word) == 0) {
            found = task;
            count++;
        }
    }
    if (!found)
        return cli_fail(CLI_UNKNOWN, "machine %s has no task '%s'", a->target.name, word);
    if (count > 1)
        return cli_fail(CLI_USAGE, "%u tasks are called '%s'; say which by its id (delias tasks)", count, word);
    *ret_id = found->id;
    return CLI_DONE;
}

enum cli_status verb_kill(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    struct request r = {.kind = REQUEST_KILL};
    struct arena_completion c = {0};
    enum cli_status status = asking_open(&a, call);

    if (!status)
        status = find_task(&a, call->argv[0], &r.argument);
    if (!status)
        status = asking_post(&a, &r, call->argv[0], &c);
    if (!status && !call->json)
        printf("killed task %u%s%s\n", r.argument, *c.detail ? ": " : "", c.detail);
    return status;
}

enum cli_status verb_ping(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    struct arena_completion c = {0};
    enum cli_status status = asking_open(&a, call);

    if (!status)
        status = asking_post(&a, &(struct request){.kind = REQUEST_PING}, "ping", &c);
    if (!status && !call->json)
        printf("%s answers\n", a.target.name);
    return status;
}
