/* See container.h. */
#include "introspect/base/container.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct container_header) == 56 && sizeof(struct container_part) == 32);
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

uint64_t container_checksum(uint64_t before, const void *bytes, size_t count)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    const uint8_t *from = bytes;
    uint64_t sum = before, word;

    for (; count >= sizeof word; from += sizeof word, count -= sizeof word) {
        memcpy(&word, from, sizeof word);
        sum = (sum ^ word) * odd;
        sum ^= sum >> 32;
    }
    if (count) {
        word = 0;
        memcpy(&word, from, count);
        sum = (sum ^ word ^ (uint64_t)count << 56) * odd;
        sum ^= sum >> 32;
    }
    return sum;
}

__attribute__((format(printf, 3, 4))) static enum err refuse(enum err e, char *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, CONTAINER_WHY, format, args);
    va_end(args);
    return e;
}

/* ---- writing ---- */

struct container_writer {
    char *why;
    int fd;
    uint32_t kind;
    uint64_t used; /* bytes of the file so far */
    size_t parts;
    struct container_part part[CONTAINER_PARTS_MAX];
    char path[PATH_MAX], fresh[PATH_MAX + 8];
};

static enum err fail_writing(struct container_writer *w)
{
    return refuse(ERR_IO, w->why, "%s: %s", w->fresh, strerror(errno));
}

enum err container_new(const char *path, uint32_t kind, char *why, struct container_writer **ret_writer)
{
    OWN(container_writer) struct container_writer *w = calloc(1, sizeof *w);

    if (!w)
        return refuse(ERR_NOMEM, why, "%s: out of memory", path);
    w->fd = -1;
    w->why = why;
    w->kind = kind;
    if ((size_t)snprintf(w->path, sizeof w->path, "%s", path) >= sizeof w->path)
        return refuse(ERR_INVALID, why, "%.100s...: too long a path", path);
    snprintf(w->fresh, sizeof w->fresh, "%s.new", path);
    w->fd = open(w->fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    w->used = sizeof(struct container_header);
    if (w->fd < 0 || lseek(w->fd, (off_t)w->used, SEEK_SET) < 0)
        return fail_writing(w);
    *ret_writer = MOVE(w);
    return ERR_OK;
}

void container_drop(struct container_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        (void)!unlink(w->fresh);
    }
    free(w);
}

/* Up to a multiple of `align`; what is left out reads as zeros. */
static enum err align_to(struct container_writer *w, uint64_t align)
{
    w->used = (w->used + align - 1) / align * align;
    return lseek(w->fd, (off_t)w->used, SEEK_SET) < 0 ? fail_writing(w) : ERR_OK;
}

static enum err begin_part(struct container_writer *w, uint32_t kind, uint32_t instance, uint64_t align)
{
    if (w->parts == CONTAINER_PARTS_MAX)
        return refuse(ERR_RANGE, w->why, "%s: more than %d parts", w->path, CONTAINER_PARTS_MAX);
    enum err e = align_to(w, align);
    w->part[w->parts++] = (struct container_part){.kind = kind, .instance = instance, .offset = w->used};
    return e;
}

enum err container_begin(struct container_writer *w, uint32_t kind, uint32_t instance)
{
    return begin_part(w, kind, instance, CONTAINER_PAGE);
}

enum err container_append(struct container_writer *w, const void *bytes, size_t count)
{
    struct container_part *part = &w->part[w->parts - 1];

    part->checksum = container_checksum(part->checksum, bytes, count);
    part->bytes += count;
    w->used += count;
    return descriptor_write(w->fd, bytes, count) ? ERR_OK : fail_writing(w);
}

enum err container_add(struct container_writer *w, uint32_t kind, uint32_t instance, const void *bytes, size_t count)
{
    enum err e = begin_part(w, kind, instance, 8);

    return e == ERR_OK ? container_append(w, bytes, count) : e;
}

/* A renamed file is on the disk when its folder is. Some file systems cannot be asked: then it is when they see fit. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *end = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", end ? (int)(end - path) : 1, end ? path : ".");
    OWN(descriptor) int fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)!fsync(fd);
}

enum err container_commit(TAKES struct container_writer *taken)
{
    OWN(container_writer) struct container_writer *w = taken;
    size_t table_bytes = w->parts * sizeof *w->part;
    enum err e = align_to(w, 8);

    if (e != ERR_OK)
        return e;
    struct container_header header = {.magic = CONTAINER_MAGIC,
                                      .version = CONTAINER_VERSION,
                                      .kind = w->kind,
                                      .bytes = w->used + table_bytes,
                                      .table = w->used,
                                      .parts = w->parts,
                                      .table_checksum = container_checksum(0, w->part, table_bytes)};
    header.checksum = container_checksum(0, &header, offsetof(struct container_header, checksum));
    if (!descriptor_write(w->fd, (const char *)w->part, table_bytes) ||
        pwrite(w->fd, &header, sizeof header, 0) != sizeof header || fsync(w->fd) != 0 ||
        rename(w->fresh, w->path) != 0)
        return fail_writing(w);
    close(w->fd);
    w->fd = -1;
    sync_folder(w->path);
    return ERR_OK;
}

/* ---- reading ---- */

