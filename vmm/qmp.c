/* See qmp.h. */
#include "introspect/base/json.h"
#include "vmm/qmp.h"
#include "vmm/log.h"
#include "vmm/socket.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct client {
    int fd; /* -1: free */
    bool negotiated;
    /* A message ends where its braces close: clients need not send newlines. */
    size_t used, scanned;
    unsigned depth;
    bool in_string, escaped;
    char in[QMP_MESSAGE_MAX];
    size_t unread;
    char out[QMP_UNREAD_MAX];
};

struct qmp_server {
    struct qmp_machine machine;
    struct listener listener;
    struct client client[QMP_CLIENTS_MAX];
};

static void drop(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

static void flush(struct client *c)
{
    ssize_t n = send(c->fd, c->out, c->unread, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        drop(c);
    } else if (n > 0) {
        c->unread -= (size_t)n;
        memmove(c->out, c->out + n, c->unread);
    }
}

static void reply(struct client *c, TAKES json_t *taken)
{
    OWN(json) json_t *message = taken;
    OWN(memory) char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    size_t bytes = text ? strlen(text) : 0;

    if (c->fd >= 0 && (bytes == 0 || bytes + 2 > sizeof c->out - c->unread))
        drop(c);
    if (c->fd >= 0 && text) {
        memcpy(c->out + c->unread, text, bytes);
        memcpy(c->out + c->unread + bytes, "\r\n", 2);
        c->unread += bytes + 2;
        flush(c);
    }
}

static json_t *error_body(const char *class, const char *format, const char *detail)
{
    return json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", json_sprintf(format, detail));
}

/* ---- commands ---- */

struct command {
    const char *name;
    json_t *(*run)(struct qmp_server *server, struct client *client); /* the whole answer, without its id */
};
static const struct command commands[];

static json_t *run_capabilities(struct qmp_server *s, struct client *c)
{
    (void)s;
    c->negotiated = true;
    return json_pack("{s:{}}", "return");
}

static json_t *run_query_status(struct qmp_server *s, struct client *c)
{
    const char *status = s->machine.status(s->machine.owner);

    (void)c;
    return json_pack("{s:{s:s,s:b,s:b}}", "return", "status", status, "running", strcmp(status, "running") == 0,
                     "singlestep", 0);
}

static json_t *run_query_name(struct qmp_server *s, struct client *c)
{
    (void)c;
    return json_pack("{s:{s:s}}", "return", "name", s->machine.name);
}

static json_t *run_query_commands(struct qmp_server *s, struct client *c);

static json_t *act(enum err (*action)(void *owner), void *owner)
{
    enum err e = action(owner);
    return e == ERR_OK ? json_pack("{s:{}}", "return") : error_body("GenericError", "%s", err_text(e));
}

static json_t *run_stop(struct qmp_server *s, struct client *c)
{
    (void)c;
    return act(s->machine.stop, s->machine.owner);
}

static json_t *run_cont(struct qmp_server *s, struct client *c)
{
    (void)c;
    return act(s->machine.cont, s->machine.owner);
}

static json_t *run_reset(struct qmp_server *s, struct client *c)
{
    (void)c;
    return act(s->machine.reset, s->machine.owner);
}

static json_t *run_quit(struct qmp_server *s, struct client *c)
{
    (void)c;
    return act(s->machine.quit, s->machine.owner);
}

static const struct command commands[] = {
    {"qmp_capabilities", run_capabilities},
    {"query-status", run_query_status},
    {"query-name", run_query_name},
    {"query-commands", run_query_commands},
    {"stop", run_stop},
    {"cont", run_cont},
    {"system_reset", run_reset},
    {"quit", run_quit},
};

static json_t *run_query_commands(struct qmp_server *s, struct client *c)
{
    json_t *list = json_array();

    (void)s, (void)c;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
    return json_pack("{s:o}", "return", list);
}

static json_t *execute_command(struct qmp_server *s, struct client *c, const char *name)
{
    bool negotiating = strcmp(name, "qmp_capabilities") == 0;

    if (!c->negotiated && !negotiating)
        return error_body("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'%s", "");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0 && !(negotiating && c->negotiated))
            return commands[i].run(s, c);
    return error_body("CommandNotFound", "The command %s has not been found", name);
}

static void handle_message(struct qmp_server *s, struct client *c, const char *text, size_t bytes)
{
    OWN(json) json_t *request = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(request, "execute"));
    json_t *id = json_object_get(request, "id");
    json_t *answer;

    if (!request)
        answer = error_body("GenericError", "JSON parse error%s", "");
    else if (!name)
        answer = error_body("GenericError", "QMP input lacks member 'execute'%s", "");
    else
        answer = execute_command(s, c, name);
    if (id)
        json_object_set(answer, "id", id);
    reply(c, answer);
}

/* ---- input ---- */

