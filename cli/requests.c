/* The verbs that ask the guest for something: swap, reload, load, unload, spawn, ping. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "guest/abi/swap_set.h"
#include "introspect/request.h"

enum { TIMEOUT_S = 10, LOCK_MS = 5000 };

struct asking {
    struct target target;
    const char *machine;
    bool json, dry_run;
    uint64_t timeout_s;
    int argc;
    char **argv;
};

static int parse(int argc, char **argv, const char *shorts, struct asking *a)
{
    static const struct option longs[] = {
        {"machine", required_argument, NULL, 'm'},
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"dry-run", no_argument, NULL, 'n'},
        {0},
    };
    bool may_dry_run = strchr(shorts, 'n') != NULL;
    int c;

    a->timeout_s = TIMEOUT_S;
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        switch (c) {
        case 'm':
            a->machine = optarg;
            break;
        case 't':
            if (cli_number("--timeout", optarg, 3600, &a->timeout_s))
                return CLI_USAGE;
            break;
        case 'j':
            a->json = true;
            break;
        case 'n':
            if (may_dry_run) {
                a->dry_run = true;
                break;
            }
            /* fall through */
        default:
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        }
    }
    a->argc = argc - optind;
    a->argv = argv + optind;
    return CLI_DONE;
}

/* What nobody reads now would be carried out later, when nobody expects it. */
static int check_running(const struct target *t)
{
    const char *state = machine_info(t->machine)->state;

    if (machine_refresh(t->machine) || strcmp(state, "running") == 0)
        return CLI_DONE;
    if (strcmp(state, "debug") == 0)
        return cli_fail(CLI_FAILED, "machine %s stands still in a debugger; let it continue there", t->name);
    return cli_fail(CLI_FAILED, "machine %s is %s; `delias resume %s` lets it go on", t->name, state, t->name);
}

static int open_asking(int argc, char **argv, const char *shorts, int min, int max, struct asking *a)
{
    int status = parse(argc, argv, shorts, a);

    if (!status)
        status = target_open(&a->target, a->machine, &a->argc, &a->argv, min, max);
    if (status)
        return status;
    status = check_running(&a->target);
    if (!status)
        status = target_map(&a->target, true);
    if (!status && machine_lock(a->target.machine, LOCK_MS))
        status = cli_fail(CLI_FAILED, "%s", machine_last_error());
    if (status)
        target_close(&a->target);
    return status;
}

static void close_asking(struct asking *a)
{
    machine_unlock(a->target.machine);
    target_close(&a->target);
}

static bool is_alive(void *machine)
{
    return machine_is_alive(machine);
}

static int no_answer(const struct asking *a, enum err e, size_t bytes)
{
    const char *name = a->target.name;

    switch (e) {
    case ERR_TIMEOUT:
        return cli_fail(CLI_FAILED,
                        "machine %s did not answer within %lu s; is it paused (`delias ps`) or hung "
                        "(`delias faults %s`)?",
                        name, a->timeout_s, name);
    case ERR_BUSY:
        return cli_fail(CLI_FAILED,
                        "machine %s has not completed an earlier request within %lu s; `delias reset %s` "
                        "starts it anew",
                        name, a->timeout_s, name);
    case ERR_NOT_RUNNING:
        return cli_fail(CLI_FAILED, "machine %s ended meanwhile", name);
    case ERR_RANGE:
        return cli_fail(CLI_FAILED, "%zu bytes are more than the mailbox of machine %s holds (%zu)", bytes, name,
                        request_room(a->target.ram, a->target.ram_bytes));
    case ERR_INVALID:
        return cli_fail(CLI_UNKNOWN, "machine %s has no cell with so long a name; at most %zu characters can be had",
                        name, sizeof((struct arena_request *)0)->target - 1);
    case ERR_NOT_FOUND:
        return cli_fail(CLI_FAILED, "the guest of machine %s is not ready yet", name);
    default:
        return cli_fail(CLI_FAILED, "machine %s: request ring: %s; `delias reset %s` starts it anew", name, err_text(e),
                        name);
    }
}

