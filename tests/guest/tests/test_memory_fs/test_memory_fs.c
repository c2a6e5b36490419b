/* Files hold what was written, through every way to write, cut and remove them; quotas hold; tasks don't disturb each
 * other; nothing is left behind. */
#include "cells/core/cpu/cpu.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_memory_fs", KERNEL, 1);

#define NEW      (MEMORY_FS_WRITE | MEMORY_FS_CREATE)
#define WRITERS  4
#define PIECES   60
#define PIECE    777
#define CHUNK    65536
#define REWRITES 200

static bool is_empty(void)
{
    struct memory_fs_usage usage;

    memory_fs_usage(&usage);
    return !usage.nodes && !usage.blocks;
}

static void paths(const struct testing *test)
{
    static const char *const bad[] = {"",   "a", "//", "/a/", "/.", "/..", "/a//b", "/a_name_that_is_longer_than_31_ch",
                                      "a/b"};
    struct memory_fs_file *file = NULL;

    for (size_t i = 0; i < array_size(bad); i++) {
        testing_need(test, memory_fs_open(bad[i], NEW, &file) != ERR_OK);
        testing_need(test, memory_fs_make_directory(bad[i]) != ERR_OK);
    }
    testing_need(test, memory_fs_open("/", 0, &file) == ERR_INVALID);
    testing_need(test, memory_fs_open("/no", 0, &file) == ERR_NOT_FOUND);
    testing_need(test, memory_fs_open("/no/file", NEW, &file) == ERR_NOT_FOUND);
    testing_need(test, memory_fs_unlink("/no") == ERR_NOT_FOUND && memory_fs_unlink("/") == ERR_INVALID);
    testing_need(test, !file && is_empty());
}

static void directories(const struct testing *test)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    struct memory_fs_entry entry;

    testing_need(test, memory_fs_make_directory("/d") == ERR_OK && memory_fs_make_directory("/d") == ERR_EXISTS);
    testing_need(test, memory_fs_make_directory("/d/e") == ERR_OK);
    testing_need(test, memory_fs_open("/d/e", NEW, &file) == ERR_INVALID);
    testing_need(test, memory_fs_open("/d/f", NEW, &file) == ERR_OK);
    testing_need(test, memory_fs_write(file, "12345", 5) == ERR_OK);
    testing_need(test, memory_fs_make_directory("/d/f/g") == ERR_INVALID);
    testing_need(test, memory_fs_list("/d", 0, &entry) == ERR_OK && entry.directory && string_equal(entry.name, "e"));
    testing_need(test, memory_fs_list("/d", 1, &entry) == ERR_OK && !entry.directory && entry.bytes == 5);
    testing_need(test, memory_fs_list("/d", 2, &entry) == ERR_OK && !entry.name[0]);
    testing_need(test, memory_fs_list("/x", 0, &entry) == ERR_NOT_FOUND);
    testing_need(test, memory_fs_unlink("/d") == ERR_BUSY);
    testing_need(test, memory_fs_unlink("/d/e") == ERR_OK && memory_fs_unlink("/d/f") == ERR_OK);
    testing_need(test, memory_fs_unlink("/d") == ERR_OK);
}

static bool reads(struct memory_fs_file *file, size_t at, const char *text)
{
    char buffer[32];
    size_t bytes;

    return memory_fs_seek(file, at) == ERR_OK && memory_fs_read(file, buffer, sizeof buffer, &bytes) == ERR_OK &&
           bytes == string_length(text) && !memcmp(buffer, text, bytes);
}

