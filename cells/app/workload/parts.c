/* See parts.h. Each part does its share of a round and folds the results into one value. It returns an error for what a
 * fault elsewhere can cause (a closed channel, no memory). A wrong byte gives a wrong value, and that is a fault: the
 * task that has computed it may hold something damaged, and is restarted. */
#include "cells/app/workload/parts.h"
#include "cells/core/panic/panic.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/gfx/canvas/canvas.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/promise/promise.h"
#include "cells/task/task/task.h"

#define RING_SLOTS      16
#define RING_TIMEOUT_NS 100000000ull
#define FILER_FILES     "workload"
#define OPENER_FILES    "opener"
#define READER_FILES    "reader"
#define WRITER_FILES    "writer"

struct message {
    uint64_t attempt;
    uint32_t sequence;
    uint32_t index;
    uint8_t body[PATTERN_BODY];
    uint32_t crc; /* of all before it */
    uint32_t pad;
};

/* A part's work for `job`: computes *value. *end is kept from round to round. */
typedef enum err part_work(struct board *board, struct job *job, struct channel_end **end, uint64_t *value);

static uint32_t message_crc(const struct message *message)
{
    return checksum_crc32(0, message, offsetof(struct message, crc));
}

static void message_make(struct message *message, const struct job *job, uint32_t sequence)
{
    *message = (struct message){.attempt = job->attempt, .sequence = sequence, .index = job->index};
    pattern_fill(message->body, sizeof message->body, pattern_seed(PART_PRODUCER, job->index, sequence));
    message->crc = message_crc(message);
}

static enum err error_of(enum channel_err e)
{
    static const enum err errors[] = {
        [CHANNEL_OK] = ERR_OK, [CHANNEL_CLOSED] = ERR_CLOSED, [CHANNEL_TIMEOUT] = ERR_TIMEOUT};

    return errors[e];
}

/* Sends, and tries again at a time-out as long as the attempt lasts. */
static enum err send_in_attempt(struct board *board, const struct job *job, struct channel_end *end,
                                const struct message *message)
{
    for (;;) {
        enum channel_err e = channel_send(end, message, RING_TIMEOUT_NS);
        if (e != CHANNEL_TIMEOUT || !board_is_current(board, job))
            return error_of(e);
    }
}

static enum err new_link(struct board *board, struct channel_end **ret_sender)
{
    OWN(channel_end) struct channel_end *receiver = NULL;
    enum err e = channel_new(RING_SLOTS, sizeof(struct message), ret_sender, &receiver);

    if (e == ERR_OK)
        board_offer(board, MOVE(receiver));
    return e;
}

static enum err produce(struct board *board, struct job *job, struct channel_end **end, uint64_t *value)
{
    enum err e = *end ? ERR_OK : new_link(board, end);

    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_MESSAGES; i++) {
        struct message message;
        message_make(&message, job, i);
        *value = pattern_fold(*value, message.body, sizeof message.body);
        e = send_in_attempt(board, job, *end, &message);
    }
    if (e != ERR_OK)
        channel_end_put(MOVE(*end)); /* also at a time-out: the other end may be lost without having been closed */
    return e;
}

static enum err receive_in_attempt(struct board *board, const struct job *job, struct channel_end *end,
                                   struct message *ret_message)
{
    for (;;) {
        enum channel_err e = channel_receive(end, ret_message, RING_TIMEOUT_NS);
        if (e != CHANNEL_TIMEOUT || !board_is_current(board, job))
            return error_of(e);
    }
}

/* Folds one message into *value. Drops those of an earlier attempt, and begins a later one with its first message.
 * False: dropped. */
static bool consume_one(const struct message *message, struct job *job, uint32_t *count, uint64_t *value)
{
    bool sound = message->crc == message_crc(message);

    if (sound && message->attempt < job->attempt)
        return false;
    if (sound && message->attempt > job->attempt) {
        *job = (struct job){message->attempt, message->index};
        *count = 0;
        *value = PATTERN_SEED;
    }
    if (!sound || message->sequence != *count || message->index != job->index)
        *value = pattern_fold_word(*value, 1);
    *value = pattern_fold(*value, message->body, sizeof message->body);
    ++*count;
    return true;
}

