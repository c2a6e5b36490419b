/* See application.h. */
#include "cells/kernel/application/application.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/note.h"

CELL("application", KERNEL, 1);
EXPORT(application_run, LIBRARY);
EXPORT(application_run_in, LIBRARY);

#define ARGUMENTS_MAX   32
#define ARGUMENTS_BYTES 4096

/* What a run needs, copied: the caller may be gone, and a restart needs it again. */
struct run {
    char name[NOTE_NAME_BYTES];
    int argc;
    char *argv[ARGUMENTS_MAX + 1];
    char text[];
};

/* By name, at each start: the cell may have been swapped since. A swap learns from the task what it may come to. */
static int (*main_of(const char *name))(int, char **)
{
    GUARD(arena) held = arena_change(); /* no swap in between */
    uint32_t cell = namespace_cell(task_this()->record->namespace_, name);
    uint32_t section = cell ? arena_cell(cell)->main_section : 0;

    task_this()->main = (struct task_function){.section = section};
    return section ? (int (*)(int, char **))arena_section(section)->virt : NULL;
}

static void run_main(uint64_t argument)
{
    struct run *run = (struct run *)argument;
    char *argv[ARGUMENTS_MAX + 1];
    int (*main_function)(int, char **) = main_of(run->name);

    memcpy(argv, run->argv, sizeof argv);
    if (main_function)
        task_exit(main_function(run->argc, argv));
    panic("an application's cell is gone");
}

static void run_ended(uint64_t argument)
{
    heap_free((void *)argument);
}

static enum err copy_arguments(const char *name, int argc, const char *const *argv, struct run **ret_run)
{
    size_t bytes = 0;

    if (argc < 0 || argc > ARGUMENTS_MAX)
        return ERR_RANGE;
    for (int i = 0; i < argc; i++)
        bytes += string_length(argv[i]) + 1;
    if (bytes > ARGUMENTS_BYTES)
        return ERR_RANGE;
    struct run *run = heap_alloc(sizeof *run + bytes);
    if (!run)
        return ERR_NOMEM;
    string_copy(run->name, name, sizeof run->name);
    run->argc = argc;
    char *to = run->text;
    for (int i = 0; i < argc; i++) {
        size_t length = string_length(argv[i]) + 1;
        run->argv[i] = memcpy(to, argv[i], length);
        to += length;
    }
    *ret_run = run;
    return ERR_OK;
}

enum err application_run(const char *name, int argc, const char *const *argv, struct task **ret_task,
                         struct loader_detail *ret_detail)
{
    return application_run_in(task_this() ? task_this()->record->namespace_ : NAMESPACE_ROOT, name, argc, argv,
                              ret_task, ret_detail);
}

enum err application_run_in(uint32_t namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct loader_detail *ret_detail)
{
    OWN(heap) struct loader_detail *detail = heap_alloc(sizeof *detail);
    OWN(heap) struct run *run = NULL;
    uint32_t cell;

    if (!detail)
        return ERR_NOMEM;
    enum err e = namespace_load(namespace_, name, &cell, detail);
    if (ret_detail)
        *ret_detail = *detail;
    if (e == ERR_OK && !arena_cell(cell)->main_section)
        e = ERR_INVALID;
    if (e == ERR_OK)
        e = copy_arguments(name, argc, argv, &run);
    if (e != ERR_OK)
        return e;
    struct task *task =
        task_spawn(name, run_main, (uint64_t)run,
                   &(struct task_options){.restartable = true, .namespace_ = namespace_, .ended = run_ended});
    if (!task)
        return ERR_NOMEM;
    (void)MOVE(run); /* run_ended frees it */
    *ret_task = task;
    return ERR_OK;
}
