/* See output.h. */
#include "introspect/base/output.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40, READ_WRITE = 0666 };

struct output {
    char *target;    /* with symbolic links resolved */
    char *temporary; /* beside it; NULL: `contents` has no name and is copied to `copy_to` */
    FILE *contents;
    int copy_to; /* -1: the target is replaced */
};

/* What output_drop does; output_new calls it by another name, since the analyzer takes output_drop for the counterpart
 * of output_new, not of calloc. */
static void drop(struct output *output)
{
    int reason = errno;

    if (!output)
        return;
    if (output->contents)
        fclose(output->contents);
    if (output->temporary)
        unlink(output->temporary);
    if (output->copy_to >= 0)
        close(output->copy_to);
    free(output->temporary);
    free(output->target);
    free(output);
    errno = reason;
}

static void drop_unfinished(struct output **output)
{
    drop(*output);
}

void output_drop(struct output *output)
{
    drop(output);
}

/* ---- where it goes ---- */

/* Returns FOLDER/NAME, the folder of `path` without symbolic links; owned by the caller. NULL: errno says why. */
static char *resolve_folder(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    OWN(memory) char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    OWN(memory) char *real = folder ? realpath(folder, NULL) : NULL;
    char *whole = NULL;

    if (!real)
        return NULL;
    if (!*name) { /* "folder/", or nothing at all */
        errno = slash ? EISDIR : ENOENT;
        return NULL;
    }
    if (asprintf(&whole, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < 0)
        return NULL;
    return whole;
}

/* A name of an open file: the file was given to us as it is, and need not have another name. */
static bool is_open_file(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0;
}

/* Resolves symbolic links, also one to a file that is not there yet. Owned by the caller; NULL: errno says why. */
static char *resolve(const char *path)
{
    OWN(memory) char *at = resolve_folder(path);

    for (int links = 0; at && !is_open_file(at); links++) {
        char to[PATH_MAX];
        ssize_t n = readlink(at, to, sizeof to - 1);

        if (n < 0)
            return MOVE(at);
        if (links == LINKS_MAX) {
            errno = ELOOP;
            return NULL;
        }
        to[n] = '\0';
        OWN(memory) char *link = MOVE(at);
        OWN(memory) char *next = NULL;
        if (asprintf(&next, "%.*s%s", to[0] == '/' ? 0 : (int)(strrchr(link, '/') - link + 1), link, to) < 0)
            return NULL;
        at = resolve_folder(next);
    }
    return MOVE(at);
}

/* ---- the temporary file ---- */

/* A file beside the target, with the mode that it has or is to have. Returns a descriptor; -1: errno says why. */
static int open_beside(struct output *o, const struct stat *old)
{
    mode_t mask = umask(0);
    int length = (int)(strrchr(o->target, '/') - o->target);
    OWN(memory) char *path = NULL;

    umask(mask);
    if (asprintf(&path, "%.*s/.delias-XXXXXX", length, o->target) < 0)
        return -1;
    OWN(descriptor) int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (old && (old->st_uid != geteuid() || old->st_gid != getegid()))
        (void)!fchown(fd, old->st_uid, old->st_gid); /* where we may */
    if (fchmod(fd, old ? old->st_mode & 07777 : READ_WRITE & ~mask) != 0) {
        unlink(path);
        return -1;
    }
    o->temporary = MOVE(path);
    return MOVE_DESCRIPTOR(fd);
}

/* A file without a name, to be copied. */
static int open_apart(struct output *o)
{
    o->copy_to = open(o->target, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    return o->copy_to < 0 ? -1 : memfd_create("output", MFD_CLOEXEC);
}

static int open_contents(struct output *o)
{
    struct stat st;
    bool there = stat(o->target, &st) == 0;

    if (!there && errno != ENOENT)
        return -1;
    if (there && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (there && (!S_ISREG(st.st_mode) || is_open_file(o->target)))
        return open_apart(o);
    if (there && faccessat(AT_FDCWD, o->target, W_OK, AT_EACCESS) != 0)
        return -1;
    int fd = open_beside(o, there ? &st : NULL);
    return fd < 0 && there ? open_apart(o) : fd;
}

struct output *output_new(const char *path)
{
    CLOSED_BY(drop_unfinished) struct output *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->copy_to = -1;
    o->target = resolve(path);
    if (!o->target)
        return NULL;
    OWN(descriptor) int fd = open_contents(o);
    o->contents = fd < 0 ? NULL : fdopen(fd, "w+");
    if (!o->contents)
        return NULL;
    (void)MOVE_DESCRIPTOR(fd);
    return MOVE(o);
}

int output_descriptor(const struct output *output)
{
    return fileno(output->contents);
}

FILE *output_stream(const struct output *output)
{
    return output->contents;
}

/* ---- putting it in place ---- */

static bool copy_contents(struct output *o)
{
    char bytes[1 << 16];
    off_t at = 0;
    ssize_t n;
    struct stat st;

    if (fstat(o->copy_to, &st) != 0 || (S_ISREG(st.st_mode) && ftruncate(o->copy_to, 0) != 0))
        return false;
    while ((n = pread(fileno(o->contents), bytes, sizeof bytes, at)) > 0) {
        if (!descriptor_write(o->copy_to, bytes, (size_t)n))
            return false;
        at += n;
    }
    int closed = n < 0 ? -1 : close(o->copy_to);
    if (n == 0)
        o->copy_to = -1;
    return closed == 0;
}

/* True once the temporary file has all of it. */
static bool finish_contents(struct output *o)
{
    if (ferror(o->contents)) {
        errno = errno ?: EIO;
        return false;
    }
    if (fflush(o->contents) != 0)
        return false;
    if (o->copy_to >= 0)
        return copy_contents(o);
    FILE *contents = MOVE(o->contents);
    return fclose(contents) == 0;
}

bool output_commit(struct output *o)
{
    if (!finish_contents(o))
        return false;
    if (!o->temporary)
        return true;
    if (rename(o->temporary, o->target) != 0)
        return false;
    free(MOVE(o->temporary));
    return true;
}
