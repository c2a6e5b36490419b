/* A QMP client: one connection, one command at a time, events kept in order.
 * The peer is not trusted: lines, depth, queued events and waiting are bounded. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

enum { QMP_LINE_MAX = 1 << 20, QMP_EVENTS_MAX = 256, QMP_ANY = 0 };

struct qmp;

enum qmp_kind { QMP_RETURN, QMP_ERROR, QMP_EVENT, QMP_GREETING };

/* One line of a QMP server, without its end. ret_body (owned by the caller) is the value of "return", "error" or
 * "QMP", or the whole event. ERR_PROTOCOL for anything else. */
enum err qmp_parse(const char *line, size_t bytes, enum qmp_kind *ret_kind, json_t **ret_body);

/* Connects and negotiates. `pid` is the process that must be listening, or QMP_ANY; ERR_NOT_RUNNING: it is another. */
enum err qmp_open(const char *path, int pid, int timeout_ms, struct qmp **ret_qmp);
/* The same over a descriptor that is connected already; owned by the qmp from here on, also on failure. */
enum err qmp_open_fd(TAKES int fd, int timeout_ms, struct qmp **ret_qmp);
void qmp_close(struct qmp *qmp);
OWNABLE(qmp, qmp_close)

/* Executes `command`; `arguments` (may be NULL) is consumed. ret_value may be NULL. A server's error is ERR_REFUSED. */
enum err qmp_command(struct qmp *qmp, const char *command, json_t *arguments, int timeout_ms, json_t **ret_value);

/* The next event, waiting for one as long as asked. ERR_TIMEOUT: none came. ERR_IO: the server has gone. */
enum err qmp_event(struct qmp *qmp, int timeout_ms, json_t **ret_event);
