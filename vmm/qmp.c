/* See qmp.h. */
#include "introspect/base/json.h"
#include "vmm/qmp.h"
#include "vmm/log.h"
#include "vmm/qmp_command.h"
#include "vmm/socket.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { DEPTH_MAX = 1024 };

struct client {
    int fd; /* -1: free */
    bool negotiated;
    /* A message ends where its braces close: clients need not send newlines. */
    size_t used, scanned;
    unsigned depth;
    bool in_string, escaped;
    bool recovering; /* from garbage */
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

static void handle_message(struct qmp_server *s, struct client *c, const char *text, size_t bytes)
{
    OWN(json) json_t *request = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(request, "id");
    json_t *answer = qmp_answer(request, &s->machine, &c->negotiated);

    if (id)
        json_object_set(answer, "id", id);
    reply(c, answer);
}

/* ---- input ---- */

enum scanned { SCANNED_PART, SCANNED_MESSAGE, SCANNED_GARBAGE };

static bool is_control(unsigned char byte)
{
    return byte < ' ' || byte >= 0xfe;
}

/* Advances over one byte. Garbage is what QEMU's lexer gives up at: outside of braces anything but a blank, and a
 * control character or 0xff within. Then all up to the next such character is skipped: a client that sends a newline,
 * or 0xff, starts again, whatever it has sent before. */
static enum scanned scan_byte(struct client *c, char byte)
{
    bool blank = strchr(" \t\r\n", byte) && byte != '\0';

    if (c->recovering && !is_control((unsigned char)byte))
        return SCANNED_PART;
    c->recovering = false;
    if (is_control((unsigned char)byte) && (!blank || c->in_string))
        return SCANNED_GARBAGE;
    if (c->in_string) {
        if (!c->escaped && byte == '"')
            c->in_string = false;
        c->escaped = !c->escaped && byte == '\\';
        return SCANNED_PART;
    }
    if (byte == '{' || byte == '[')
        c->depth++;
    else if (c->depth == 0)
        return blank ? SCANNED_PART : SCANNED_GARBAGE;
    else if (byte == '"')
        c->in_string = true;
    else if (byte == '}' || byte == ']')
        return --c->depth == 0 ? SCANNED_MESSAGE : SCANNED_PART;
    return c->depth > DEPTH_MAX ? SCANNED_GARBAGE : SCANNED_PART;
}

static void start_over(struct client *c, bool skips)
{
    c->depth = 0;
    c->in_string = c->escaped = false;
    c->recovering = skips;
}

static void scan_messages(struct qmp_server *s, struct client *c)
{
    size_t begin = 0;

    while (c->fd >= 0 && c->scanned < c->used) {
        char byte = c->in[c->scanned++];
        enum scanned scanned = scan_byte(c, byte);

        if (scanned == SCANNED_GARBAGE) {
            start_over(c, !is_control((unsigned char)byte));
            reply(c, qmp_error("GenericError", "JSON parse error, invalid input"));
        } else if (scanned == SCANNED_MESSAGE) {
            handle_message(s, c, c->in + begin, c->scanned - begin);
        }
        if (scanned != SCANNED_PART || c->depth == 0)
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
        reply(c, json_pack("{s:{s:o,s:[]}}", "QMP", "version", qmp_version(), "capabilities"));
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