/* ---- what the guest answered ---- */

static void print_json(const struct arena_completion *c)
{
    json_t *phases = json_array(), *o;

    for (uint32_t i = 0; i < c->phases; i++)
        json_array_append_new(phases,
                              json_pack("{s:s, s:I}", "name", c->phase[i].name, "ns", (json_int_t)c->phase[i].ns));
    o = json_pack("{s:b}", "ok", c->error == ERR_OK);
    if (c->error == ERR_OK)
        json_object_set_new(o, "error", json_null());
    else
        json_object_set_new(o, "error", json_sprintf("%s%s%s", err_text(c->error), *c->detail ? ": " : "", c->detail));
    json_object_set_new(o, "phases", phases);
    json_object_set_new(o, "pause_ns", json_integer((json_int_t)c->pause_ns));
    json_object_set_new(o, "relocations", json_integer((json_int_t)c->relocations));
    json_object_set_new(o, "words", json_integer((json_int_t)c->words));
    json_object_set_new(o, "frames", json_integer((json_int_t)c->frames));
    json_object_set_new(o, "tasks", json_integer((json_int_t)c->tasks));
    json_object_set_new(o, "transferred_bytes", json_integer((json_int_t)c->transferred_bytes));
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static void print_swap(const struct asking *a, const char *what, const struct arena_completion *c)
{
    printf("%s %s: %lu relocations, %lu bytes transferred\n", what, a->dry_run ? "could be swapped" : "swapped",
           (unsigned long)c->relocations, (unsigned long)c->transferred_bytes);
    if (!a->dry_run)
        printf("%lu words of memory led to what is new, %lu return addresses found on %u stacks\n"
               "other CPUs stood still for %.1f us\n",
               (unsigned long)c->words, (unsigned long)c->frames, c->tasks, (double)c->pause_ns / 1000);
    for (uint32_t i = 0; i < c->phases; i++)
        printf("  %-16s %10.1f us\n", c->phase[i].name, (double)c->phase[i].ns / 1000);
}

/* Posts, and reports a refusal. ret->error says whether the guest did it. */
static int ask(struct asking *a, const struct request *request, const char *what, struct arena_completion *ret)
{
    enum err e = request_post(a->target.ram, a->target.ram_bytes, request, (int)a->timeout_s * 1000, is_alive,
                              a->target.machine, ret);

    if (e)
        return no_answer(a, e, request->mailbox_bytes);
    if (a->json)
        print_json(ret);
    if (ret->error == ERR_OK)
        return CLI_DONE;
    fflush(stdout);
    return cli_fail(ret->error == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s: refused: %s%s%s", what,
                    err_text(ret->error), *ret->detail ? ": " : "", ret->detail);
}

/* ---- files and names ---- */

/* Reads a whole regular file of at most `max` bytes. */
static int read_file(const char *path, size_t max, void **ret_data, size_t *ret_bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0) {
        int reason = errno;
        if (fd >= 0)
            close(fd);
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(reason));
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size > max) {
        close(fd);
        if (!S_ISREG(st.st_mode))
            return cli_fail(CLI_FAILED, "%s: is not a file; name a cell object", path);
        if (st.st_size == 0)
            return cli_fail(CLI_FAILED, "%s: refused: is empty; name a cell object", path);
        return cli_fail(CLI_FAILED, "%s: refused: has %lld bytes, and the mailbox holds %zu", path,
                        (long long)st.st_size, max);
    }
    size_t bytes = (size_t)st.st_size, done = 0;
    uint8_t *data = malloc(bytes);
    ssize_t n = 1;
    while (data && done < bytes && (n = read(fd, data + done, bytes - done)) > 0)
        done += (size_t)n;
    close(fd);
    if (!data || done < bytes) {
        free(data);
        return cli_fail(CLI_FAILED, "%s: %s", path,
                        !data   ? "out of memory"
                        : n < 0 ? strerror(errno)
                                : "became shorter");
    }
    *ret_data = data;
    *ret_bytes = bytes;
    return CLI_DONE;
}

