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

struct point {
    enum stop_kind kind;
    uint64_t gva;
    unsigned bytes;
};

struct stop {
    const char *path; /* of the stub; the machine's */
    int fd;
    bool runs;
    bool knows_registers; /* the stub tells single registers */
    size_t points;
    struct point point[1 + STOP_POINTS_MAX]; /* the first is that of stop_open */
    char report[GDB_REPLY_MAX];              /* of the last stop */
};

/* A reply to "continue". False: the machine has ended. */
static bool take_stop_report(struct stop *s)
{
    s->runs = false;
    s->report[0] = '\0';
    return gdb_receive(s->fd, s->report) && (s->report[0] == 'T' || s->report[0] == 'S');
}

static void stand_still(struct stop *s)
{
    const char byte = INTERRUPT;

    if (s->runs && send(s->fd, &byte, 1, MSG_NOSIGNAL) == 1)
        (void)take_stop_report(s);
}

/* "Z" sets a point, "z" takes it back. */
static enum err send_point(struct stop *s, char verb, const struct point *p)
{
    char packet[80];

    snprintf(packet, sizeof packet, "%c%d,%llx,%x", verb, (int)p->kind, (unsigned long long)p->gva, p->bytes);
    return gdb_exchange(s->fd, s->path, packet);
}

static enum err add_point(struct stop *s, const struct point *p)
{
    if (s->points == sizeof s->point / sizeof *s->point)
        return machine_fail(ERR_RANGE, "%s: too many points to stop at", s->path);
    enum err e = send_point(s, 'Z', p);
    if (e == ERR_OK)
        s->point[s->points++] = *p;
    return e;
}

/* Takes back the points from number `first` on. */
static enum err drop_points(struct stop *s, size_t first)
{
    enum err e = ERR_OK;

    while (s->points > first && e == ERR_OK)
        e = send_point(s, 'z', &s->point[--s->points]);
    return e;
}

void stop_close(struct stop *s)
{
    if (!s)
        return;
    stand_still(s);
    (void)!drop_points(s, 0);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

enum err stop_attach(struct machine *machine, struct stop **ret_stop)
{
    const struct machine_info *info = machine_info(machine);
    OWN(stop) struct stop *s = calloc(1, sizeof *s);

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
    *ret_stop = MOVE(s);
    return ERR_OK;
}

enum err stop_open(struct machine *machine, enum stop_kind kind, uint64_t gva, unsigned bytes, struct stop **ret_stop)
{
    OWN(stop) struct stop *s = NULL;
    enum err e = stop_attach(machine, &s);

    if (e == ERR_OK)
        e = add_point(s, &(struct point){kind, gva, bytes});
    if (e == ERR_OK)
        *ret_stop = MOVE(s);
    return e;
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

enum err stop_add(struct stop *s, enum stop_kind kind, uint64_t gva, unsigned bytes)
{
    return add_point(s, &(struct point){kind, gva, bytes});
}

enum err stop_drop(struct stop *s)
{
    return drop_points(s, 1);
}

/* The stub tells and takes single registers once it was asked what it calls them. */
static enum err ask_for_registers(struct stop *s)
{
    char reply[GDB_REPLY_MAX];

    if (s->knows_registers)
        return ERR_OK;
    if (!gdb_send(s->fd, "qXfer:features:read:target.xml:0,20") || !gdb_receive(s->fd, reply))
        return machine_fail(ERR_TIMEOUT, "%s: no answer", s->path);
    s->knows_registers = true;
    return ERR_OK;
}

/* The lowest byte comes first. */
static uint64_t swap_bytes(unsigned number, uint64_t value)
{
    return number == STOP_RFLAGS ? __builtin_bswap32((uint32_t)value) : __builtin_bswap64(value);
}

static int digits_of(unsigned number)
{
    return number == STOP_RFLAGS ? 8 : 16;
}

enum err stop_get(struct stop *s, unsigned number, uint64_t *ret_value)
{
    char packet[16], reply[GDB_REPLY_MAX];
    enum err e = ask_for_registers(s);

    if (e != ERR_OK)
        return e;
    snprintf(packet, sizeof packet, "p%x", number);
    if (!gdb_send(s->fd, packet) || !gdb_receive(s->fd, reply) ||
        strspn(reply, "0123456789abcdef") != (size_t)digits_of(number))
        return machine_fail(ERR_TIMEOUT, "%s: register %u was not answered", s->path, number);
    *ret_value = swap_bytes(number, strtoull(reply, NULL, 16));
    return ERR_OK;
}

enum err stop_set(struct stop *s, unsigned number, uint64_t value)
{
    char packet[40];
    enum err e = ask_for_registers(s);

    snprintf(packet, sizeof packet, "P%x=%0*llx", number, digits_of(number),
             (unsigned long long)swap_bytes(number, value));
    return e == ERR_OK ? gdb_exchange(s->fd, s->path, packet) : e;
}

/* The report has "watch:ADDRESS;" of what was written and "rwatch:ADDRESS;" of what was read. */
enum err stop_why(struct stop *s, struct stop_reason *ret_reason)
{
    static const struct {
        const char *word;
        enum stop_kind kind;
    } words[] = {{";watch:", STOP_WRITE}, {";rwatch:", STOP_READ}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = strstr(s->report, words[i].word);
        if (!found)
            continue;
        *ret_reason = (struct stop_reason){words[i].kind, strtoull(found + strlen(words[i].word), NULL, 16)};
        return ERR_OK;
    }
    ret_reason->kind = STOP_BEFORE;
    return stop_get(s, STOP_RIP, &ret_reason->gva);
}

enum err stop_step(struct stop *s)
{
    if (gdb_send(s->fd, "s") && take_stop_report(s))
        return ERR_OK;
    return machine_fail(ERR_NOT_RUNNING, "%s: the machine has ended", s->path);
}
