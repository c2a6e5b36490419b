/* See debugger.h. This file: what happens while the machine runs, and the loop. */
#include "debugger/debugger.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "debugger/internal.h"
#include "vmm/machine/error.h"

enum { LOOK_MS = 100, ACKNOWLEDGED_MS = 1000, PATIENCE_S = 20 };

void debugger_free(struct debugger *d)
{
    if (!d)
        return;
    libraries_free(d->libraries);
    builds_free(d->builds);
    machine_ram_unmap(d->ram, d->ram_bytes);
    free(d);
}

enum err debugger_new(struct machine *machine, const char *const *build, size_t builds, const char *folder,
                      struct debugger **ret_debugger)
{
    OWN(debugger) struct debugger *d = calloc(1, sizeof *d);
    void *ram;

    if (!d)
        return ERR_NOMEM;
    if (!machine_info(machine)->gdb[0])
        return machine_fail(ERR_UNSUPPORTED, "%s: %s", machine_info(machine)->name, "the machine has no GDB stub");
    d->machine = machine;
    enum err e = machine_ram_map(machine, false, &ram, &d->ram_bytes);
    if (e != ERR_OK)
        return e;
    d->ram = ram;
    d->builds = builds_read(build, builds);
    d->libraries = d->builds ? libraries_new(d->builds, folder) : NULL;
    if (!d->libraries)
        return machine_fail(ERR_NOMEM, "%s: %s", folder, "out of memory");
    *ret_debugger = MOVE(d);
    return ERR_OK;
}

/* ---- the machine has stopped ---- */

/* Whether a report is of our own watchpoint. */
static bool is_watched(const char *report)
{
    const char *at = strstr(report, ";watch:");
    uint64_t address;

    if (!at)
        return false;
    at += strlen(";watch:");
    return rsp_number(&at, &address) && address == proxy_watched();
}

/* Tells the client that libraries have changed, in place of a report: it asks for the list, and continues. */
static void report_libraries(struct proxy *p, const char *report)
{
    const char *thread = strstr(report, "thread:");
    char answer[128];

    if (thread)
        snprintf(answer, sizeof answer, "T05%.*s;library:;", (int)strcspn(thread, ";") & 63, thread);
    else
        snprintf(answer, sizeof answer, "T05library:;");
    peer_say(&p->client, answer);
}

/* A client that steps is always told: it may have stepped, and goes on with what it does. */
static void take_stop(struct proxy *p)
{
    const char *report = p->stub.reader.body;
    bool watched = p->watches && is_watched(report);
    bool ours = watched || (p->interrupted && !p->asked && strncmp(report + 1, "02", 2) == 0);

    p->running = false;
    if (!ours) {
        peer_send(&p->client, report, p->stub.reader.bytes);
        return;
    }
    proxy_look(p);
    if (p->asked) {
        peer_send(&p->client, "T02", 3);
    } else if (p->untold || p->steps) {
        p->untold = false;
        report_libraries(p, report);
    } else {
        p->running = true;
        p->interrupted = false;
        peer_say(&p->stub, p->resume);
    }
}

static void take_from_stub(struct proxy *p)
{
    const char *body = p->stub.reader.body;

    if (p->running && (body[0] == 'T' || body[0] == 'S')) {
        take_stop(p);
    } else if (body[0] == 'W' || body[0] == 'X') {
        peer_send(&p->client, body, p->stub.reader.bytes);
        p->ended = true;
    } else if (p->running && body[0] == 'O') {
        peer_send(&p->client, body, p->stub.reader.bytes);
    } else if (p->running) {
        p->running = false; /* an error, or unknown to it: it does not run */
        peer_send(&p->client, body, p->stub.reader.bytes);
    }
}

/* While it runs a client may only interrupt. */
static void take_from_client(struct proxy *p, enum rsp_item item)
{
    if (item == RSP_INTERRUPT && p->running) {
        p->asked = true;
        peer_interrupt(&p->stub);
    } else if (item == RSP_PACKET && !p->running) {
        proxy_answer(p);
    }
}

/* A client acknowledges what was sent last, and would fail at a closed socket. */
static void wait_for_acknowledgement(struct proxy *p)
{
    struct pollfd fd = {.fd = p->client.fd, .events = POLLIN};

    if (!p->client.gone && poll(&fd, 1, ACKNOWLEDGED_MS) > 0)
        peer_receive(&p->client);
}

/* ---- the loop ---- */

static void look_at_running(struct proxy *p)
{
    if (!p->running || p->interrupted)
        return;
    if (proxy_is_stale(p))
        proxy_look(p);
    if (p->untold) {
        p->interrupted = true;
        peer_interrupt(&p->stub);
    }
}

static void wait_for_input(struct proxy *p)
{
    struct pollfd fds[] = {{.fd = p->client.fd, .events = POLLIN}, {.fd = p->stub.fd, .events = POLLIN}};

    if (peer_has_input(&p->client) || peer_has_input(&p->stub))
        return;
    if (poll(fds, 2, LOOK_MS) <= 0)
        return;
    if (fds[0].revents)
        peer_receive(&p->client);
    if (fds[1].revents)
        peer_receive(&p->stub);
}

static void serve(struct proxy *p)
{
    while (!p->ended && !p->client.gone && !*p->stop) {
        wait_for_input(p);
        if (peer_next(&p->stub) == RSP_PACKET)
            take_from_stub(p);
        enum rsp_item item = p->ended ? RSP_NOTHING : peer_next(&p->client);
        if (item != RSP_NOTHING)
            take_from_client(p, item);
        look_at_running(p);
        if (p->stub.gone && !p->ended) {
            peer_say(&p->client, "W00");
            p->ended = true;
        }
    }
}

enum err debugger_serve(struct debugger *d, int client, const volatile sig_atomic_t *stop)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    OWN(memory) struct proxy *p = calloc(1, sizeof *p);

    if (!p)
        return machine_fail(ERR_NOMEM, "%s: %s", machine_info(d->machine)->name, "out of memory");
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    p->debugger = d;
    p->stop = stop;
    p->client.fd = client;
    p->stub.fd = -1;
    enum err e = proxy_attach(p);
    if (e == ERR_OK)
        serve(p);
    if (p->stub.fd >= 0)
        proxy_detach(p);
    if (p->detached)
        peer_say(&p->client, "OK");
    if (p->ended)
        wait_for_acknowledgement(p);
    return e;
}
