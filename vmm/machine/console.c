/* The serial line at a terminal: copies both ways. */
#include "introspect/base/own.h"
#include "introspect/base/terminal.h"
#include "vmm/machine/error.h"
#include "vmm/machine/inside.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ESCAPE = 0x1d }; /* Ctrl-] */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) < sizeof address.sun_path)
        strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address) != 0)
        return -1;
    return MOVE_DESCRIPTOR(fd);
}

static int open_domain_console(struct machine *machine)
{
    struct domain *domain;

    return machine_domain(machine, &domain) == ERR_OK ? domain_console(domain) : -1;
}

enum passed { PASSED, PASSED_END, PASSED_UNWRITTEN }; /* the last one: errno says why */

/* Copies what is ready. `escape` is an end too; what came before it is still copied. */
static enum passed pass_bytes(int from, int to, int escape)
{
    char bytes[4096];
    ssize_t n = read(from, bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return PASSED;
    if (n <= 0)
        return PASSED_END;
    char *end = escape ? memchr(bytes, escape, (size_t)n) : NULL;
    if (!descriptor_write(to, bytes, end ? (size_t)(end - bytes) : (size_t)n))
        return PASSED_UNWRITTEN;
    return end ? PASSED_END : PASSED;
}

/* Copies both ways until either side ends. False: output could not be written, as errno says. */
static bool pump(int serial, int in_fd, int out_fd)
{
    struct pollfd p[2] = {{.fd = serial, .events = POLLIN}, {.fd = in_fd, .events = POLLIN}};
    enum passed passed = PASSED;

    while (passed == PASSED) {
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return true;
        }
        if (p[0].revents)
            passed = pass_bytes(serial, out_fd, 0);
        if (passed == PASSED_UNWRITTEN)
            return false;
        if (passed == PASSED && p[1].revents)
            passed = pass_bytes(in_fd, serial, ESCAPE);
    }
    return true;
}

enum err machine_console(struct machine *machine, int in_fd, int out_fd)
{
    const struct machine_info *info = machine_info(machine);
    OWN(descriptor) int serial = info->connect[0] ? open_domain_console(machine) : connect_to(info->console);

    if (serial < 0 && info->connect[0])
        return ERR_IO;

    if (serial < 0)
        return machine_fail(ERR_IO, "console of %s: %s", info->name, strerror(errno));
    terminal_pass_bytes(in_fd);
    bool written = pump(serial, in_fd, out_fd);
    int reason = errno;
    terminal_give_back();
    return written ? ERR_OK : machine_fail(ERR_IO, "standard output: %s", strerror(reason));
}
