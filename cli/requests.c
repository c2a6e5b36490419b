/* The verbs that ask the guest for something: swap, reload, load, unload, spawn, ping. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/verbs.h"

/* ---- what the guest answered ---- */

static void print_swap(const struct asking *a, const char *what, const struct arena_completion *c)
{
    printf("%s %s: %lu relocations, %lu bytes transferred\n", what, a->dry_run ? "could be swapped" : "swapped",
           (unsigned long)c->relocations, (unsigned long)c->transferred_bytes);
    if (a->dry_run)
        printf("%lu words of memory point into what goes, %u stacks would be scanned\n", (unsigned long)c->words,
               c->tasks);
    else
        printf("%lu words of memory led to what is new, %lu return addresses found on %u stacks\n"
               "other CPUs stood still for %.1f us\n",
               (unsigned long)c->words, (unsigned long)c->frames, c->tasks, (double)c->pause_ns / 1000);
    if (*c->detail)
        printf("%s\n", c->detail);
    for (uint32_t i = 0; i < c->phases; i++)
        printf("  %-16s %10.1f us\n", c->phase[i].name, (double)c->phase[i].ns / 1000);
}

/* ---- files and names ---- */

int bundle_file(const char *path, size_t max, void **ret_data, size_t *ret_bytes)
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
    const char *space = a->namespace_;
    char path[128];
    int status = target_look(&a->target);

    if (status)
        return status;
    if (space && !view_find_namespace(a->target.view, space))
        return cli_fail(CLI_UNKNOWN, "machine %s has no namespace '%s'", a->target.name, space);
    snprintf(path, sizeof path, "%s%s%s", space ? space : "", space ? "/" : "", name);
    target_cell(&a->target, path, &status);
    return status;
}

/* ---- verbs ---- */

int bundle_open(const struct asking *a, struct bundle *b, const char *what)
{
    *b = (struct bundle){.room = request_room(a->target.ram, a->target.ram_bytes)};
    b->set = b->room > sizeof *b->set ? calloc(1, b->room) : NULL;
    if (!b->set) {
        (void)cli_fail(CLI_FAILED, b->room ? "out of memory" : "machine %s has no mailbox", a->target.name);
        return CLI_FAILED;
    }
    b->set->bytes = sizeof *b->set;
    snprintf(b->what, sizeof b->what, "%s", what);
    return CLI_DONE;
}

void bundle_close(struct bundle *b)
{
    free(b->set);
}

int bundle_old(struct asking *a, struct bundle *b, const char *name)
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

/* Where the next bytes go; 0: there is no room. */
static uint32_t append(struct bundle *b, const void *data, size_t bytes)
{
    uint32_t at = b->set->bytes;

    if (bytes > b->room - at) {
        (void)cli_fail(CLI_FAILED, "%s: more than the mailbox holds (%zu bytes)", b->what, b->room);
        return 0;
    }
    memcpy((uint8_t *)b->set + at, data, bytes);
    b->set->bytes += (uint32_t)bytes;
    return at;
}

static int add_object(struct bundle *b, const void *data, size_t bytes, uint64_t hash)
{
    struct swap_set *set = b->set;

    if (set->objects == SWAP_SET_MAX)
        return cli_fail(CLI_USAGE, "more than %d objects", SWAP_SET_MAX);
    uint32_t at = append(b, data, bytes);
    if (at)
        set->object[set->objects++] = (struct swap_set_object){at, (uint32_t)bytes, hash};
    return at ? CLI_DONE : CLI_FAILED;
}

int bundle_object(struct bundle *b, const void *data, size_t bytes)
{
    return add_object(b, data, bytes, 0);
}

int bundle_kept(struct bundle *b, const char *cell, uint64_t hash)
{
    return add_object(b, cell, strlen(cell), hash);
}

int bundle_recipes(struct bundle *b, const void *data, size_t bytes)
{
    uint32_t at = append(b, data, bytes);

    b->set->recipes_offset = at;
    b->set->recipes_bytes = at ? (uint32_t)bytes : 0;
    return at ? CLI_DONE : CLI_FAILED;
}

