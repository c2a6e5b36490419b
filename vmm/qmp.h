/* The QMP server: several clients on a UNIX socket, all served by the main thread, none waited for.
 * Leaves out everything of QMP that the machine has no use for; query-commands lists what there is.
 *
 * A client is not trusted: a message has at most QMP_MESSAGE_MAX bytes, and a client that sends more, or that leaves
 * QMP_UNREAD_MAX bytes unread, is dropped. After garbage it starts again with the next control character, as under
 * QEMU. */
#pragma once
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include "guest/abi/err.h"

enum { QMP_CLIENTS_MAX = 16, QMP_POLL_MAX = QMP_CLIENTS_MAX + 1, QMP_MESSAGE_MAX = 65536, QMP_UNREAD_MAX = 1 << 18 };

/* What only the machine can answer. */
enum qmp_query { QMP_CPUS, QMP_STATS, QMP_MONITOR, QMP_NMI, QMP_POWERDOWN, QMP_DUMP };

/* What the commands act on. */
struct qmp_machine {
    void *owner;
    const char *(*status)(void *owner); /* "running", "paused", ... */
    const char *name;
    enum err (*stop)(void *owner);
    enum err (*cont)(void *owner);
    enum err (*reset)(void *owner);
    enum err (*quit)(void *owner);
    /* The whole answer, "return" or "error". `arguments` fit the command (qmp_command.h); NULL: none. */
    json_t *(*query)(void *owner, enum qmp_query query, const json_t *arguments);
    enum err (*save)(void *owner, const char *path); /* save-state and load-state: state.h */
    enum err (*load)(void *owner, const char *path);
};

struct qmp_server;

/* Listens on a socket at `path` (socket.h); NULL: on none. `machine` is copied, its owner must
 * outlive the server. Free it with qmp_server_free, which closes all connections. On failure the log says why. */
enum err qmp_server_new(const char *path, const struct qmp_machine *machine, struct qmp_server **ret_server);
void qmp_server_free(struct qmp_server *server);

/* What to poll for (at most QMP_POLL_MAX), and what to do about what came back: commands act at once. */
size_t qmp_server_poll(struct qmp_server *server, struct pollfd *fds);
void qmp_server_handle(struct qmp_server *server, const struct pollfd *fds, size_t count);
/* To every client that has negotiated. `reason` may be NULL. */
void qmp_server_event(struct qmp_server *server, const char *name, bool guest, const char *reason);
