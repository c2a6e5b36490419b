/* See lines.h. */
#include "cells/recover/recovery/lines.h"
#include "cells/core/lock/lock.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"

#define LINES_MAX  16
#define LINE_BYTES 160

static struct lock lock;
static unsigned count GUARDED_BY(lock);
static struct line {
    uint64_t seq; /* of a fault whose task has been restarted; 0: the text is to be logged */
    char text[LINE_BYTES];
} lines[LINES_MAX] GUARDED_BY(lock);

void lines_fault(const struct arena_fault *fault, const char *then)
{
    if (fault->action == FAULT_ACTION_RELOAD)
        then = "reloaded";
    if (fault->action == FAULT_ACTION_MEND)
        then = "mended in place";
    log_warn("fault %lu: task %s: %s in %s%s%s:%s at %lx, address %lx, %u landing pads, %s after %lu ns", fault->seq,
             *fault->task_name ? fault->task_name : "none", fault->message, fault->namespace_,
             *fault->namespace_ ? "/" : "", *fault->cell_name ? fault->cell_name : "no cell", fault->symbol, fault->ip,
             fault->address, fault->landing_pads, then, fault->recovery_ns);
}

/* False: there is no room. */
static bool keep(const struct line *line)
{
    GUARD(lock) held = lock_take(&lock);

    if (count >= LINES_MAX)
        return false;
    lines[count++] = *line;
    return true;
}

static void keep_or_write(const struct line *line)
{
    if (keep(line))
        return;
    lines_write();
    (void)keep(line);
}

void lines_restart_later(const struct arena_fault *fault)
{
    keep_or_write(&(struct line){.seq = fault->seq});
}

void lines_later(const char *format, ...)
{
    struct line line = {};
    va_list arguments;

    va_start(arguments, format);
    format_vprint(line.text, sizeof line.text, format, arguments);
    va_end(arguments);
    keep_or_write(&line);
}

/* The line at `index`, or, at the end, that there is none and all have been taken. */
static bool take(unsigned index, struct line *ret_line)
{
    GUARD(lock) held = lock_take(&lock);

    if (index >= count || index >= LINES_MAX) {
        count = 0;
        return false;
    }
    *ret_line = lines[index];
    return true;
}

void lines_write(void)
{
    struct line line;

    for (unsigned i = 0; take(i, &line); i++) {
        const struct arena_fault *fault = line.seq ? fault_record(line.seq) : NULL;
        if (fault)
            lines_fault(fault, "restarted");
        else if (!line.seq)
            log_warn("%s", line.text);
    }
}