/* The guest looks names up itself; looking first gives the status and the list of known ones. */
static int known_cell(struct asking *a, const char *name)
{
    int status = target_look(&a->target);

    if (!status)
        target_cell(&a->target, name, &status);
    return status;
}

/* ---- verbs ---- */

/* The set that a swap is about, as it goes into the mailbox: its header, then the objects one behind the other. */
struct bundle {
    struct swap_set *set; /* owned */
    size_t room;
    char what[64]; /* for messages: what the first operand names */
};

static int add_old(struct asking *a, struct bundle *b, const char *name)
{
    struct swap_set *set = b->set;

    if (strlen(name) >= sizeof set->old[0])
        return cli_fail(CLI_UNKNOWN, "machine %s has no cell with so long a name; at most %zu characters can be had",
                        a->target.name, sizeof set->old[0] - 1);
    if (set->olds == SWAP_SET_MAX)
        return cli_fail(CLI_USAGE, "more than %d cells to be replaced", SWAP_SET_MAX);
    int status = known_cell(a, name);
    if (!status)
        memcpy(set->old[set->olds++], name, strlen(name));
    return status;
}

static int add_object(struct bundle *b, const char *path)
{
    struct swap_set *set = b->set;
    void *data;
    size_t bytes;

    if (set->objects == SWAP_SET_MAX)
        return cli_fail(CLI_USAGE, "more than %d objects", SWAP_SET_MAX);
    int status = read_file(path, b->room - set->bytes, &data, &bytes);
    if (status)
        return status;
    memcpy((uint8_t *)set + set->bytes, data, bytes);
    set->object[set->objects++] = (struct swap_set_object){set->bytes, (uint32_t)bytes};
    set->bytes += (uint32_t)bytes;
    free(data);
    return CLI_DONE;
}