static enum err consume(struct board *board, struct job *job, struct channel_end **end, uint64_t *value)
{
    enum err e = *end ? ERR_OK : board_take_offer(board, job, end);

    for (uint32_t count = 0; e == ERR_OK && count < PATTERN_MESSAGES;) {
        struct message message;
        e = receive_in_attempt(board, job, *end, &message);
        if (e == ERR_OK && !consume_one(&message, job, &count, value) && !board_is_current(board, job))
            e = ERR_TIMEOUT;
    }
    if (e != ERR_OK)
        channel_end_put(MOVE(*end));
    return e;
}

static enum err paint(struct board *, struct job *job, struct channel_end **, uint64_t *value)
{
    OWN(canvas) struct canvas *canvas = canvas_new(PATTERN_WIDTH, PATTERN_HEIGHT);

    if (!canvas)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < PATTERN_FRAMES; i++) {
        canvas_animate(canvas, pattern_frame(job->index, i));
        *value = pattern_fold_word(*value, canvas_checksum(canvas));
    }
    (void)canvas_show(canvas);
    return ERR_OK;
}

static enum err write_file(const char *path, enum part part, uint32_t index, uint32_t item)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    OWN(heap) uint8_t *content = heap_alloc(PATTERN_FILE_MAX);
    size_t bytes = pattern_file_bytes(index, item);
    enum err e =
        content ? memory_fs_open(path, MEMORY_FS_WRITE | MEMORY_FS_CREATE | MEMORY_FS_TRUNCATE, &file) : ERR_NOMEM;

    if (e != ERR_OK)
        return e;
    pattern_fill(content, bytes, pattern_seed(part, index, item));
    for (size_t done = 0; e == ERR_OK && done < bytes; done += 1000)
        e = memory_fs_write(file, content + done, bytes - done < 1000 ? bytes - done : 1000);
    return e;
}

/* Unless there is such a file, whole. */
static enum err write_file_once(const char *path)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;

    if (memory_fs_open(path, 0, &file) == ERR_OK && memory_fs_length(file) == pattern_file_bytes(0, 0))
        return ERR_OK;
    return write_file(path, PART_READER, 0, 0);
}

static enum err read_back_file(const char *path, uint64_t *value)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    uint8_t piece[700];
    size_t bytes = 1;
    enum err e = memory_fs_open(path, 0, &file);

    while (e == ERR_OK && bytes) {
        e = memory_fs_read(file, piece, sizeof piece, &bytes);
        if (e == ERR_OK)
            *value = pattern_fold(*value, piece, bytes);
    }
    return e;
}

/* Removes the file, or the directory with all in it: also what a part that failed has left, whose files are named after
 * their attempt and not taken for new ones. */
static void remove_leftovers(const char *path)
{
    struct memory_fs_entry entry;
    char inner[64];

    while (memory_fs_list(path, 0, &entry) == ERR_OK && entry.name[0]) {
        format_print(inner, sizeof inner, "%s/%s", path, entry.name);
        if (memory_fs_unlink(inner) != ERR_OK)
            return;
    }
    (void)memory_fs_unlink(path);
}

static void name_file(const char *of, const struct board *board, char ret_path[32])
{
    format_print(ret_path, 32, "/%s.%x", of, (unsigned)(uintptr_t)board);
}

static enum err write_files(struct board *board, struct job *job, struct channel_end **, uint64_t *value)
{
    char directory[32], path[64];
    enum err e = ERR_OK;

    name_file(FILER_FILES, board, directory);
    remove_leftovers(directory);
    e = memory_fs_make_directory(directory);
    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_FILES; i++) {
        format_print(path, sizeof path, "%s/%lu.%u", directory, job->attempt, i);
        e = write_file(path, PART_FILER, job->index, i);
    }
    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_FILES; i++) {
        format_print(path, sizeof path, "%s/%lu.%u", directory, job->attempt, i);
        e = read_back_file(path, value);
        if (e == ERR_OK)
            e = memory_fs_unlink(path);
    }
    return e == ERR_OK ? memory_fs_unlink(directory) : e;
}