/* Advances over one byte; true when it closes a message. */
static bool closes_message(struct client *c, char byte)
{
    if (c->in_string) {
        if (!c->escaped && byte == '"')
            c->in_string = false;
        c->escaped = !c->escaped && byte == '\\';
        return false;
    }
    if (byte == '"')
        c->in_string = true;
    else if (byte == '{' || byte == '[')
        c->depth++;
    else if ((byte == '}' || byte == ']') && c->depth > 0)
        return --c->depth == 0;
    /* Outside of braces, a line of something else is an (invalid) message of its own. */
    return byte == '\n' && c->depth == 0;
}

static bool is_blank(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
            return false;
    return true;
}

static void scan_messages(struct qmp_server *s, struct client *c)
{
    size_t begin = 0;

    while (c->fd >= 0 && c->scanned < c->used) {
        if (!closes_message(c, c->in[c->scanned++]))
            continue;
        if (!is_blank(c->in + begin, c->scanned - begin))
            handle_message(s, c, c->in + begin, c->scanned - begin);
        begin = c->scanned;
    }
    if (c->fd < 0)
        return;
    c->used -= begin;
    c->scanned -= begin;
    memmove(c->in, c->in + begin, c->used);
    if (c->used == sizeof c->in)
        drop(c);
}

static void receive_bytes(struct qmp_server *s, struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->used, sizeof c->in - c->used, MSG_DONTWAIT);

    if (n > 0) {
        c->used += (size_t)n;
        scan_messages(s, c);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(c);
    }
}

static void accept_qmp_client(struct qmp_server *s)
{
    OWN(descriptor) int fd = socket_accept(&s->listener);

    for (int i = 0; i < QMP_CLIENTS_MAX && fd >= 0; i++) {
        struct client *c = &s->client[i];
        if (c->fd >= 0)
            continue;
        memset(c, 0, offsetof(struct client, in));
        c->fd = MOVE_DESCRIPTOR(fd);
        c->unread = 0;
        reply(c, json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]}}", "QMP", "version", "qemu", "major", 7, "minor", 2,
                           "micro", 0, "package", "delias-vmm", "capabilities"));
        return;
    }
}

size_t qmp_server_poll(struct qmp_server *s, struct pollfd *fds)
{
    size_t n = 0;

    if (s->listener.fd >= 0)
        fds[n++] = (struct pollfd){.fd = s->listener.fd, .events = POLLIN};
    for (int i = 0; i < QMP_CLIENTS_MAX; i++)
        if (s->client[i].fd >= 0)
            fds[n++] =
                (struct pollfd){.fd = s->client[i].fd, .events = (short)(POLLIN | (s->client[i].unread ? POLLOUT : 0))};
    return n;
}

void qmp_server_handle(struct qmp_server *s, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < QMP_CLIENTS_MAX && fds[i].revents; c++) {
            struct client *client = &s->client[c];
            if (client->fd != fds[i].fd)
                continue;
            if (fds[i].revents & POLLOUT)
                flush(client);
            if (client->fd >= 0 && (fds[i].revents & (POLLIN | POLLHUP | POLLERR)))
                receive_bytes(s, client);
        }
    /* Last: a new client must not be taken for an old one with the same descriptor. */
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents && fds[i].fd == s->listener.fd)
            accept_qmp_client(s);
}

void qmp_server_event(struct qmp_server *s, const char *name, bool guest, const char *reason)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    for (int i = 0; i < QMP_CLIENTS_MAX; i++) {
        if (s->client[i].fd < 0 || !s->client[i].negotiated)
            continue;
        json_t *event = json_pack("{s:s,s:{s:I,s:I}}", "event", name, "timestamp", "seconds", (json_int_t)now.tv_sec,
                                  "microseconds", (json_int_t)now.tv_usec);
        if (reason)
            json_object_set_new(event, "data", json_pack("{s:b,s:s}", "guest", guest, "reason", reason));
        reply(&s->client[i], event);
    }
}

enum err qmp_server_new(const char *path, const struct qmp_machine *machine, struct qmp_server **ret_server)
{
    OWN(memory) struct qmp_server *s = calloc(1, sizeof *s);

    if (!s)
        return vmm_fail(ERR_NOMEM, "QMP: out of memory");
    s->machine = *machine;
    for (int i = 0; i < QMP_CLIENTS_MAX; i++)
        s->client[i].fd = -1;
    enum err e = socket_listen(path, &s->listener);
    if (e == ERR_OK)
        *ret_server = MOVE(s);
    return e;
}

void qmp_server_free(struct qmp_server *s)
{
    if (!s)
        return;
    for (int i = 0; i < QMP_CLIENTS_MAX; i++)
        if (s->client[i].fd >= 0)
            drop(&s->client[i]);
    socket_close(&s->listener);
    free(s);
}