/* OLD[,OLD...]=NEW.o[,NEW.o...]; one side may be empty: cells are added or removed. */
static int add_pair(struct asking *a, struct bundle *b, char *pair)
{
    char *equals = strchr(pair, '='), *rest, *word;
    int status = CLI_DONE;

    if (!equals || !pair[1])
        return cli_fail(CLI_USAGE, "'%s' is not OLD[,OLD]=NEW.o[,NEW.o]", pair);
    *equals = '\0';
    for (word = strtok_r(pair, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = add_old(a, b, word);
    for (word = strtok_r(equals + 1, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = add_object(b, word);
    return status;
}

static int open_bundle(struct asking *a, struct bundle *b)
{
    int status = CLI_DONE;

    b->room = request_room(a->target.ram, a->target.ram_bytes);
    b->set = b->room > sizeof *b->set ? calloc(1, b->room) : NULL;
    if (!b->set)
        return cli_fail(CLI_FAILED, b->room ? "out of memory" : "machine %s has no mailbox", a->target.name);
    b->set->bytes = sizeof *b->set;
    snprintf(b->what, sizeof b->what, "%.*s", (int)strcspn(a->argv[0], "="), a->argv[0]);
    for (int i = 0; i < a->argc; i++)
        if (!strchr(a->argv[i], '='))
            return cli_fail(CLI_USAGE, "'%s' is not OLD[,OLD]=NEW.o[,NEW.o]", a->argv[i]);
    for (int i = 0; i < a->argc && !status; i++)
        status = add_pair(a, b, a->argv[i]);
    return status;
}

/* A machine's name has no '=': where the first operand has none, it is one. */
static int count_pairs(int argc, char **argv)
{
    int pairs = 0;

    for (int i = 1; i < argc; i++)
        pairs += argv[i][0] != '-' && strchr(argv[i], '=') != NULL;
    return pairs ? pairs : 1;
}

/* All pairs in one transaction. */
int verb_swap(int argc, char **argv)
{
    struct asking a = {0};
    struct bundle b = {0};
    struct arena_completion c = {0};
    int status = open_asking(argc, argv, "m:t:jn", 1, count_pairs(argc, argv), &a);

    if (status)
        return status;
    status = open_bundle(&a, &b);
    if (!status) {
        const struct request r = {.kind = REQUEST_SWAP_SET,
                                  .flags = a.dry_run ? REQUEST_DRY_RUN : 0,
                                  .mailbox = b.set,
                                  .mailbox_bytes = b.set->bytes};
        status = ask(&a, &r, b.what, &c);
    }
    if (!status && !a.json)
        print_swap(&a, b.what, &c);
    free(b.set);
    close_asking(&a);
    return status;
}

/* The verbs whose one operand is a cell that is loaded; `print` says what was done. */
static int about_cell(int argc, char **argv, enum request_kind kind,
                      void (*print)(const struct asking *a, const char *cell, const struct arena_completion *c))
{
    struct asking a = {0};
    struct arena_completion c = {0};
    int status = open_asking(argc, argv, "m:t:j", 1, 1, &a);

    if (status)
        return status;
    status = known_cell(&a, a.argv[0]);
    if (!status)
        status = ask(&a, &(struct request){.kind = kind, .target = a.argv[0]}, a.argv[0], &c);
    if (!status && !a.json)
        print(&a, a.argv[0], &c);
    close_asking(&a);
    return status;
}

int verb_reload(int argc, char **argv)
{
    return about_cell(argc, argv, REQUEST_RELOAD, print_swap);
}

int verb_load(int argc, char **argv)
{
    struct asking a = {0};
    struct request r = {.kind = REQUEST_LOAD};
    struct arena_completion c = {0};
    void *data = NULL;
    int status = open_asking(argc, argv, "m:t:j", 1, 1, &a);

    if (status)
        return status;
    status = read_file(a.argv[0], request_room(a.target.ram, a.target.ram_bytes), &data, &r.mailbox_bytes);
    if (!status) {
        r.mailbox = data;
        status = ask(&a, &r, a.argv[0], &c);
    }
    if (!status && !a.json && !target_look(&a.target))
        printf("loaded %s\n", view_cell_name(a.target.view, c.result));
    free(data);
    close_asking(&a);
    return status;
}

static void print_unload(const struct asking *, const char *cell, const struct arena_completion *c)
{
    printf("unloaded %s%s%s\n", cell, *c->detail ? ": " : "", c->detail);
}

int verb_unload(int argc, char **argv)
{
    return about_cell(argc, argv, REQUEST_UNLOAD, print_unload);
}

/* argv as NUL-separated strings. */
static int pack(char **argv, int argc, char **ret_data, size_t *ret_bytes)
{
    size_t bytes = 0;
    char *data = NULL;
    FILE *f = open_memstream(&data, &bytes);

    for (int i = 0; f && i < argc; i++)
        fwrite(argv[i], 1, strlen(argv[i]) + 1, f);
    if (!f || fclose(f) != 0) {
        free(data);
        return cli_fail(CLI_FAILED, "out of memory");
    }
    *ret_data = data;
    *ret_bytes = bytes;
    return CLI_DONE;
}

int verb_spawn(int argc, char **argv)
{
    struct asking a = {0};
    struct request r = {.kind = REQUEST_SPAWN};
    struct arena_completion c = {0};
    char *data = NULL;
    int status = open_asking(argc, argv, "+m:t:j", 1, argc, &a);

    if (status)
        return status;
    status = pack(a.argv, a.argc, &data, &r.mailbox_bytes);
    if (!status) {
        r.mailbox = data;
        r.target = a.argv[0];
        status = ask(&a, &r, a.argv[0], &c);
    }
    if (!status && !a.json)
        printf("spawned task %u\n", c.result);
    free(data);
    close_asking(&a);
    return status;
}

int verb_ping(int argc, char **argv)
{
    struct asking a = {0};
    struct arena_completion c = {0};
    int status = open_asking(argc, argv, "m:t:j", 0, 0, &a);

    if (status)
        return status;
    status = ask(&a, &(struct request){.kind = REQUEST_PING}, "ping", &c);
    if (!status && !a.json)
        printf("%s answers\n", a.target.name);
    close_asking(&a);
    return status;
}
