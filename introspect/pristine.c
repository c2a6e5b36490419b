/* See pristine.h. */
#include "introspect/pristine.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20, CPIO_HEADER = 110, CPIO_SIZE = 54, CPIO_NAME = 94, MEMBERS_MAX = 4096 };

static enum err read_all(int fd, size_t bytes, struct pristine *ret)
{
    struct pristine p = {malloc(bytes + 1), 0};

    if (!p.data)
        return ERR_NOMEM;
    while (p.bytes < bytes) {
        ssize_t n = read(fd, p.data + p.bytes, bytes - p.bytes);

        if (n <= 0) {
            pristine_done(&p);
            return ERR_IO;
        }
        p.bytes += (size_t)n;
    }
    *ret = p;
    return ERR_OK;
}

enum err pristine_read(const char *path, struct pristine *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    enum err e;

    if (fd < 0)
        return ERR_NOT_FOUND;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        e = ERR_IO;
    else if (st.st_size > FILE_MAX)
        e = ERR_RANGE;
    else
        e = read_all(fd, (size_t)st.st_size, ret);
    close(fd);
    return e;
}

void pristine_done(struct pristine *p)
{
    free(p->data);
    *p = (struct pristine){0};
}

uint64_t pristine_hash(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3;
    return h;
}

/* ---- cpio ---- */

static bool hex8(const uint8_t *p, size_t *ret)
{
    size_t n = 0;

    for (int i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, p[i] | 0x20);

        if (!p[i] || !d || !*d)
            return false;
        n = n << 4 | (size_t)(d - digits);
    }
    *ret = n;
    return true;
}

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

bool pristine_member(const struct pristine *archive, const char *name, const uint8_t **ret_data, size_t *ret_bytes)
{
    size_t at = 0, name_bytes, bytes, want = strlen(name);

    for (int members = 0; members < MEMBERS_MAX && archive->bytes - at >= CPIO_HEADER; members++) {
        const uint8_t *header = archive->data + at;

        if (memcmp(header, "070701", 6) != 0 || !hex8(header + CPIO_SIZE, &bytes) ||
            !hex8(header + CPIO_NAME, &name_bytes))
            return false;
        size_t data = align4(at + CPIO_HEADER + name_bytes);
        if (data > archive->bytes || bytes > archive->bytes - data)
            return false;
        /* the name's NUL may be followed by padding that aligns the data */
        if (name_bytes >= want + 3 && memcmp(header + CPIO_HEADER, name, want) == 0 &&
            memcmp(header + CPIO_HEADER + want, ".o", 3) == 0) {
            *ret_data = archive->data + data;
            *ret_bytes = bytes;
            return true;
        }
        at = align4(data + bytes);
        if (at > archive->bytes)
            return false;
    }
    return false;
}

/* ---- ELF ---- */

static bool elf_header(const uint8_t *file, size_t bytes, Elf64_Ehdr *ret)
{
    if (bytes < sizeof *ret)
        return false;
    memcpy(ret, file, sizeof *ret);
    return memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 && ret->e_ident[EI_CLASS] == ELFCLASS64 &&
           ret->e_ident[EI_DATA] == ELFDATA2LSB && ret->e_machine == EM_X86_64;
}

/* Copies entry `index` of a table of a file. */
static bool entry(const uint8_t *file, size_t bytes, uint64_t table, uint64_t index, void *ret, size_t size)
{
    uint64_t offset = index * size;

    if (table > bytes || offset > bytes - table || size > bytes - table - offset)
        return false;
    memcpy(ret, file + table + offset, size);
    return true;
}

const uint8_t *pristine_section(const uint8_t *object, size_t bytes, uint32_t index, size_t want)
{
    Elf64_Ehdr header;
    Elf64_Shdr section;

    if (!elf_header(object, bytes, &header) || header.e_shentsize != sizeof section || index >= header.e_shnum ||
        !entry(object, bytes, header.e_shoff, index, &section, sizeof section))
        return NULL;
    if (section.sh_type == SHT_NOBITS || section.sh_size != want || section.sh_offset > bytes ||
        want > bytes - section.sh_offset)
        return NULL;
    return object + section.sh_offset;
}

bool pristine_image(const struct pristine *image, uint64_t virt, uint8_t *ret, size_t want)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (!image->data || !elf_header(image->data, image->bytes, &header) || header.e_phentsize != sizeof segment)
        return false;
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        if (!entry(image->data, image->bytes, header.e_phoff, i, &segment, sizeof segment))
            return false;
        if (segment.p_type != PT_LOAD || virt < segment.p_vaddr || virt - segment.p_vaddr > segment.p_memsz ||
            want > segment.p_memsz - (virt - segment.p_vaddr))
            continue;
        uint64_t from = virt - segment.p_vaddr;
        uint64_t filled = from < segment.p_filesz ? segment.p_filesz - from : 0;
        if (filled > want)
            filled = want;
        if (filled && (segment.p_offset > image->bytes || from > image->bytes - segment.p_offset ||
                       filled > image->bytes - segment.p_offset - from))
            return false;
        if (filled)
            memcpy(ret, image->data + segment.p_offset + from, filled);
        memset(ret + filled, 0, want - filled);
        return true;
    }
    return false;
}

bool pristine_is_build(const struct pristine *image, const uint8_t id[20])
{
    static const uint8_t note[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0}; /* NT_GNU_BUILD_ID */
    const uint8_t *found = image->data ? memmem(image->data, image->bytes, note, sizeof note) : NULL;

    if (!found || image->bytes - (size_t)(found - image->data) < sizeof note + 20)
        return true;
    return memcmp(found + sizeof note, id, 20) == 0;
}
