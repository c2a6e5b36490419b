/* See serial_log.h. */
#include "vmm/serial_log.h"
#include "introspect/base/own.h"
#include "vmm/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err serial_log_open(struct serial_log *log, const char *path, uint64_t most)
{
    struct stat st;

    *log = (struct serial_log){.fd = -1, .path = path, .most = most};
    if (!path)
        return ERR_OK;
    /* To be read too, for dropping its older half; a FIFO opens so without a reader. */
    log->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
    if (log->fd < 0 && errno == EACCES)
        log->fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
    if (log->fd < 0 || fstat(log->fd, &st) != 0)
        return vmm_fail(ERR_IO, "--serial-log %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || (fcntl(log->fd, F_GETFL) & O_ACCMODE) != O_RDWR)
        log->most = 0;
    return ERR_OK;
}

void serial_log_close(struct serial_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static void say_lost(struct serial_log *log)
{
    if (!log->said)
        vmm_say("serial log %s: %s; what the guest prints is lost there", log->path, strerror(errno));
    log->said = true;
}

static bool write_whole(struct serial_log *log, const void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t n = write(log->fd, (const char *)bytes + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    log->used += count;
    return true;
}

/* Keeps the whole lines of the newer half. */
static bool drop_older(struct serial_log *log)
{
    static const char mark[] = "[what was printed before is no longer here]\n";
    size_t half = (size_t)(log->most / 2), room = half - (sizeof mark - 1);
    OWN(memory) char *newer = malloc(room);
    ssize_t n = newer ? pread(log->fd, newer, room, (off_t)(log->used - room)) : -1;

    if (n < 0 || ftruncate(log->fd, 0) != 0 || lseek(log->fd, 0, SEEK_SET) != 0)
        return false;
    const char *line = memchr(newer, '\n', (size_t)n);
    const char *begin = line ? line + 1 : newer;
    log->used = 0;
    return write_whole(log, mark, sizeof mark - 1) && write_whole(log, begin, (size_t)(newer + n - begin));
}

void serial_log_write(struct serial_log *log, const uint8_t *bytes, size_t count)
{
    if (log->fd < 0)
        return;
    bool done = !log->most || log->used + count <= log->most || drop_older(log);
    if (!done || !write_whole(log, bytes, count))
        say_lost(log);
}
