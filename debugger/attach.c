/* Attaching to a machine's stub, and leaving it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "debugger/internal.h"
#include "introspect/base/rsp.h"
#include "vmm/machine/error.h"
#include "vmm/machine/gdb.h"

enum { PATIENCE_MS = 20000, SETTLE_LOOKS = 5, SETTLE_US = 10000 };

/* Sends a packet and waits for its answer, which is in stub.reader. Reports of stops are no answer: they were on their
 * way. */
static bool ask(struct proxy *p, const char *body)
{
    peer_say(&p->stub, body);
    while (peer_wait(&p->stub, PATIENCE_MS))
        if (p->stub.reader.body[0] != 'T' && p->stub.reader.body[0] != 'S')
            return true;
    return false;
}

static bool ask_ok(struct proxy *p, const char *body)
{
    return ask(p, body) && strcmp(p->stub.reader.body, "OK") == 0;
}

/* Cells have no operating system that GDB knows: it would ask for none of their libraries. */
static void set_osabi(struct proxy *p)
{
    static const char osabi[] = "<osabi>none</osabi>", after[] = "</architecture>";
    char *at = strstr(p->target, after);

    if (!at || strstr(p->target, "<osabi>") || p->target_bytes + sizeof osabi > sizeof p->target)
        return;
    at += strlen(after);
    memmove(at + strlen(osabi), at, strlen(at) + 1);
    memcpy(at, osabi, strlen(osabi));
    p->target_bytes += strlen(osabi);
}

static enum err read_target(struct proxy *p)
{
    struct rsp_reader *r = &p->stub.reader;
    char packet[80];

    for (p->target_bytes = 0;;) {
        snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,800", p->target_bytes);
        if (!ask(p, packet))
            return ERR_TIMEOUT;
        if (r->body[0] != 'l' && r->body[0] != 'm')
            break;
        bool last = r->body[0] == 'l';
        size_t bytes = rsp_unescape(r->body + 1, r->bytes - 1);
        if (bytes >= sizeof p->target - p->target_bytes)
            return ERR_PROTOCOL;
        memcpy(p->target + p->target_bytes, r->body + 1, bytes);
        p->target_bytes += bytes;
        p->target[p->target_bytes] = '\0';
        if (last || !bytes)
            break;
    }
    set_osabi(p);
    return ERR_OK;
}

void proxy_watch(struct proxy *p)
{
    char packet[64];

    snprintf(packet, sizeof packet, "Z2,%llx,4", (unsigned long long)proxy_watched());
    p->watches = ask_ok(p, packet);
}

void proxy_take_back(struct proxy *p)
{
    char packet[POINT_BYTES + 1];

    while (p->points.count && !p->stub.gone) {
        snprintf(packet, sizeof packet, "z%s", p->points.point[--p->points.count]);
        (void)ask(p, packet);
    }
    snprintf(packet, sizeof packet, "z2,%llx,4", (unsigned long long)proxy_watched());
    if (p->watches)
        (void)ask(p, packet);
    p->watches = false;
}

enum err proxy_attach(struct proxy *p)
{
    struct machine *machine = p->debugger->machine;
    const struct machine_info *info = machine_info(machine);
    enum err e = machine_refresh(machine);

    if (e == ERR_OK)
        e = machine_check_debugger(machine);
    if (e != ERR_OK)
        return e;
    p->ran = strcmp(info->state, "running") == 0;
    p->stub.fd = gdb_connect(info->gdb);
    if (p->stub.fd < 0)
        return machine_fail(ERR_IO, "%s: %s", info->gdb, strerror(errno));
    e = read_target(p);
    if (e != ERR_OK)
        return machine_fail(e, "%s: %s", info->gdb, "no answer; a debugger may be attached: detach it");
    proxy_watch(p);
    proxy_look(p);
    p->untold = false;
    return ERR_OK;
}

static void stand_still(struct proxy *p)
{
    if (!p->running)
        return;
    peer_interrupt(&p->stub);
    while (p->running && peer_wait(&p->stub, PATIENCE_MS))
        p->running = p->stub.reader.body[0] != 'T' && p->stub.reader.body[0] != 'S';
}

/* Two CPUs may have met a point at the same moment: under QEMU the second one then stops the machine when it has been
 * told to go on, and nobody is there any more to whom that is said. By QMP, for what the stub understands of a "detach"
 * depends on what earlier clients have agreed with it. */
static void keep_running(struct machine *machine)
{
    for (int i = 0; i < SETTLE_LOOKS && machine_refresh(machine) == ERR_OK; i++) {
        if (strcmp(machine_info(machine)->state, "running") != 0 && machine_resume(machine) != ERR_OK)
            return;
        usleep(SETTLE_US);
    }
}

void proxy_detach(struct proxy *p)
{
    stand_still(p);
    proxy_take_back(p);
    close(p->stub.fd);
    if (p->ran)
        keep_running(p->debugger->machine);
}