int bundle_add(struct bundle *b, const char *path, int (*add)(struct bundle *, const void *, size_t))
{
    void *data = NULL;
    size_t bytes = 0;
    int status = bundle_file(path, b->room - b->set->bytes, &data, &bytes);

    if (status || !data)
        return status;
    status = add(b, data, bytes);
    free(data);
    return status;
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
        status = bundle_old(a, b, word);
    for (word = strtok_r(equals + 1, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = bundle_add(b, word, bundle_object);
    return status;
}

static int fill_bundle(struct asking *a, struct bundle *b)
{
    int status = CLI_DONE;

    for (int i = 0; i < a->argc; i++)
        if (!strchr(a->argv[i], '='))
            return cli_fail(CLI_USAGE, "'%s' is not OLD[,OLD]=NEW.o[,NEW.o]", a->argv[i]);
    for (int i = 0; i < a->argc && !status; i++)
        status = add_pair(a, b, a->argv[i]);
    return status || !a->recipes ? status : bundle_add(b, a->recipes, bundle_recipes);
}

int bundle_swap(struct asking *a, const struct bundle *b)
{
    const struct request r = {.kind = REQUEST_SWAP_SET,
                              .flags = a->dry_run ? REQUEST_DRY_RUN : 0,
                              .mailbox = b->set,
                              .mailbox_bytes = b->set->bytes};
    struct arena_completion c = {0};
    int status = asking_post(a, &r, b->what, &c);

    if (!status && !a->json)
        print_swap(a, b->what, &c);
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
    char what[64];
    int status = asking_open(argc, argv, "m:t:jns:r:", 1, count_pairs(argc, argv), &a);

    if (status)
        return status;
    snprintf(what, sizeof what, "%.*s", (int)strcspn(a.argv[0], "="), a.argv[0]);
    status = bundle_open(&a, &b, what);
    if (!status)
        status = fill_bundle(&a, &b);
    if (!status)
        status = bundle_swap(&a, &b);
    bundle_close(&b);
    asking_close(&a);
    return status;
}

/* The verbs whose one operand is a cell that is loaded; `print` says what was done. */
static int about_cell(int argc, char **argv, enum request_kind kind,
                      void (*print)(const struct asking *a, const char *cell, const struct arena_completion *c))
{
    struct asking a = {0};
    struct arena_completion c = {0};
    int status = asking_open(argc, argv, kind == REQUEST_RELOAD ? "m:t:jns:" : "m:t:js:", 1, 1, &a);

    if (status)
        return status;
    const struct request r = {.kind = kind, .flags = a.dry_run ? REQUEST_DRY_RUN : 0, .target = a.argv[0]};
    status = known_cell(&a, a.argv[0]);
    if (!status)
        status = asking_post(&a, &r, a.argv[0], &c);
    if (!status && !a.json)
        print(&a, a.argv[0], &c);
    asking_close(&a);
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
    int status = asking_open(argc, argv, "m:t:js:", 1, 1, &a);

    if (status)
        return status;
    status = bundle_file(a.argv[0], request_room(a.target.ram, a.target.ram_bytes), &data, &r.mailbox_bytes);
    if (!status) {
        r.mailbox = data;
        status = asking_post(&a, &r, a.argv[0], &c);
    }
    if (!status && !a.json && !target_look(&a.target))
        printf("loaded %s\n", view_cell_name(a.target.view, c.result));
    free(data);
    asking_close(&a);
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

/* Options come before the operands, so that the application may have its own; --namespace NS also at the very end. */
int verb_spawn(int argc, char **argv)
{
    struct asking a = {0};
    struct request r = {.kind = REQUEST_SPAWN};
    struct arena_completion c = {0};
    char *data = NULL;

    if (argc > 3 && strcmp(argv[argc - 2], "--namespace") == 0) {
        a.namespace_ = argv[argc - 1];
        argc -= 2;
    }
    int status = asking_open(argc, argv, "+m:t:js:", 1, argc, &a);

    if (status)
        return status;
    status = pack(a.argv, a.argc, &data, &r.mailbox_bytes);
    if (!status) {
        r.mailbox = data;
        r.target = a.argv[0];
        status = asking_post(&a, &r, a.argv[0], &c);
    }
    if (!status && !a.json)
        printf("spawned task %u\n", c.result);
    free(data);
    asking_close(&a);
    return status;
}

int verb_ping(int argc, char **argv)
{
    struct asking a = {0};
    struct arena_completion c = {0};
    int status = asking_open(argc, argv, "m:t:j", 0, 0, &a);

    if (status)
        return status;
    status = asking_post(&a, &(struct request){.kind = REQUEST_PING}, "ping", &c);
    if (!status && !a.json)
        printf("%s answers\n", a.target.name);
    asking_close(&a);
    return status;
}
