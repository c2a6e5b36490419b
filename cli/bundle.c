/* See bundle.h. */
#include "cli/bundle.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/files.h"

/* Reads `bytes` bytes. False: the file has become shorter (errno 0), or cannot be read. */
static bool read_whole_file(int fd, uint8_t *data, size_t bytes)
{
    size_t done = 0;
    ssize_t n = 1;

    errno = 0;
    while (done < bytes && (n = read(fd, data + done, bytes - done)) > 0)
        done += (size_t)n;
    return done == bytes;
}

enum cli_status bundle_file(const char *word, size_t max, void **ret_data, size_t *ret_bytes)
{
    char path[FILES_PATH];

    files_find(FILES_CELLS, word, path, sizeof path);
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (!*path)
        return cli_fail(CLI_FAILED, "'' names no file");
    if (fd < 0 || fstat(fd, &st) != 0)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cli_fail(CLI_FAILED, "%s: is a folder, a device or a pipe, and not a file", path);
    if (st.st_size == 0)
        return cli_fail(CLI_FAILED, "%s: refused: is empty", path);
    if ((uint64_t)st.st_size > max)
        return cli_fail(CLI_FAILED, "%s: refused: has %lld bytes, and the mailbox holds %zu", path,
                        (long long)st.st_size, max);
    size_t bytes = (size_t)st.st_size;
    OWN(memory) uint8_t *data = malloc(bytes);
    if (!data)
        return cli_fail(CLI_FAILED, "%s: out of memory", path);
    if (!read_whole_file(fd, data, bytes))
        return cli_fail(CLI_FAILED, "%s: %s", path, errno ? strerror(errno) : "became shorter");
    *ret_data = MOVE(data);
    *ret_bytes = bytes;
    return CLI_DONE;
}

enum cli_status bundle_open(const struct asking *a, struct bundle *b, const char *what)
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

enum cli_status bundle_old(struct asking *a, struct bundle *b, const char *words)
{
    struct swap_set *set = b->set;
    char name[ASKING_CELL];

    if (set->olds == SWAP_SET_MAX)
        return cli_fail(CLI_USAGE, "more than %d cells to be replaced", SWAP_SET_MAX);
    enum cli_status status = asking_cell(a, words, QUALIFIED_SEEN, name);
    if (status)
        return status;
    if (strlen(name) >= sizeof set->old[0])
        return cli_fail(CLI_UNKNOWN, "machine %s has no cell with so long a name; at most %zu characters can be had",
                        a->target.name, sizeof set->old[0] - 1);
    memcpy(set->old[set->olds++], name, strlen(name));
    return CLI_DONE;
}

/* Copies bytes to the end of the set. Returns their offset; 0: there is no room, which was reported. */
static uint32_t append_to_set(struct bundle *b, const void *data, size_t bytes)
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

static enum cli_status add_set_object(struct bundle *b, const void *data, size_t bytes, uint64_t hash)
{
    struct swap_set *set = b->set;

    if (set->objects == SWAP_SET_MAX)
        return cli_fail(CLI_USAGE, "more than %d objects", SWAP_SET_MAX);
    uint32_t at = append_to_set(b, data, bytes);
    if (at)
        set->object[set->objects++] = (struct swap_set_object){at, (uint32_t)bytes, hash};
    return at ? CLI_DONE : CLI_FAILED;
}

enum cli_status bundle_object(struct bundle *b, const void *data, size_t bytes)
{
    return add_set_object(b, data, bytes, 0);
}

enum cli_status bundle_kept(struct bundle *b, const char *cell, uint64_t hash)
{
    return add_set_object(b, cell, strlen(cell), hash);
}

enum cli_status bundle_recipes(struct bundle *b, const void *data, size_t bytes)
{
    uint32_t at = append_to_set(b, data, bytes);

    b->set->recipes_offset = at;
    b->set->recipes_bytes = at ? (uint32_t)bytes : 0;
    return at ? CLI_DONE : CLI_FAILED;
}

enum cli_status bundle_add(struct bundle *b, const char *path,
                           enum cli_status (*add)(struct bundle *, const void *, size_t))
{
    OWN(memory) void *data = NULL;
    size_t bytes = 0;
    enum cli_status status = bundle_file(path, b->room - b->set->bytes, &data, &bytes);

    return status ? status : add(b, data, bytes);
}

void bundle_print_swap(const struct asking *a, const char *what, const struct arena_completion *c)
{
    printf("%s %s: %lu relocations, %lu bytes transferred\n", what, a->call->dry_run ? "could be swapped" : "swapped",
           (unsigned long)c->relocations, (unsigned long)c->transferred_bytes);
    if (a->call->dry_run)
        printf("%lu words of memory point into old cells, %u stacks would be scanned\n", (unsigned long)c->words,
               c->tasks);
    else
        printf("%lu words of memory redirected, %lu return addresses found on %u stacks\n"
               "other CPUs stood still for %.1f us\n",
               (unsigned long)c->words, (unsigned long)c->frames, c->tasks, (double)c->pause_ns / 1000);
    if (*c->detail)
        printf("%s\n", c->detail);
    for (uint32_t i = 0; i < c->phases; i++)
        printf("  %-16s %10.1f us\n", c->phase[i].name, (double)c->phase[i].ns / 1000);
}

enum cli_status bundle_swap(struct asking *a, const struct bundle *b)
{
    const struct request r = {.kind = REQUEST_SWAP_SET,
                              .flags = a->call->dry_run ? REQUEST_DRY_RUN : 0,
                              .argument = (uint32_t)a->call->transfer_ms.value,
                              .mailbox = b->set,
                              .mailbox_bytes = b->set->bytes};
    struct arena_completion c = {0};
    enum cli_status status = asking_post(a, &r, b->what, &c);

    if (!status && !a->call->json)
        bundle_print_swap(a, b->what, &c);
    return status;
}
