/* See scrub.h. This file has the task and its pace. */
#include "cells/recover/scrub/scrub.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/scrub/inside.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("scrub", KERNEL, 1);

#define REST_NS     8000000  /* between two slices: until the next tick */
#define PASS_NS     80000000 /* in which all but the arena is compared once */
#define FIRST_WORK  (1 << 20)
#define RECORD_WORK 4096 /* of a slice, for records of the arena */

static scrub_step *const parts[] = {scrub_cells, scrub_data, scrub_descriptors, scrub_tables};

/* Where the pass is. Static, so that the restarted task continues behind the step that has failed. */
static size_t part;
static uint64_t pass_work;              /* of this pass so far */
static uint64_t last_work = FIRST_WORK; /* of the pass before */

void scrub_report(struct fault_damage damage, uint32_t differed, const char *unit)
{
    char message[64], name[32] = "";

    format_print(message, sizeof message, "%u %s differed", differed, unit);
    damage.message = message;
    if (damage.cell.index)
        string_copy(name, arena_string(arena_cell(damage.cell)->name), sizeof name);
    if (damage.section.index)
        log_warn("scrub: %s:%s+%u: %s, put right", name, arena_string(arena_section(damage.section)->name),
                 damage.offset, message);
    else
        log_warn("scrub: %s: %s, put right", damage.place, message);
    arena_count(COUNTER_scrub_mends, 1);
    damage.action = FAULT_ACTION_MEND;
    fault_log_damage(&damage);
}

/* Takes the next step of the pass. Returns how much it was. */
static uint32_t take_step(void)
{
    uint32_t work = parts[part]();

    if (work) {
        pass_work += work;
        return work;
    }
    if (++part < array_size(parts))
        return 1;
    part = 0;
    last_work = pass_work;
    pass_work = 0;
    arena_count(COUNTER_scrubs, 1);
    return 1;
}

/* The part of a pass that is due after so much time, at most a whole one. */
static uint64_t work_due(uint64_t ns)
{
    return ns >= PASS_NS ? last_work : last_work * ns / PASS_NS;
}

static void scrub_entry(uint64_t)
{
    uint64_t before = cpu_ns();

    for (;;) {
        scheduler_sleep_ns(REST_NS);
        uint64_t now = cpu_ns(), due = work_due(now - before), done = 0;
        before = now;
        while (done < due)
            done += take_step();
        for (done = 0; done < RECORD_WORK;)
            done += scrub_records() + 1;
        scrub_objects();
    }
}

/* Without the scrubber nothing is compared, but recovery has copies all the same. */
static void copy_entry(uint64_t)
{
    for (;;) {
        scheduler_sleep_ns(PASS_NS);
        scrub_copy_data();
    }
}

static bool is_wanted(void)
{
    char choice[8];

    return !boot_option("scrub", choice, sizeof choice) || !string_equal(choice, "no");
}

static enum err scrub_init(void)
{
    const struct task_options options = {.restartable = true};
    bool wanted = is_wanted();
    enum err error = wanted ? cells_init() : ERR_OK;

    if (!error && wanted)
        error = tables_init();
    if (error)
        return error;
    OWN(task) struct task *task = task_spawn("scrub", wanted ? scrub_entry : copy_entry, 0, &options);
    return task ? ERR_OK : ERR_NOMEM;
}
INIT(scrub_init);