static void contents(const struct testing *test)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL, *other = NULL;

    testing_need(test, memory_fs_open("/f", NEW | MEMORY_FS_EXCLUSIVE, &file) == ERR_OK);
    testing_need(test, memory_fs_open("/f", NEW | MEMORY_FS_EXCLUSIVE, &other) == ERR_EXISTS && !other);
    testing_need(test, memory_fs_write(file, "hello world", 11) == ERR_OK && reads(file, 0, "hello world"));
    testing_need(test, memory_fs_seek(file, 6) == ERR_OK && memory_fs_write(file, "there", 5) == ERR_OK);
    testing_need(test, reads(file, 3, "lo there") && reads(file, 11, "") && reads(file, 5000, ""));
    testing_need(test, memory_fs_open("/f", 0, &other) == ERR_OK && reads(other, 6, "there"));
    testing_need(test, memory_fs_write(other, "x", 1) == ERR_NO_ACCESS);
    testing_need(test, memory_fs_truncate(other, 0) == ERR_NO_ACCESS);
    testing_need(test, memory_fs_truncate(file, 4) == ERR_OK && reads(other, 0, "hell"));
    testing_need(test, memory_fs_truncate(file, 6) == ERR_OK && memory_fs_length(file) == 6);
    char zero[2] = {1, 1};
    size_t bytes;
    testing_need(test, memory_fs_seek(file, 4) == ERR_OK && memory_fs_read(file, zero, 2, &bytes) == ERR_OK);
    testing_need(test, bytes == 2 && !zero[0] && !zero[1]);
    testing_need(test, memory_fs_unlink("/f") == ERR_OK && reads(other, 0, "hell\0\0") == false);
    testing_need(test, memory_fs_length(other) == 6);
    testing_need(test, memory_fs_open("/f", 0, &file) == ERR_NOT_FOUND);
}

static void holes(const struct testing *test)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    struct memory_fs_usage usage;
    uint8_t byte = 1;
    size_t bytes;

    testing_need(test, memory_fs_open("/hole", NEW, &file) == ERR_OK);
    testing_need(test, memory_fs_seek(file, 1000000) == ERR_OK && memory_fs_write(file, "x", 1) == ERR_OK);
    memory_fs_usage(&usage);
    testing_need(test, usage.blocks == 1 && memory_fs_length(file) == 1000001);
    testing_need(test, memory_fs_seek(file, 500000) == ERR_OK && memory_fs_read(file, &byte, 1, &bytes) == ERR_OK);
    testing_need(test, bytes == 1 && byte == 0);
    testing_need(test, memory_fs_unlink("/hole") == ERR_OK);
}

/* Writes `bytes` in pieces; the error of the last. */
static enum err write_much(struct memory_fs_file *file, const uint8_t *chunk, size_t bytes)
{
    enum err e = ERR_OK;

    for (size_t done = 0; e == ERR_OK && done < bytes; done += CHUNK)
        e = memory_fs_write(file, chunk, CHUNK);
    return e;
}

static void quotas(const struct testing *test)
{
    OWN(heap) uint8_t *chunk = heap_alloc(CHUNK);
    struct memory_fs_usage usage;
    char path[16];
    size_t files = MEMORY_FS_QUOTA_BYTES / MEMORY_FS_FILE_BYTES;

    testing_need(test, chunk);
    for (size_t i = 0; i <= files; i++) {
        OWN(memory_fs_file) struct memory_fs_file *file = NULL;
        format_print(path, sizeof path, "/big%zu", i);
        testing_need(test, memory_fs_open(path, NEW, &file) == ERR_OK);
        enum err e = write_much(file, chunk, MEMORY_FS_FILE_BYTES);
        testing_need(test, e == (i < files ? ERR_OK : ERR_FULL));
        testing_need(test, i == files || memory_fs_write(file, "x", 1) == ERR_RANGE);
    }
    memory_fs_usage(&usage);
    testing_need(test, usage.blocks == MEMORY_FS_QUOTA_BYTES / 4096);
    for (size_t i = 0; i <= files; i++) {
        format_print(path, sizeof path, "/big%zu", i);
        testing_need(test, memory_fs_unlink(path) == ERR_OK);
    }
    testing_need(test, is_empty());
}

static void many_nodes(const struct testing *test)
{
    char path[16];
    size_t made = 0;

    for (;; made++) {
        format_print(path, sizeof path, "/n%zu", made);
        enum err e = memory_fs_make_directory(path);
        if (e == ERR_FULL)
            break;
        testing_need(test, e == ERR_OK && made < MEMORY_FS_QUOTA_NODES);
    }
    testing_need(test, made == MEMORY_FS_QUOTA_NODES);
    while (made--) {
        format_print(path, sizeof path, "/n%zu", made);
        testing_need(test, memory_fs_unlink(path) == ERR_OK);
    }
}

