/* See qmp.h. */
#include "vmm/machine/qmp.h"
#include "introspect/base/clock.h"
#include "introspect/base/json.h"
#include "vmm/machine/error.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct qmp {
    int fd;
    size_t used;  /* bytes of `line` received */
    size_t taken; /* of those, bytes of messages that were handled */
    size_t events, first_event;
    json_t *event[QMP_EVENTS_MAX]; /* a ring */
    char line[QMP_LINE_MAX];
};

/* 1 ready, 0 time is up, -1 error. */
static int wait_socket(int fd, short what, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_ms();
        struct pollfd p = {.fd = fd, .events = what};
        int ready = poll(&p, 1, left > 0 ? (int)left : 0);

        if (ready >= 0 || errno != EINTR)
            return ready;
    }
}

enum err qmp_parse(const char *line, size_t bytes, enum qmp_kind *ret_kind, json_t **ret_body)
{
    static const struct {
        const char *key;
        enum qmp_kind kind;
        bool whole;
    } kinds[] = {{"return", QMP_RETURN, false},
                 {"error", QMP_ERROR, false},
                 {"event", QMP_EVENT, true},
                 {"QMP", QMP_GREETING, false}};
    json_error_t where;
    OWN(json) json_t *message = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &where);

    for (size_t i = 0; json_is_object(message) && i < sizeof kinds / sizeof *kinds; i++) {
        json_t *value = json_object_get(message, kinds[i].key);
        if (!value || (kinds[i].whole && !json_is_string(value)))
            continue;
        *ret_kind = kinds[i].kind;
        *ret_body = kinds[i].whole ? json_incref(message) : json_incref(value);
        return ERR_OK;
    }
    return machine_fail(ERR_PROTOCOL, "QMP: the server sent something that is not QMP");
}

/* Makes sure that a whole line starts at `taken`; ret_bytes is its length without the newline. */
static enum err receive_line(struct qmp *q, int64_t deadline, size_t *ret_bytes)
{
    size_t searched = q->taken;

    for (;;) {
        char *end = memchr(q->line + searched, '\n', q->used - searched);
        if (end) {
            *ret_bytes = (size_t)(end - (q->line + q->taken));
            return ERR_OK;
        }
        if (q->taken > 0) {
            memmove(q->line, q->line + q->taken, q->used - q->taken);
            q->used -= q->taken;
            q->taken = 0;
        }
        searched = q->used;
        if (q->used == sizeof q->line)
            return machine_fail(ERR_PROTOCOL, "QMP: the server sent a line of more than %d bytes", QMP_LINE_MAX);
        int ready = wait_socket(q->fd, POLLIN, deadline);
        if (ready == 0)
            return machine_fail(ERR_TIMEOUT, "QMP: no answer in time; another client may hold the socket");
        ssize_t n = ready < 0 ? -1 : recv(q->fd, q->line + q->used, sizeof q->line - q->used, MSG_DONTWAIT);
        if (n < 0 && ready > 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return machine_fail(ERR_IO, "QMP: the machine closed the connection");
        q->used += (size_t)n;
    }
}

static enum err receive_message(struct qmp *q, int64_t deadline, enum qmp_kind *ret_kind, json_t **ret_body)
{
    size_t bytes = 0;
    enum err e = receive_line(q, deadline, &bytes);

    if (e != ERR_OK)
        return e;
    const char *line = q->line + q->taken;
    q->taken += bytes + 1;
    return qmp_parse(line, bytes, ret_kind, ret_body);
}

/* The oldest event gives way when nobody fetches them. */
static void queue_event(struct qmp *q, TAKES json_t *event)
{
    if (q->events == QMP_EVENTS_MAX) {
        json_decref(q->event[q->first_event]);
        q->first_event = (q->first_event + 1) % QMP_EVENTS_MAX;
        q->events--;
    }
    q->event[(q->first_event + q->events++) % QMP_EVENTS_MAX] = event;
}

/* Waits for a message that is no event; events on the way are queued. */
static enum err receive_answer(struct qmp *q, int64_t deadline, enum qmp_kind *ret_kind, json_t **ret_body)
{
    for (;;) {
        OWN(json) json_t *body = NULL;
        enum err e = receive_message(q, deadline, ret_kind, &body);
        if (e != ERR_OK)
            return e;
        if (*ret_kind != QMP_EVENT) {
            *ret_body = MOVE(body);
            return ERR_OK;
        }
        queue_event(q, MOVE(body));
        if (clock_ms() > deadline)
            return machine_fail(ERR_TIMEOUT, "QMP: only events, no answer in time");
    }
}

static enum err send_all(struct qmp *q, const char *bytes, size_t count, int64_t deadline)
{
    while (count > 0) {
        ssize_t n = send(q->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (wait_socket(q->fd, POLLOUT, deadline) == 0)
                return machine_fail(ERR_TIMEOUT, "QMP: the machine does not read its socket");
            continue;
        }
        if (n <= 0)
            return machine_fail(ERR_IO, "QMP: the machine closed the connection");
        bytes += n;
        count -= (size_t)n;
    }
    return ERR_OK;
}

enum err qmp_command(struct qmp *q, const char *command, json_t *arguments, int timeout_ms, json_t **ret_value)
{
    int64_t deadline = clock_ms() + timeout_ms;
    OWN(json)
    json_t *request = arguments ? json_pack("{s:s,s:o}", "execute", command, "arguments", arguments)
                                : json_pack("{s:s}", "execute", command);
    OWN(memory) char *text = json_dumps(request, JSON_COMPACT);
    OWN(json) json_t *body = NULL;
    enum qmp_kind kind = QMP_ERROR;

