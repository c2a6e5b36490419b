/* See socket.h. */
#include "vmm/socket.h"
#include "vmm/log.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "introspect/base/own.h"

enum err socket_listen(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    if (strlen(path) >= sizeof address.sun_path)
        return vmm_fail(ERR_INVALID, "socket %s: the path is too long", path);
    strcpy(address.sun_path, path);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (void *)&address, sizeof address) != 0 || listen(fd, 8) != 0)
        return vmm_fail(ERR_IO, "socket %s: %s", path, strerror(errno));
    *ret_fd = MOVE_DESCRIPTOR(fd);
    return ERR_OK;
}

int socket_accept(int listen_fd)
{
    return accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
