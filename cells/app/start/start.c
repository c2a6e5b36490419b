/* The first cell: starts the scheduler and the other CPUs, loads drivers and services, replaces the image (renew), runs
 * the applications of the command line (app=NAME,NAME). Read from the end: start_main, start_run. */
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/renew/renew.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/state_db/state_db.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/smp/smp.h"
#include "cells/task/task/task.h"

CELL("start", KERNEL, 1);

#define APPLICATIONS "workload,shell"
#define REAP_TRIES   100 /* to free the image here; afterwards the teardown task tries */
#define REAP_NS      10000000

/* Loaded in this order. The system runs without any of them. */
static const char *const services[] = {
    "serial", "recovery", "keyboard", "text_screen", "host_link", "scrub",
};

static void load_services(void)
{
    static struct report report;

    for (size_t i = 0; i < array_size(services); i++) {
        struct cell_ref cell;
        if (loader_load(services[i], &cell, &report))
            log_warn("%s: not loaded: %s (%s)", services[i], err_text(report.error), report.text);
    }
}

static void run_application(const char *name)
{
    static struct report report;
    struct task *task;
    enum err e = application_run(name, 1, &name, &task, &report);

    if (e != ERR_OK) {
        log_warn("%s: not run: %s (%s)", name, err_text(e), report.text);
        return;
    }
    task_put(task);
}

/* Splits `names` at its commas. */
static void run_applications(char *names)
{
    while (*names) {
        char *end = names;
        while (*end && *end != ',')
            end++;
        char *next = *end ? end + 1 : end;
        *end = '\0';
        if (*names)
            run_application(names);
        names = next;
    }
}

static void processor_entry(unsigned index)
{
    (void)index;
    enum err e = scheduler_start();
    log_warn("a processor has no idle task: %s", err_text(e));
}

/* Several processors need shootdown, which no cell imports: page calls it through a hook. */
static void start_processors(void)
{
    static struct report report;
    struct cell_ref cell;
    enum err e = loader_load("shootdown", &cell, &report) ? report.error : smp_start(processor_entry);

    if (e != ERR_OK)
        log_warn("not all processors came up: %s", err_text(e));
    log_info("%u processors, %zu of %zu frames free", cpu_count(), frame_free_count(), frame_total_count());
}

/* Replaces the core cells of the image by loaded copies, unless the command line has renew=no. */
static void replace_image(void)
{
    static struct report done;
    char choice[8];

    if (boot_option("renew", choice, sizeof choice) && string_equal(choice, "no"))
        return;
    enum err e = renew_nano_core(&done);
    for (int tries = 0; e == ERR_OK && reap_replaced() && tries < REAP_TRIES; tries++)
        scheduler_sleep_ns(REAP_NS);
    if (e == ERR_OK)
        log_info("the nano_core is replaced: %lu relocations, %lu words, %lu bytes of data, paused for %lu us",
                 done.relocations, done.words, done.transferred_bytes, done.pause_ns / 1000);
    else
        log_warn("the nano_core is not replaced: %s (%s)", err_text(e), done.text);
}

static void start_run(uint64_t argument)
{
    char names[256] = APPLICATIONS;

    (void)argument;
    load_services();
    start_processors();
    replace_image();
    boot_option("app", names, sizeof names);
    run_applications(names);
    __atomic_store_n(&arena_header()->ready, 1, __ATOMIC_RELEASE);
    state_db_keep_all();
    log_info("started");
}

/* Runs on the boot stack, which is never used again once the first task runs. */
static int start_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    log_info("Delias: first cell loaded %lu us after entry",
             (arena_header()->first_cell_tsc - arena_header()->boot_tsc) / (arena_header()->tsc_hz / 1000000 + 1));
    struct task *task = task_spawn("start", start_run, 0, NULL);
    if (!task)
        panic_halt("no memory for the first task");
    task_put(task);
    enum err e = scheduler_start();
    panic_halt(err_text(e));
}
MAIN(start_main);