    if (!text)
        return machine_fail(ERR_NOMEM, "QMP: out of memory");
    enum err e = send_all(q, text, strlen(text), deadline);
    if (e == ERR_OK)
        e = send_all(q, "\n", 1, deadline);
    if (e == ERR_OK)
        e = receive_answer(q, deadline, &kind, &body);
    if (e != ERR_OK)
        return e;
    if (kind == QMP_ERROR) {
        const char *why = json_string_value(json_object_get(body, "desc"));
        e = machine_fail(ERR_REFUSED, "QMP: %s: %.300s", command, why ? why : "refused without a reason");
    } else if (kind != QMP_RETURN) {
        e = machine_fail(ERR_PROTOCOL, "QMP: %s: a greeting in place of an answer", command);
    }
    if (e == ERR_OK && ret_value)
        *ret_value = MOVE(body);
    return e;
}

enum err qmp_event(struct qmp *q, int timeout_ms, json_t **ret_event)
{
    int64_t deadline = clock_ms() + timeout_ms;
    OWN(json) json_t *event = NULL;
    enum qmp_kind kind = QMP_ERROR;

    if (q->events > 0) {
        *ret_event = q->event[q->first_event];
        q->first_event = (q->first_event + 1) % QMP_EVENTS_MAX;
        q->events--;
        return ERR_OK;
    }
    enum err e = receive_message(q, deadline, &kind, &event);
    if (e == ERR_OK && kind != QMP_EVENT)
        e = machine_fail(ERR_PROTOCOL, "QMP: an answer that nobody asked for");
    if (e == ERR_OK)
        *ret_event = MOVE(event);
    return e;
}

enum err qmp_open_fd(TAKES int taken, int timeout_ms, struct qmp **ret_qmp)
{
    OWN(descriptor) int fd = taken;
    OWN(qmp) struct qmp *q = calloc(1, sizeof *q);
    OWN(json) json_t *body = NULL;
    int64_t deadline = clock_ms() + timeout_ms;
    enum qmp_kind kind = QMP_ERROR;

    if (!q)
        return machine_fail(ERR_NOMEM, "QMP: out of memory");
    q->fd = MOVE_DESCRIPTOR(fd);
    enum err e = receive_answer(q, deadline, &kind, &body);
    if (e == ERR_OK && kind != QMP_GREETING)
        e = machine_fail(ERR_PROTOCOL, "QMP: the server did not greet");
    if (e == ERR_OK)
        e = qmp_command(q, "qmp_capabilities", NULL, timeout_ms, NULL);
    if (e == ERR_OK)
        *ret_qmp = MOVE(q);
    return e;
}

/* The kernel tells who listens. */
static enum err check_server(int fd, const char *path, int pid)
{
    struct ucred peer = {0};
    socklen_t bytes = sizeof peer;

    if (pid == QMP_ANY || (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid == pid))
        return ERR_OK;
    return machine_fail(ERR_NOT_RUNNING, "%s: served by process %d, no longer by %d", path, peer.pid, pid);
}

enum err qmp_open(const char *path, int pid, int timeout_ms, struct qmp **ret_qmp)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return machine_fail(ERR_INVALID, "%s: too long for a socket; set XDG_RUNTIME_DIR to a shorter path", path);
    strcpy(address.sun_path, path);
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return machine_fail(ERR_IO, "socket: %s", strerror(errno));
    /* EAGAIN: the server's backlog is full. */
    for (int64_t deadline = clock_ms() + timeout_ms; connect(fd, (void *)&address, sizeof address) != 0;) {
        if ((errno == EAGAIN || errno == EINTR) && clock_ms() < deadline) {
            usleep(10000);
            continue;
        }
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    }
    enum err e = check_server(fd, path, pid);
    return e == ERR_OK ? qmp_open_fd(MOVE_DESCRIPTOR(fd), timeout_ms, ret_qmp) : e;
}

void qmp_close(struct qmp *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->events; i++)
        json_decref(q->event[(q->first_event + i) % QMP_EVENTS_MAX]);
    close(q->fd);
    free(q);
}
