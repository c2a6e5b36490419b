/* See own.h. */
#include "introspect/base/own.h"
#include <errno.h>

void descriptor_own_end(int *own)
{
    int reason = errno;

    if (*own >= 0)
        close(*own);
    errno = reason;
}

bool descriptor_write(int fd, const char *bytes, size_t count)
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
