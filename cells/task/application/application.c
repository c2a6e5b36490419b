/* See application.h. An application's main is looked up by name at each start, since its cell may have been swapped. */
#include "cells/task/application/application.h"
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/note.h"

CELL("application", KERNEL, 1);
EXPORT(application_run, LIBRARY);
EXPORT(application_run_in, LIBRARY);

#define ARGUMENTS_MAX   32
#define ARGUMENTS_BYTES 4096

/* Copies of the arguments: a restart needs them again, when the caller may have ended. Freed when the task has
 * ended. */
struct run {
    char name[NOTE_NAME_BYTES];
    int argc;
    char *argv[ARGUMENTS_MAX + 1];
    char text[];
};

/* The cell's main function; noted in the task, so that a swap knows that it runs there. NULL: no such cell any more. */
static int (*main_of(const char *name))(int, char **)
{
    GUARD(arena) held = arena_change(); /* no swap in between */
    struct cell_ref cell = namespace_cell(task_this()->record->namespace_, name);
    struct section_ref section = cell.index ? arena_cell(cell)->main_section : NO_SECTION;

    uint64_t address = section.index ? arena_section(section)->virt : 0;

    task_this()->functions.main = (struct task_function){section, 0, address};
    return (int (*)(int, char **))address;
}

static void run_main(uint64_t argument)
{
    struct run *run = (struct run *)argument;
    char *argv[ARGUMENTS_MAX + 1];
    int (*main_function)(int, char **) = main_of(run->name);

    memcpy(argv, run->argv, sizeof argv);
    task_exit(main_function ? main_function(run->argc, argv) : APPLICATION_GONE);
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
                         struct report *ret_report)
{
    return application_run_in(task_this() ? task_this()->record->namespace_ : NAMESPACE_ROOT, name, argc, argv,
                              ret_task, ret_report);
}

enum err application_run_in(struct namespace_ref namespace_, const char *name, int argc, const char *const *argv,
                            struct task **ret_task, struct report *ret_report)
{
    OWN(heap) struct report *report = heap_alloc(sizeof *report);
    OWN(heap) struct run *run = NULL;
    struct cell_ref cell;

    if (!report)
        return ERR_NOMEM;
    enum err e = namespace_load(namespace_, name, &cell, report);
    if (ret_report)
        *ret_report = *report;
    if (e == ERR_OK && !arena_cell(cell)->main_section.index)
        e = report_refuse(ret_report, ERR_INVALID, "%s is no application", name);
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
