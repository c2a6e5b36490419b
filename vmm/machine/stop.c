/* See stop.h. */
#include "vmm/machine/stop.h"
#include "vmm/machine/error.h"
#include "vmm/machine/gdb.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INTERRUPT = 3 }; /* the byte that stops what runs */

struct stop {
    const char *path; /* of the stub; the machine's */
    int fd;
    bool runs;
    char watch[64]; /* what follows "Z" and "z" in packets */
};

/* A reply to "continue". False: the machine has ended. */
static bool take_stop_report(struct stop *s)
{
    char reply[GDB_REPLY_MAX];

    s->runs = false;
    return gdb_receive(s->fd, reply) && (reply[0] == 'T' || reply[0] == 'S');
}

static void stand_still(struct stop *s)
{
    const char byte = INTERRUPT;

    if (s->runs && send(s->fd, &byte, 1, MSG_NOSIGNAL) == 1)
        (void)take_stop_report(s);
}

void stop_close(struct stop *s)
{
    char packet[80];

    if (!s)
        return;
    stand_still(s);
    snprintf(packet, sizeof packet, "z%s", s->watch);
    if (s->fd >= 0 && *s->watch)
        (void)!gdb_exchange(s->fd, s->path, packet);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

enum err stop_open(struct machine *machine, uint64_t gva, unsigned bytes, struct stop **ret_stop)
{
    const struct machine_info *info = machine_info(machine);
    OWN(stop) struct stop *s = calloc(1, sizeof *s);
    char packet[80];

    if (!s)
        return machine_fail(ERR_NOMEM, "out of memory");
    s->fd = -1;
    s->path = info->gdb;
    if (!info->gdb[0])
        return machine_fail(ERR_UNSUPPORTED, "machine '%s' has no debugger's stub to stop it", info->name);
    enum err e = machine_check_debugger(machine);
    if (e != ERR_OK)
        return e;
    s->fd = gdb_connect(info->gdb);
    if (s->fd < 0)
        return machine_fail(ERR_IO, "%s: %s", info->gdb, strerror(errno));
    snprintf(packet, sizeof packet, "Z2,%llx,%x", (unsigned long long)gva, bytes);
    e = gdb_exchange(s->fd, s->path, packet);
    if (e != ERR_OK)
        return e;
    snprintf(s->watch, sizeof s->watch, "%.60s", packet + 1);
    *ret_stop = MOVE(s);
    return ERR_OK;
}

enum err stop_run(struct stop *s, int ms)
{
    struct pollfd poll_fd = {.fd = s->fd, .events = POLLIN};

    if (!s->runs && !gdb_send(s->fd, "c"))
        return machine_fail(ERR_NOT_RUNNING, "%s: the machine has ended", s->path);
    s->runs = true;
    for (char c; poll(&poll_fd, 1, ms) > 0;) {
        /* Acknowledgements come at once, the report when it stands still. */
        if (recv(s->fd, &c, 1, MSG_PEEK) != 1)
            break;
        if (c == '$')
            return take_stop_report(s) ? ERR_OK : machine_fail(ERR_NOT_RUNNING, "%s: the machine has ended", s->path);
        (void)!recv(s->fd, &c, 1, 0);
    }
    if (poll_fd.revents == 0)
        return ERR_TIMEOUT;
    s->runs = false;
    return machine_fail(ERR_NOT_RUNNING, "%s: the machine has ended", s->path);
}
