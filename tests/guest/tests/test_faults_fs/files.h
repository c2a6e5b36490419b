/* The files that there should be, kept apart from memory_fs, and operations on both. Private to test_faults_fs. */
#pragma once
#include "cells/cell.h"
#include "cells/fs/memory_fs/memory_fs.h"

#define DIRECTORIES 2
#define FILES       8     /* half of them in each directory */
#define FILE_MAX    30000 /* bytes */
#define PIECE_MAX   6000  /* bytes of one write */

enum operation {
    OP_CREATE,
    OP_APPEND,
    OP_OVERWRITE,
    OP_TRUNCATE,
    OP_REMOVE,
    OP_LIST,
    OP_READ,
    OP_DIRECTORY,
    OPERATIONS
};
extern const char *const operation_names[OPERATIONS];

struct content {
    bool exists;
    uint32_t bytes;
    uint8_t byte[FILE_MAX];
};

/* What a client is to do; the same again does no harm. */
struct job {
    enum operation operation;
    unsigned file;
    uint32_t at, bytes; /* of what is written; bytes: the new length of a file that is truncated */
    uint64_t seed;      /* of what is written */
};

/* Numbers that follow from a state. */
uint64_t files_draw(uint64_t *state);
/* Draws a job that fits the files that there are. */
struct job files_draw_job(uint64_t *state);
/* Does to the model what the job does to memory_fs. */
void files_expect(const struct job *job);

/* Makes the directories that are not there. */
enum err files_begin(void);
/* Removes all files, and makes the directories if they are gone. */
enum err files_reset(void);
/* Does the job. *ret_wrong: what was read is not what the model says. */
enum err files_do(const struct job *job, bool *ret_wrong);

enum files_state { FILES_RIGHT, FILES_LOST, FILES_WRONG, FILES_EXTRA };
extern const char *const files_state_names[];
/* Compares all of memory_fs with the model. ret_file: which file differs. */
enum files_state files_compare(unsigned *ret_file);
/* Whether memory_fs has the job's file as it was before the job, or as it is afterwards. */
bool files_is_before_or_after(const struct job *job);
