/* What may be asked of the running system: swap, reload, load, unload and spawn by name, in a namespace; branches of these. Decodes and validates a request
 * record, then acts (guest/abi/arena.h). It does not know where requests come from: the host's ring (host_link), the
 * shell.
 *
 * Nothing of a request is trusted, its body least of all: it may change while it is read, so it is copied once, and the
 * copy is checked. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

struct preview;

#define REQUEST_ARGUMENTS_MAX  16
#define REQUEST_ARGUMENT_BYTES 1024

/* `body`: request->mailbox_bytes bytes, borrowed during the call. Fills in everything of the completion but its seq.
 * May take milliseconds; from a task, no lock held. */
void request_execute(const struct arena_request *request, const void *body, struct arena_completion *ret_completion);
/* The same; a dry run puts its plan there, when the body has been read. */
void request_execute_seen(const struct arena_request *request, const void *body, struct preview *preview,
                          struct arena_completion *ret_completion);

/* The same with the object file from member `member` of the archive as the body. */
void request_execute_member(const struct arena_request *request, const char *member,
                            struct arena_completion *ret_completion);
