/* See gdb.h. */
#include "vmm/machine/gdb.h"
#include "introspect/base/own.h"
#include "introspect/base/rsp.h"
#include "vmm/machine/error.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 1024, PACKET_MAX = 2 * CHUNK + 64 };

int gdb_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof address.sun_path)
        return MOVE_DESCRIPTOR(fd);
    strcpy(address.sun_path, path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (void *)&address, sizeof address) == 0)
        return MOVE_DESCRIPTOR(fd);
    return -1;
}

bool gdb_receive(int fd, char reply[GDB_REPLY_MAX])
{
    struct rsp_reader reader = {0};
    uint8_t byte;

    /* Acknowledgements come before it. Of a longer one, the beginning is enough. */
    for (int received = 0; received < 2 * RSP_BODY_MAX && recv(fd, &byte, 1, 0) == 1; received++) {
        if (rsp_take(&reader, byte) != RSP_PACKET)
            continue;
        snprintf(reply, GDB_REPLY_MAX, "%.*s", GDB_REPLY_MAX - 1, reader.body);
        return send(fd, "+", 1, MSG_NOSIGNAL) == 1;
    }
    return false;
}

bool gdb_send(int fd, const char *body)
{
    char packet[PACKET_MAX + RSP_FRAME];
    size_t n = rsp_frame(body, strlen(body), packet, sizeof packet);

    return n && send(fd, packet, n, MSG_NOSIGNAL) == (ssize_t)n;
}

enum err gdb_exchange(int fd, const char *path, const char *body)
{
    char reply[GDB_REPLY_MAX];

    if (!gdb_send(fd, body) || !gdb_receive(fd, reply))
        return machine_fail(ERR_TIMEOUT, "%s: no answer; a debugger may be attached: detach it", path);
    /* A stop report may come first: it was on its way when the connection was made. */
    if ((reply[0] == 'T' || reply[0] == 'S') && !gdb_receive(fd, reply))
        return machine_fail(ERR_TIMEOUT, "%s: no answer", path);
    return strcmp(reply, "OK") == 0 ? ERR_OK : machine_fail(ERR_REFUSED, "%s: refused: %s", path, reply);
}

static enum err write_chunks(int fd, const char *path, uint64_t gpa, const unsigned char *bytes, size_t count)
{
    char body[PACKET_MAX];

    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < CHUNK ? count - done : CHUNK;
        int used = snprintf(body, sizeof body, "M%llx,%zx:", (unsigned long long)gpa + done, n);
        rsp_put_hex(body + used, bytes + done, n);
        enum err e = gdb_exchange(fd, path, body);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err gdb_write_physical(const char *path, uint64_t gpa, const void *bytes, size_t count)
{
    OWN(descriptor) int fd = gdb_connect(path);

    if (fd < 0)
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    enum err e = gdb_exchange(fd, path, "Qqemu.PhyMemMode:1");
    if (e == ERR_OK) {
        e = write_chunks(fd, path, gpa, bytes, count);
        /* The mode outlives the connection. */
        enum err back = gdb_exchange(fd, path, "Qqemu.PhyMemMode:0");
        if (e == ERR_OK)
            e = back;
    }
    return e;
}
