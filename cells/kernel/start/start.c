/* The first cell: an index of what runs after the nano_core. Starts the scheduler and the other CPUs, loads drivers and
 * services, runs the applications that the command line names (app=NAME,NAME). Decides nothing else. */
#include "cells/kernel/application/application.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/renew/renew.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/smp/smp.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

CELL("start", KERNEL, 1);

#define APPLICATIONS "workload,shell"
#define REAP_TRIES   100 /* until the image is free; else the reaper goes on */
#define REAP_NS      10000000

/* Loaded in this order; a machine works without any of them. */
static const char *const services[] = {
    "serial", "recovery", "keyboard", "text_screen", "host_link",
};

static void load_services(void)
{
    static struct loader_detail detail;

    for (size_t i = 0; i < array_size(services); i++) {
        uint32_t cell;
        enum err e = loader_load(services[i], &cell, &detail);
        if (e != ERR_OK)
            log_warn("%s: not loaded: %s (%s)", services[i], err_text(e), detail.text);
    }
}

static void run_application(const char *name)
{
    static struct loader_detail detail;
    struct task *task;
    enum err e = application_run(name, 1, &name, &task, &detail);

    if (e != ERR_OK) {
        log_warn("%s: not run: %s (%s)", name, err_text(e), detail.text);
        return;
    }
    task_put(task);
}

/* `names` is cut into pieces at its commas. */
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

/* More than one processor needs shootdown, which nobody calls by name. */
static void start_processors(void)
{
    static struct loader_detail detail;
    uint32_t cell;
    enum err e = loader_load("shootdown", &cell, &detail);

    if (e == ERR_OK)
        e = smp_start(processor_entry);
    if (e != ERR_OK)
        log_warn("not all processors came up: %s", err_text(e));
    log_info("%u processors, %zu of %zu frames free", cpu_count(), frame_free_count(), frame_total_count());
}

/* The nano_core has done its work when there are other cells; renew=no keeps it. */
static void renew(void)
{
    static struct arena_completion done;
    char choice[8];

    if (boot_option("renew", choice, sizeof choice) && string_equal(choice, "no"))
        return;
    enum err e = renew_nano_core(&done);
    for (int tries = 0; e == ERR_OK && swap_reap() && tries < REAP_TRIES; tries++)
        scheduler_sleep_ns(REAP_NS);
    if (e == ERR_OK)
        log_info("the nano_core is replaced: %lu relocations, %lu words, %lu bytes of data, paused for %lu us",
                 done.relocations, done.words, done.transferred_bytes, done.pause_ns / 1000);
    else
        log_warn("the nano_core is not replaced: %s (%s)", err_text(e), done.detail);
}

static void start_run(uint64_t argument)
{
    char names[256] = APPLICATIONS;

    (void)argument;
    load_services();
    start_processors();
    renew();
    boot_option("app", names, sizeof names);
    run_applications(names);
    __atomic_store_n(&arena_header()->ready, 1, __ATOMIC_RELEASE);
    log_info("started");
}

/* On the boot stack, which is left for good. */
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