/* Each writer fills a file of its own, then reads it back; all of them add to and remove from one directory. */
static bool churn(uint64_t number)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    uint8_t piece[PIECE];
    char path[16];
    size_t bytes;

    format_print(path, sizeof path, "/w%lu", number);
    if (memory_fs_open(path, NEW | MEMORY_FS_EXCLUSIVE, &file) != ERR_OK)
        return false;
    for (size_t i = 0; i < PIECES; i++) {
        memset(piece, (int)(number * 64 + i), sizeof piece);
        if (memory_fs_write(file, piece, sizeof piece) != ERR_OK)
            return false;
    }
    if (memory_fs_seek(file, 0) != ERR_OK)
        return false;
    for (size_t i = 0; i < PIECES; i++) {
        if (memory_fs_read(file, piece, sizeof piece, &bytes) != ERR_OK || bytes != sizeof piece)
            return false;
        for (size_t j = 0; j < sizeof piece; j++)
            if (piece[j] != (uint8_t)(number * 64 + i))
                return false;
    }
    return memory_fs_unlink(path) == ERR_OK;
}

static void churn_entry(uint64_t number)
{
    for (int i = 0; i < 10; i++)
        if (!churn(number))
            task_exit(1);
}

static void together(const struct testing *test)
{
    struct task *tasks[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        tasks[i] = task_spawn("writer", churn_entry, i, &(struct task_options){.pinned = i % cpu_count() + 1});
        testing_need(test, tasks[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int32_t code = -1;
        testing_need(test, task_join(MOVE(tasks[i]), &code) == JOIN_ENDED && code == 0);
    }
}

/* Writes all of a file at once, again and again, each time with another byte. */
static void rewrite(uint64_t ended)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    OWN(heap) uint8_t *chunk = heap_alloc(CHUNK);
    enum err e = memory_fs_open("/whole", NEW, &file);

    for (int i = 0; i < REWRITES && chunk && e == ERR_OK; i++) {
        memset(chunk, i, CHUNK);
        e = memory_fs_seek(file, 0);
        if (e == ERR_OK)
            e = memory_fs_write(file, chunk, CHUNK);
    }
    __atomic_store_n((uint32_t *)ended, chunk && e == ERR_OK ? 1 : 2, __ATOMIC_RELEASE);
}

/* What is read at once was written at once. */
static void whole(const struct testing *test)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    OWN(heap) uint8_t *chunk = heap_alloc(CHUNK);
    static uint32_t ended;
    size_t bytes;

    ended = 0;
    testing_need(test, chunk && memory_fs_open("/whole", NEW, &file) == ERR_OK);
    OWN(task)
    struct task *task = task_spawn("writer", rewrite, (uint64_t)&ended, &(struct task_options){.pinned = cpu_count()});
    testing_need(test, task);
    while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE)) {
        testing_need(test, memory_fs_seek(file, 0) == ERR_OK);
        testing_need(test, memory_fs_read(file, chunk, CHUNK, &bytes) == ERR_OK && (bytes == 0 || bytes == CHUNK));
        for (size_t i = 1; i < bytes; i++)
            testing_need(test, chunk[i] == chunk[0]);
    }
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED && ended == 1);
    testing_need(test, memory_fs_unlink("/whole") == ERR_OK);
}

static int test_memory_fs_main(int, char **)
{
    struct testing test = testing_begin("test_memory_fs");

    quotas(&test); /* page tables, which stay, for as much as is ever used */
    together(&test);
    whole(&test);
    test = testing_begin("test_memory_fs");
    paths(&test);
    testing_ok(&test, "bad paths are refused and leave nothing");
    directories(&test);
    contents(&test);
    testing_ok(&test, "files and directories hold what they were given");
    holes(&test);
    testing_ok(&test, "holes take no memory and read as zero");
    quotas(&test);
    many_nodes(&test);
    testing_ok(&test, "quotas hold");
    together(&test);
    whole(&test);
    testing_need(&test, is_empty());
    testing_ok(&test, "tasks do not disturb each other");
    testing_end(&test);
}
MAIN(test_memory_fs_main);