/* Makes a file, opens it again, and removes it: folds what the directory calls it. */
static enum err open_file(const char *directory, const char *name, uint64_t *value)
{
    struct memory_fs_entry entry;
    char path[64];

    format_print(path, sizeof path, "%s/%s", directory, name);
    for (int i = 0; i < 2; i++) {
        OWN(memory_fs_file) struct memory_fs_file *file = NULL;
        enum err e = memory_fs_open(path, i ? 0 : MEMORY_FS_WRITE | MEMORY_FS_CREATE | MEMORY_FS_EXCLUSIVE, &file);
        if (e != ERR_OK)
            return e;
        *value = pattern_fold_word(*value, memory_fs_length(file));
    }
    enum err e = memory_fs_list(directory, 0, &entry);
    if (e == ERR_OK)
        *value = pattern_fold(*value, entry.name, string_length(entry.name));
    return e == ERR_OK ? memory_fs_unlink(path) : e;
}

static enum err open_files(struct board *board, struct job *job, struct channel_end **, uint64_t *value)
{
    char directory[32], name[16];
    enum err e;

    name_file(OPENER_FILES, board, directory);
    remove_leftovers(directory);
    e = memory_fs_make_directory(directory);
    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_OPENS; i++) {
        pattern_name(job->index, i, name);
        e = open_file(directory, name, value);
    }
    return e == ERR_OK ? memory_fs_unlink(directory) : e;
}

/* Reads a file again and again that it has written in another round, or writes it now. */
static enum err read_file(struct board *board, struct job *job, struct channel_end **, uint64_t *value)
{
    char path[32];
    enum err e;

    name_file(READER_FILES, board, path);
    e = write_file_once(path);
    *value = pattern_fold_word(*value, job->index);
    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_READS; i++)
        e = read_back_file(path, value);
    return e;
}

/* Writes files, one over the other, and reads the last one back. */
static enum err write_only(struct board *board, struct job *job, struct channel_end **, uint64_t *value)
{
    char path[32];
    enum err e = ERR_OK;

    name_file(WRITER_FILES, board, path);
    for (uint32_t i = 0; e == ERR_OK && i < PATTERN_FILES; i++)
        e = write_file(path, PART_WRITER, job->index, i);
    if (e == ERR_OK)
        e = read_back_file(path, value);
    return e == ERR_OK ? memory_fs_unlink(path) : e;
}

static void short_entry(uint64_t argument)
{
    task_exit(pattern_task((uint32_t)(argument >> 32), (uint32_t)argument));
}

static enum err spawn_short_tasks(struct board *, struct job *job, struct channel_end **, uint64_t *value)
{
    for (uint32_t i = 0; i < PATTERN_TASKS; i += 2) {
        OWN(task) struct task *one = task_spawn("short", short_entry, (uint64_t)job->index << 32 | i, NULL);
        OWN(task) struct task *two = task_spawn("short", short_entry, (uint64_t)job->index << 32 | (i + 1), NULL);
        int32_t code_one, code_two;

        if (!one || !two)
            return ERR_NOMEM;
        if (task_join(MOVE(one), &code_one) != JOIN_ENDED || task_join(MOVE(two), &code_two) != JOIN_ENDED)
            return ERR_CLOSED;
        *value = pattern_fold_word(*value, (uint64_t)(uint32_t)code_one << 32 | (uint32_t)code_two);
    }
    return ERR_OK;
}

struct blocks {
    uint8_t *block[PATTERN_BLOCKS];
};

/* Frees every second block first, so that neighbours are not freed in sequence. */
static void blocks_put(struct blocks *blocks)
{
    for (size_t i = 0; i < PATTERN_BLOCKS; i += 2)
        heap_free(MOVE(blocks->block[i]));
    for (size_t i = 1; i < PATTERN_BLOCKS; i += 2)
        heap_free(MOVE(blocks->block[i]));
}

static enum err allocate_blocks(struct board *, struct job *job, struct channel_end **, uint64_t *value)
{
    __attribute__((cleanup(blocks_put))) struct blocks blocks = {0};

