/* The serial line at a terminal: copies both ways. */
#include "vmm/machine/error.h"
#include "vmm/machine/machine.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 0x1d }; /* Ctrl-] */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) < sizeof address.sun_path)
        strcpy(address.sun_path, path);
    if (fd >= 0 && connect(fd, (void *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

/* Copies what is ready; false at the end. `escape` ends it too; what came before that is still copied. */
static bool copy(int from, int to, int escape)
{
    char bytes[4096];
    ssize_t n = read(from, bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0)
        return false;
    char *end = escape ? memchr(bytes, escape, (size_t)n) : NULL;
    return write_all(to, bytes, end ? (size_t)(end - bytes) : (size_t)n) && !end;
}

static void pump(int serial, int in_fd, int out_fd)
{
    struct pollfd p[2] = {{.fd = serial, .events = POLLIN}, {.fd = in_fd, .events = POLLIN}};

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (p[0].revents && !copy(serial, out_fd, 0))
            return;
        if (p[1].revents && !copy(in_fd, serial, ESCAPE))
            return;
    }
}

enum err machine_console(struct machine *machine, int in_fd, int out_fd)
{
    const struct machine_info *info = machine_info(machine);
    struct termios before, raw;
    int serial = connect_to(info->console);
    bool terminal = in_fd >= 0 && tcgetattr(in_fd, &before) == 0;

    if (serial < 0)
        return machine_fail(ERR_IO, "console of %s: %s", info->name, strerror(errno));
    if (terminal) {
        raw = before;
        cfmakeraw(&raw);
        raw.c_oflag |= OPOST;
        tcsetattr(in_fd, TCSANOW, &raw);
    }
    pump(serial, in_fd, out_fd);
    if (terminal)
        tcsetattr(in_fd, TCSANOW, &before);
    close(serial);
    return ERR_OK;
}
