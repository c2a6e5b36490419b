/* See files.h. */
#include "tests/guest/tests/test_faults_fs/files.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "tests/guest/tests/test_faults_fs/strike.h"

#define PATH_BYTES 16
#define PIECE      1000 /* bytes that are compared at once */

const char *const operation_names[OPERATIONS] = {
    [OP_CREATE] = "create", [OP_APPEND] = "append", [OP_OVERWRITE] = "overwrite", [OP_TRUNCATE] = "truncate",
    [OP_REMOVE] = "remove", [OP_LIST] = "list",     [OP_READ] = "read",           [OP_DIRECTORY] = "directory"};
const char *const files_state_names[] = {
    [FILES_RIGHT] = "right", [FILES_LOST] = "lost", [FILES_WRONG] = "wrong", [FILES_EXTRA] = "extra"};

static struct content content[FILES], before; /* before: of the file of the last job */
static uint8_t written[PIECE_MAX], got[FILE_MAX];

uint64_t files_draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void path_of(unsigned file, char path[PATH_BYTES])
{
    format_print(path, PATH_BYTES, "/d%u/f%u", file % DIRECTORIES, file);
}

static void fill(uint64_t seed, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += sizeof seed) {
        uint64_t drawn = files_draw(&seed);
        memcpy(written + i, &drawn, bytes - i < sizeof drawn ? bytes - i : sizeof drawn);
    }
}

static unsigned count_files(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FILES; i++)
        count += content[i].exists;
    return count;
}

struct job files_draw_job(uint64_t *state)
{
    struct job job = {.operation = files_draw(state) % OPERATIONS, .file = files_draw(state) % FILES};

    job.seed = files_draw(state);
    if (count_files() < 2)
        job.operation = OP_CREATE;
    for (unsigned i = 0; i < FILES && content[job.file].exists == (job.operation == OP_CREATE); i++)
        job.file = (job.file + 1) % FILES;
    const struct content *c = &content[job.file];
    if (c->exists && job.operation == OP_CREATE)
        job.operation = OP_OVERWRITE;
    job.bytes = files_draw(state) % PIECE_MAX + 1;
    if (job.operation == OP_APPEND)
        job.at = c->bytes;
    else if (job.operation == OP_OVERWRITE)
        job.at = files_draw(state) % (c->bytes + 1);
    else if (job.operation == OP_TRUNCATE)
        job.bytes = files_draw(state) % (2 * c->bytes + 1);
    if (job.bytes > FILE_MAX)
        job.bytes = FILE_MAX;
    if (job.operation != OP_TRUNCATE && job.at + job.bytes > FILE_MAX)
        job.at = FILE_MAX - job.bytes;
    if (job.operation == OP_APPEND && job.at != c->bytes)
        job.operation = OP_OVERWRITE;
    return job;
}

/* In the model nothing is behind the end: what a file is extended with is zero. */
static void cut(struct content *c, uint32_t bytes)
{
    if (bytes < c->bytes)
        memset(c->byte + bytes, 0, c->bytes - bytes);
    c->bytes = bytes;
}

static bool writes(const struct job *job)
{
    return job->operation == OP_CREATE || job->operation == OP_APPEND || job->operation == OP_OVERWRITE;
}

void files_expect(const struct job *job)
{
    struct content *c = &content[job->file];

    memcpy(&before, c, sizeof before);
    if (job->operation == OP_REMOVE)
        cut(c, 0), c->exists = false;
    else if (job->operation == OP_TRUNCATE)
        cut(c, job->bytes);
    else if (writes(job)) {
        fill(job->seed, job->bytes);
        memcpy(c->byte + job->at, written, job->bytes);
        c->exists = true;
        if (job->at + job->bytes > c->bytes)
            c->bytes = job->at + job->bytes;
    }
}

enum err files_begin(void)
{
    char path[PATH_BYTES];
    enum err e = ERR_OK;

    for (unsigned i = 0; i < DIRECTORIES && !e; i++) {
        format_print(path, sizeof path, "/d%u", i);
        e = memory_fs_make_directory(path);
        if (e == ERR_EXISTS)
            e = ERR_OK;
    }
    return e;
}

enum err files_reset(void)
{
    char path[PATH_BYTES];
    enum err e = files_begin();

    for (unsigned i = 0; i < FILES && !e; i++) {
        path_of(i, path);
        cut(&content[i], 0);
        content[i].exists = false;
        e = memory_fs_unlink(path);
        if (e == ERR_NOT_FOUND)
            e = ERR_OK;
    }
    return e;
}

/* ---- operations; the victim is struck within calls of memory_fs only ---- */

#define STRUCK(call)                                                                                                   \
    ({                                                                                                                 \
        strike_arm();                                                                                                  \
        __auto_type result_ = (call);                                                                                  \
        strike_disarm();                                                                                               \
        result_;                                                                                                       \
    })