    for (uint32_t i = 0; i < PATTERN_BLOCKS; i++) {
        size_t bytes = pattern_block_bytes(job->index, i);
        uint8_t *block = blocks.block[i] = heap_alloc(bytes);
        if (!block)
            return ERR_NOMEM;
        for (size_t j = 0; j < bytes; j++)
            if (block[j])
                *value = pattern_fold_word(*value, j);
        pattern_fill(block, bytes, pattern_seed(PART_ALLOCATOR, job->index, i));
    }
    for (uint32_t i = 0; i < PATTERN_BLOCKS; i++)
        *value = pattern_fold(*value, blocks.block[i], pattern_block_bytes(job->index, i));
    return ERR_OK;
}

static const struct {
    const char *name;
    part_work *work;
    const char *wrong;
    const char *files; /* the file or directory in which it works; NULL: it has none */
} parts[PARTS] = {
    [PART_PRODUCER] = {"producer", produce, "what was sent is wrong", NULL},
    [PART_CONSUMER] = {"consumer", consume, "what was received is wrong", NULL},
    [PART_PAINTER] = {"painter", paint, "what was drawn is wrong", NULL},
    [PART_FILER] = {"filer", write_files, "what was read back from files is wrong", FILER_FILES},
    [PART_OPENER] = {"opener", open_files, "what is called by an opened file's name is wrong", OPENER_FILES},
    [PART_READER] = {"reader", read_file, "what was read from a file is wrong", READER_FILES},
    [PART_WRITER] = {"writer", write_only, "what was written to a file is wrong", WRITER_FILES},
    [PART_SPAWNER] = {"spawner", spawn_short_tasks, "what short tasks returned is wrong", NULL},
    [PART_ALLOCATOR] = {"allocator", allocate_blocks, "what was in blocks of memory is wrong", NULL},
};

/* Panics when the value of the present attempt is wrong. One of an earlier attempt is dropped when it is posted. */
static void check_value(const struct place *place, const struct job *job, uint64_t value)
{
    if (value != rounds_value[job->index % ROUNDS_CYCLE][place->part] && board_is_current(place->board, job))
        panic(parts[place->part].wrong);
}

static void remove_files(const struct place *place)
{
    char path[32];

    if (!parts[place->part].files)
        return;
    name_file(parts[place->part].files, place->board, path);
    remove_leftovers(path);
}

/* A part that others end takes its files along. One that has failed is restarted, and finds them again. */
static void remove_files_if_ended(struct place **place)
{
    if (!*place || task_this()->record->end_reason == TASK_END_OWN)
        return;
    promise_make(0);
    remove_files(*place);
}

/* Also where a restarted task begins: it has nothing but its place. */
static void part_entry(uint64_t argument)
{
    __attribute__((cleanup(remove_files_if_ended))) struct place *place = (struct place *)argument;
    OWN(channel_end) struct channel_end *end = NULL;
    struct job job = {.attempt = board_begin(place)};

    board_promise(place->board);
    while (board_next(place->board, job.attempt, &job)) {
        uint64_t value = PATTERN_SEED;
        board_promise(place->board);
        enum err e = parts[place->part].work(place->board, &job, &end, &value);

        if (e == ERR_OK)
            check_value(place, &job, value);
        board_post(place->board, place->part, &job, value, e);
    }
    remove_files(MOVE(place));
}

static void part_ended(uint64_t argument)
{
    struct place *place = (struct place *)argument;

    place->taken = false;
    board_leave(place->board);
}

enum err crew_spawn(struct board *board, const char *name, void (*entry)(uint64_t), uint64_t argument,
                    void (*ended)(uint64_t))
{
    const struct task_options options = {.restartable = true, .ended = ended};

    board_join(board);
    OWN(task) struct task *task = task_spawn(name, entry, argument, &options);
    if (task)
        return ERR_OK;
    board_leave(board);
    return ERR_NOMEM;
}

enum err part_spawn(struct board *board, enum part part)
{
    return crew_spawn(board, parts[part].name, part_entry, (uint64_t)&board->place[part], part_ended);
}
