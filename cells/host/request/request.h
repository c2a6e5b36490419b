/* Executes requests (guest/abi/arena.h): swap, reload, load, unload, spawn, branch and remove, by the names of cells
 * and namespaces. Decodes and validates a request, then acts. Does not know where it comes from: the host (host_link)
 * or the shell.
 *
 * A request is not trusted. Its body may change while it is read: whatever is used of it is copied once, and the copy
 * is checked. */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "guest/abi/arena.h"

struct preview;

#define REQUEST_ARGUMENTS_MAX  16
#define REQUEST_ARGUMENT_BYTES 1024

/* Executes one request. `body` is request->mailbox_bytes bytes, borrowed during the call. Call from a task, no lock
 * held; takes milliseconds. Fills in all of *ret_report: an error, and a line about its cause. */
void request_execute(const struct arena_request *request, const void *body, struct report *ret_report);
/* Like request_execute; a dry run also writes its plan to `preview`, after the last use of `body`: both may be the same
 * memory. NULL: the plan is not wanted. */
void request_execute_seen(const struct arena_request *request, const void *body, struct preview *preview,
                          struct report *ret_report);

/* Like request_execute, with member `member` of the archive as the body. ERR_NOT_FOUND: there is none. */
void request_execute_member(const struct arena_request *request, const char *member, struct report *ret_report);