static void put_struck(struct memory_fs_file **own)
{
    strike_arm();
    memory_fs_file_put(*own);
    strike_disarm();
}
#define OWN_STRUCK __attribute__((cleanup(put_struck)))

static enum err do_write(const struct job *job, const char *path, unsigned flags)
{
    OWN_STRUCK struct memory_fs_file *file = NULL;

    fill(job->seed, job->bytes);
    enum err e = STRUCK(memory_fs_open(path, MEMORY_FS_WRITE | flags, &file));
    if (!e)
        e = STRUCK(memory_fs_seek(file, job->at));
    return e ? e : STRUCK(memory_fs_write(file, written, job->bytes));
}

static enum err do_truncate(const struct job *job, const char *path)
{
    OWN_STRUCK struct memory_fs_file *file = NULL;
    enum err e = STRUCK(memory_fs_open(path, MEMORY_FS_WRITE, &file));

    return e ? e : STRUCK(memory_fs_truncate(file, job->bytes));
}

static enum err do_remove(const char *path)
{
    enum err e = STRUCK(memory_fs_unlink(path));

    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err do_read(unsigned index, const char *path, bool *ret_wrong)
{
    OWN_STRUCK struct memory_fs_file *file = NULL;
    const struct content *c = &content[index];
    size_t bytes = 0;
    enum err e = STRUCK(memory_fs_open(path, 0, &file));

    for (size_t at = 0; !e && at <= c->bytes; at += PIECE) {
        size_t wanted = c->bytes - at < PIECE ? c->bytes - at : PIECE;
        e = STRUCK(memory_fs_read(file, got, PIECE, &bytes));
        *ret_wrong |= !e && (bytes != wanted || memcmp(got, c->byte + at, wanted));
    }
    return e;
}

static enum err do_list(unsigned directory, bool *ret_wrong)
{
    struct memory_fs_entry entry = {0};
    char path[PATH_BYTES];
    unsigned seen = 0;
    enum err e = ERR_OK;

    format_print(path, sizeof path, "/d%u", directory);
    for (size_t i = 0; i <= FILES && !(e = STRUCK(memory_fs_list(path, i, &entry))) && entry.name[0]; i++) {
        unsigned file = (unsigned)(entry.name[1] - '0');
        if (entry.directory || file >= FILES || file % DIRECTORIES != directory || seen & 1u << file ||
            !content[file].exists || content[file].bytes != entry.bytes)
            *ret_wrong = true;
        seen |= 1u << (file % 32);
    }
    for (unsigned i = directory; i < FILES && !e; i += DIRECTORIES)
        *ret_wrong |= content[i].exists != (seen >> i & 1);
    return e;
}

static enum err do_directory(void)
{
    enum err e = STRUCK(memory_fs_make_directory("/d0/x"));

    if (!e || e == ERR_EXISTS)
        e = STRUCK(memory_fs_unlink("/d0/x"));
    return e;
}

enum err files_do(const struct job *job, bool *ret_wrong)
{
    char path[PATH_BYTES];

    path_of(job->file, path);
    switch (job->operation) {
    case OP_CREATE:
        return do_write(job, path, MEMORY_FS_CREATE);
    case OP_APPEND:
    case OP_OVERWRITE:
        return do_write(job, path, 0);
    case OP_TRUNCATE:
        return do_truncate(job, path);
    case OP_REMOVE:
        return do_remove(path);
    case OP_LIST:
        return do_list(job->file % DIRECTORIES, ret_wrong);
    case OP_READ:
        return do_read(job->file, path, ret_wrong);
    default:
        return do_directory();
    }
}

/* ---- the oracle ---- */

static enum files_state compare(unsigned index, const struct content *c)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    char path[PATH_BYTES];
    size_t bytes = 0;

    path_of(index, path);
    enum err e = memory_fs_open(path, 0, &file);
    if (!c->exists)
        return e == ERR_NOT_FOUND ? FILES_RIGHT : FILES_EXTRA;
    if (e)
        return FILES_LOST;
    if (memory_fs_length(file) != c->bytes || memory_fs_read(file, got, sizeof got, &bytes) || bytes != c->bytes)
        return FILES_WRONG;
    return memcmp(got, c->byte, bytes) ? FILES_WRONG : FILES_RIGHT;
}

enum files_state files_compare(unsigned *ret_file)
{
    bool wrong = false;

    for (unsigned i = 0; i < FILES; i++) {
        enum files_state state = compare(i, &content[i]);
        *ret_file = i;
        if (state != FILES_RIGHT)
            return state;
    }
    for (unsigned i = 0; i < DIRECTORIES; i++)
        if (do_list(i, &wrong) || wrong)
            return FILES_EXTRA;
    return FILES_RIGHT;
}

bool files_is_before_or_after(const struct job *job)
{
    static const struct content empty = {.exists = true};

    return compare(job->file, &content[job->file]) == FILES_RIGHT || compare(job->file, &before) == FILES_RIGHT ||
           (job->operation == OP_CREATE && compare(job->file, &empty) == FILES_RIGHT);
}
