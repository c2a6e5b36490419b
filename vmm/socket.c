/* See socket.h. */
#include "vmm/socket.h"
#include "vmm/log.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "introspect/base/own.h"

/* A full queue of connections is a listener, too. */
static bool somebody_listens(const struct sockaddr_un *address)
{
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 && (connect(fd, (const void *)address, sizeof *address) == 0 || errno == EAGAIN);
}

enum err socket_listen(const char *path, struct listener *ret_listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    *ret_listener = (struct listener){.fd = -1};
    if (!path)
        return ERR_OK;
    if (strlen(path) >= sizeof address.sun_path)
        return vmm_fail(ERR_INVALID, "socket %s: the path is too long", path);
    strcpy(address.sun_path, path);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        if (somebody_listens(&address))
            return vmm_fail(ERR_EXISTS, "socket %s: another program serves it; end that one, or name another", path);
        unlink(path);
    }
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (void *)&address, sizeof address) != 0 || listen(fd, 8) != 0)
        return vmm_fail(ERR_IO, "socket %s: %s", path, strerror(errno));
    if (lstat(path, &st) == 0) {
        ret_listener->device = st.st_dev;
        ret_listener->inode = st.st_ino;
        strcpy(ret_listener->path, path);
    }
    ret_listener->fd = MOVE_DESCRIPTOR(fd);
    return ERR_OK;
}

void socket_close(struct listener *listener)
{
    struct stat st;

    if (listener->fd < 0)
        return;
    close(listener->fd);
    listener->fd = -1;
    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->device && st.st_ino == listener->inode)
        unlink(listener->path);
}

int socket_accept(const struct listener *listener)
{
    return accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