static enum err check_header(const struct container_header *h, size_t count, uint32_t kind, char *why)
{
    if (count < sizeof *h || h->magic != CONTAINER_MAGIC)
        return refuse(ERR_INVALID, why, "not a file of this kind");
    if (h->version != CONTAINER_VERSION)
        return refuse(ERR_INVALID, why, "its format has version %u, this program reads version %d", h->version,
                      CONTAINER_VERSION);
    if (h->checksum != container_checksum(0, h, offsetof(struct container_header, checksum)))
        return refuse(ERR_INVALID, why, "damaged: its header has another checksum than it says");
    if (h->kind != kind)
        return refuse(ERR_INVALID, why, "a file of another kind");
    if (h->bytes != count)
        return refuse(ERR_INVALID, why, "%llu bytes long, not %llu: it was cut or added to", (unsigned long long)count,
                      (unsigned long long)h->bytes);
    if (h->parts > CONTAINER_PARTS_MAX || h->table < sizeof *h || h->table % 8 || h->table > count ||
        count - h->table != h->parts * sizeof(struct container_part))
        return refuse(ERR_INVALID, why, "damaged: its table is not in it");
    return ERR_OK;
}

static enum err check_parts(const struct container *c, uint64_t end, char *why)
{
    uint64_t at = sizeof(struct container_header);

    for (size_t i = 0; i < c->parts; i++) {
        const struct container_part *p = &c->part[i];
        if (p->offset < at || p->offset % 8 || p->offset > end || p->bytes > end - p->offset)
            return refuse(ERR_INVALID, why, "damaged: part %zu is not in its place", i);
        at = p->offset + p->bytes;
        for (size_t j = 0; j < i; j++)
            if (c->part[j].kind == p->kind && c->part[j].instance == p->instance)
                return refuse(ERR_INVALID, why, "damaged: part %zu is there twice", i);
    }
    return ERR_OK;
}

enum err container_parse(const void *bytes, size_t count, uint32_t kind, struct container *ret_container, char *why)
{
    const struct container_header *h = bytes;
    enum err e = check_header(h, count, kind, why);

    if (e != ERR_OK)
        return e;
    const struct container_part *part = (const void *)((const uint8_t *)bytes + h->table);
    struct container c = {.bytes = bytes, .count = count, .part = part, .parts = h->parts};
    if (h->table_checksum != container_checksum(0, part, h->parts * sizeof *part))
        return refuse(ERR_INVALID, why, "damaged: its table has another checksum than it says");
    e = check_parts(&c, h->table, why);
    if (e == ERR_OK)
        *ret_container = c;
    return e;
}

enum err container_open(const char *path, uint32_t kind, struct container *ret_container, char *why)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[CONTAINER_WHY - 8];
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return refuse(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return refuse(ERR_INVALID, why, "%s: not a file of this kind", path);
    struct container mapped = {.count = (size_t)st.st_size};
    mapped.bytes = mmap(NULL, mapped.count, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped.bytes == MAP_FAILED)
        return refuse(ERR_NOMEM, why, "%s: %s", path, strerror(errno));
    enum err e = container_parse(mapped.bytes, mapped.count, kind, ret_container, why);
    if (e == ERR_OK)
        return e;
    container_close(&mapped);
    snprintf(text, sizeof text, "%s", why);
    return refuse(e, why, "%.*s: %s", CONTAINER_WHY / 2, path, text);
}

void container_close(struct container *c)
{
    if (c->bytes)
        munmap((void *)(uintptr_t)c->bytes, c->count);
    *c = (struct container){0};
}

enum err container_verify(const struct container *c, char *why)
{
    for (size_t i = 0; i < c->parts; i++) {
        const struct container_part *p = &c->part[i];
        if (container_checksum(0, c->bytes + p->offset, p->bytes) != p->checksum)
            return refuse(ERR_INVALID, why, "damaged: part %zu of %zu (%llu bytes) has another checksum than it says",
                          i, c->parts, (unsigned long long)p->bytes);
    }
    return ERR_OK;
}

const void *container_find(const struct container *c, uint32_t kind, uint32_t instance, size_t *ret_bytes)
{
    for (size_t i = 0; i < c->parts; i++)
        if (c->part[i].kind == kind && c->part[i].instance == instance) {
            *ret_bytes = c->part[i].bytes;
            return c->bytes + c->part[i].offset;
        }
    return NULL;
}
