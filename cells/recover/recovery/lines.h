/* What recovery says on the log. A line takes longer than most of what it is about, so that those that can wait are
 * kept until nothing else is to be done. Private to the recovery cell. */
#pragma once
#include "cells/cell.h"
#include "cells/recover/fault/fault.h"

/* Logs what became of the fault: what was done about it, else `then`. */
void lines_fault(const struct arena_fault *fault, const char *then);
/* Keeps the line of a fault whose task is restarted, or any line, until lines_write. Where there is no room, those that
 * are kept are logged at once. With no spin lock held. */
void lines_restart_later(const struct arena_fault *fault);
__attribute__((format(printf, 1, 2))) void lines_later(const char *format, ...);
/* Logs the lines that are kept. */
void lines_write(void);
